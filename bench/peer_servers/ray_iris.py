"""Ray Serve with one joblib model, asked in V2's JSON. Runs in Ray's environment: `ray_iris.py MODEL HTTP`."""

import signal
import sys

import joblib
import numpy as np
import ray
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0})
class Iris:
    def __init__(self, path: str) -> None:
        self.model = joblib.load(path)

    async def __call__(self, request) -> dict:
        tensor = (await request.json())["inputs"][0]
        found = self.model.predict(np.array(tensor["data"]).reshape(tensor["shape"]))
        output = {"name": "predict", "shape": list(found.shape), "datatype": "INT64", "data": found.tolist()}
        return {"model_name": "iris", "outputs": [output]}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(Iris.bind(sys.argv[1]), route_prefix="/v2/models/iris/infer")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
