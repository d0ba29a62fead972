"""LitServe with one joblib model, asked in V2's JSON. Runs in LitServe's environment: `litserve_iris.py MODEL HTTP`."""

import sys

import joblib
import litserve
import numpy as np


class Iris(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.model = joblib.load(sys.argv[1])

    def predict(self, request: dict) -> dict:
        tensor = request["inputs"][0]
        found = self.model.predict(np.array(tensor["data"]).reshape(tensor["shape"]))
        output = {"name": "predict", "shape": list(found.shape), "datatype": "INT64", "data": found.tolist()}
        return {"model_name": "iris", "outputs": [output]}


if __name__ == "__main__":
    api = Iris(api_path="/v2/models/iris/infer")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False)
