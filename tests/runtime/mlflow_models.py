"""Models saved by MLflow, as its users save them."""

import sys
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import lightgbm
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import catboost
    import mlflow.catboost
    import mlflow.lightgbm
    import mlflow.pyfunc
    import mlflow.sklearn
    import mlflow.xgboost
    from mlflow.models import infer_signature

ROUNDS = 5


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow would like type hints of its own

    class Sums(mlflow.pyfunc.PythonModel):
        """Two of a row's columns, by name and so in whichever order they come."""

        def predict(self, context, model_input):  # noqa: ARG002  # MLflow wants these names
            return model_input["petal length (cm)"] * 10 + model_input["petal width (cm)"]

    class Arrays(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):  # noqa: ARG002
            return {"shape": [str(model_input.shape)], "twice": model_input * 2}


def table() -> tuple[Any, Any]:
    return load_iris(return_X_y=True, as_frame=True)  # type: ignore[no-any-return]


def write(folder: Path) -> dict[str, Any]:
    """What each predicts for the iris table, by the name of its folder."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # whoever loads them has no tests
    rows, labels = table()
    linear = LogisticRegression(max_iter=1000).fit(rows, labels)
    xgb = xgboost.XGBClassifier(n_estimators=ROUNDS, n_jobs=1).fit(rows, labels)
    lgb = lightgbm.LGBMClassifier(n_estimators=ROUNDS, n_jobs=1, verbose=-1).fit(rows, labels)
    cat = catboost.CatBoostClassifier(iterations=ROUNDS, verbose=0, thread_count=1, allow_writing_files=False)
    cat.fit(rows, labels)
    common = {"signature": infer_signature(rows, labels), "pip_requirements": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(linear, folder / "ml-sklearn", serialization_format="cloudpickle", **common)
        mlflow.sklearn.save_model(linear, folder / "ml-skops", serialization_format="skops", **common)
        mlflow.sklearn.save_model(
            linear, folder / "ml-proba", pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle", **common
        )
        mlflow.xgboost.save_model(xgb, folder / "ml-xgboost", **common)
        mlflow.lightgbm.save_model(lgb.booster_, folder / "ml-lightgbm", **common)
        mlflow.catboost.save_model(cat, folder / "ml-catboost", **common)
        mlflow.pyfunc.save_model(folder / "ml-python", python_model=Sums(), **common)
        mlflow.pyfunc.save_model(folder / "run/artifacts/model", python_model=Sums(), **common)
        arrays = {**common, "signature": infer_signature(rows.to_numpy())}
        mlflow.pyfunc.save_model(folder / "ml-arrays", python_model=Arrays(), **arrays)
    return {
        "ml-sklearn": linear.predict(rows),
        "ml-skops": linear.predict(rows),
        "ml-proba": linear.predict_proba(rows),
        "ml-xgboost": xgb.predict(rows),
        "ml-lightgbm": lgb.booster_.predict(rows),
        "ml-catboost": cat.predict(rows),
        "ml-python": rows["petal length (cm)"] * 10 + rows["petal width (cm)"],
    }
