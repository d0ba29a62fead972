"""BentoML with one joblib model, asked in V2's JSON: `bentoml serve bentoml_iris:Iris`; IRIS_MODEL: the file."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Iris:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["IRIS_MODEL"])

    @bentoml.api(route="/v2/models/iris/infer")
    def infer(self, inputs: list[dict]) -> dict:
        tensor = inputs[0]
        found = self.model.predict(np.array(tensor["data"]).reshape(tensor["shape"]))
        output = {"name": "predict", "shape": list(found.shape), "datatype": "INT64", "data": found.tolist()}
        return {"model_name": "iris", "outputs": [output]}
