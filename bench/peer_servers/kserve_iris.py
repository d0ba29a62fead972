"""KServe's Python server with one joblib model. Runs in KServe's environment: `kserve_iris.py MODEL HTTP GRPC`."""

import sys

import joblib
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Iris(Model):
    def __init__(self, path: str) -> None:
        super().__init__("iris")
        self.model = joblib.load(path)
        self.ready = True

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:  # noqa: ARG002
        found = self.model.predict(payload.inputs[0].as_numpy())
        output = InferOutput("predict", list(found.shape), "INT64")
        output.set_data_from_numpy(found, binary_data=False)
        return InferResponse(response_id=payload.id or "1", model_name="iris", infer_outputs=[output])


if __name__ == "__main__":
    path, http, grpc = sys.argv[1:]
    ModelServer(http_port=int(http), grpc_port=int(grpc), workers=1, enable_latency_logging=False).start([Iris(path)])
