"""The child of `trial`: load one file with a C library, predict one row of zeros, say how that went.

Started by its path in a bare interpreter: but for CatBoost it imports nothing beyond the standard library.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

LOADED, REFUSED, NO_MEMORY = 0, 10, 11
MARK = "refused: "

_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl
# What a length that is damaged asks for must not be had. A legitimate model takes less than this for a byte of file.
_FREE_BYTES = 4 << 30
_BYTES_FOR_A_BYTE = 64


class _Refused(Exception):
    pass


def _xgboost(library: Any, path: str) -> None:
    library.XGBGetLastError.restype = ctypes.c_char_p

    def call(name: str, *arguments: Any) -> None:
        if getattr(library, name)(*arguments):
            raise _Refused(library.XGBGetLastError().decode(errors="replace"))

    content = Path(path).read_bytes()
    booster, matrix = ctypes.c_void_p(), ctypes.c_void_p()
    features, dimensions = ctypes.c_uint64(), ctypes.c_uint64()
    shape, found = ctypes.POINTER(ctypes.c_uint64)(), ctypes.POINTER(ctypes.c_float)()
    call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(booster))
    call("XGBoosterLoadModelFromBuffer", booster, content, ctypes.c_uint64(len(content)))
    call("XGBoosterSetParam", booster, b"nthread", b"1")
    call("XGBoosterGetNumFeature", booster, ctypes.byref(features))
    row = (ctypes.c_float * features.value)()
    count = ctypes.c_uint64(features.value)
    nan = ctypes.c_float(float("nan"))
    call("XGDMatrixCreateFromMat", row, ctypes.c_uint64(1), count, nan, ctypes.byref(matrix))
    how = b'{"type": 0, "training": false, "iteration_begin": 0, "iteration_end": 0, "strict_shape": false}'
    outputs = (ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(found))
    call("XGBoosterPredictFromDMatrix", booster, matrix, how, *outputs)


def _lightgbm(library: Any, path: str) -> None:
    library.LGBM_GetLastError.restype = ctypes.c_char_p

    def call(name: str, *arguments: Any) -> None:
        if getattr(library, name)(*arguments):
            raise _Refused(library.LGBM_GetLastError().decode(errors="replace"))

    booster = ctypes.c_void_p()
    iterations, features, length = ctypes.c_int(), ctypes.c_int(), ctypes.c_int64()
    normal, first, everything, float64, one, row_by_row = 0, 0, -1, 1, 1, 1
    call("LGBM_BoosterCreateFromModelfile", path.encode(), ctypes.byref(iterations), ctypes.byref(booster))
    call("LGBM_BoosterGetNumFeature", booster, ctypes.byref(features))
    parameters = ctypes.create_string_buffer(1 << 20)  # which the Python package asks for
    size = ctypes.c_int64(len(parameters))
    call("LGBM_BoosterGetLoadedParam", booster, size, ctypes.byref(ctypes.c_int64()), parameters)
    call("LGBM_BoosterCalcNumPredict", booster, one, normal, first, everything, ctypes.byref(length))
    row, found = (ctypes.c_double * features.value)(), (ctypes.c_double * max(length.value, 1))()
    shape = (ctypes.c_int32(1), ctypes.c_int32(features.value), row_by_row)
    what = (normal, first, everything, b"num_threads=1")
    call("LGBM_BoosterPredictForMat", booster, row, float64, *shape, *what, ctypes.byref(length), found)


def _catboost(paths: str, path: str) -> None:
    """CatBoost has no C library of its own in Python: the module, from among `paths`, is what can be tried."""
    sys.path += paths.split(os.pathsep)
    import catboost

    model = catboost.CatBoost()
    try:
        model.load_model(path)
        if not model.get_embedding_feature_indices():
            words = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}
            model.predict([["0" if place in words else 0.0 for place in range(len(model.feature_names_))]])
    except (catboost.CatBoostError, UnicodeDecodeError) as error:
        raise _Refused(str(error)) from None


_TRIALS = {"xgboost": _xgboost, "lightgbm": _lightgbm}


def main(library: str, kind: str, path: str) -> int:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    most = _FREE_BYTES + _BYTES_FOR_A_BYTE * Path(path).stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an answer here, and needs no dump
    try:
        if kind == "catboost":
            _catboost(library, path)
        else:
            _TRIALS[kind](ctypes.CDLL(library), path)
    except _Refused as error:
        print(MARK + str(error).strip(), flush=True)  # noqa: T201
        return REFUSED
    except MemoryError:
        return NO_MEMORY
    return LOADED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
