"""LightGBM boosters. LGBMClassifier and its like save plain boosters too, so `predict` is what a booster predicts;
a classifier's `predict_proba` has a column for each class."""

import logging
from pathlib import Path
from typing import Any

import lightgbm
from lightgbm.basic import _LIB as LIBRARY

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import lightgbm_text, trial
from modelyard.runtime.formats.booster import BoosterModel, Predict, of_binary, of_numbers
from modelyard.runtime.formats.content import LIGHTGBM
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.runtime.formats.trial import message
from modelyard.wire.oip.nouns import Array

lightgbm.register_logger(logging.getLogger(__name__))  # it prints otherwise

_REFUSALS = (lightgbm.basic.LightGBMError, ValueError)


def read(path: Path, *, threads: int, settings: Settings = NOTHING) -> BoosterModel:
    """Raises `InvalidInput` when LightGBM cannot load it. `threads`: of one prediction."""
    content = path.read_bytes()
    problem = lightgbm_text.problem(content)
    if problem is not None:
        raise InvalidInput(f"LightGBM cannot load {path.name}: the file is damaged: {problem}")
    trial.load(LIBRARY._name, LIGHTGBM, path)
    try:
        booster = lightgbm.Booster(model_file=str(path))
        features = booster.num_feature()

        def predict(rows: Array) -> Any:
            return booster.predict(rows, num_threads=threads)

        outputs: dict[str, Predict] = {"predict": predict}
        match lightgbm_text.objective(content):
            case "binary":
                outputs["predict_proba"] = lambda rows: of_binary(predict(rows))
            case "multiclass" | "multiclassova":
                outputs["predict_proba"] = predict
        return BoosterModel(
            LIGHTGBM, of_numbers("FP64", features, _columns(booster, settings), settings), outputs, _REFUSALS
        )
    except _REFUSALS as error:
        raise InvalidInput(f"LightGBM cannot load {path.name}: {message(str(error))}") from None


def _columns(booster: lightgbm.Booster, settings: Settings) -> list[str]:
    """The names that the data had; those that LightGBM makes up are none, and for a space it writes an underscore."""
    names = [str(it) for it in booster.feature_name()]
    said = [it.name for it in settings.inputs]
    if [it.replace(" ", "_") for it in said] == names:
        return said
    return [] if names == [f"Column_{index}" for index in range(len(names))] else names
