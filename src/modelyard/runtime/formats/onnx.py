"""ONNX models on ONNX Runtime."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from modelyard.kit.errors import InvalidInput
from modelyard.runtime import fitting
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.runtime.model import Signature
from modelyard.wire.oip import content_types, raw
from modelyard.wire.oip.nouns import BYTES, DATATYPES, DTYPES, Array, InferRequest, Tensor, TensorMetadata

_TYPES: Mapping[str, str] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": BYTES,
}
# What a classifier with ZipMap puts out, a list of {class: probability}: served as a matrix, a column per class.
_ZIPMAP = re.compile(r"seq\(map\((int64|string),tensor\(float\)\)\)")

# A graph that loaded fails only over what it was given: sizes that do not go together, an index that is none.
_REFUSALS = (ort_errors.InvalidArgument, ort_errors.Fail, ort_errors.RuntimeException)


def read(path: Path, *, intra_op_threads: int, settings: Settings = NOTHING) -> "OnnxModel":
    """Raises `InvalidInput` when ONNX Runtime cannot read it, or its inputs and outputs cannot be served."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena would keep the memory of the largest request for ever
    options.log_severity_level = 4  # what goes wrong is in the exception
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:
        raise InvalidInput(f"ONNX Runtime cannot load {path.name}: {first_line(error)}") from None
    return OnnxModel(session, path.name, settings)


class OnnxModel:
    quick = True

    def __init__(self, session: Any, file: str, settings: Settings = NOTHING) -> None:
        self._session = session
        self._content_types = settings.content_types
        inputs = tuple(_describe(it, file, "input") for it in session.get_inputs())
        outputs = tuple(_describe(it, file, "output") for it in session.get_outputs())
        self.signature = Signature("onnx", inputs, outputs, tuple(it.name for it in outputs))

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        tensors = request.inputs
        if not content_types.plain(request, self._content_types):
            tensors = content_types.as_bytes(request, self._content_types)
        fitted = fitting.by_name(self.signature, tensors)
        return {name: _to_strings(data, name) if data.dtype == object else data for name, data in fitted.items()}

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        try:
            found = self._session.run(outputs, inputs)
        except _REFUSALS as error:
            if "alloc" in str(error):  # of memory: nothing that another input would have to cure
                raise
            raise InvalidInput(f"the model cannot take these inputs: {first_line(error)}") from None
        return [_tensor(name, value) for name, value in zip(outputs, found, strict=True)]


def _describe(it: Any, file: str, kind: str) -> TensorMetadata:
    if kind == "output" and _ZIPMAP.fullmatch(it.type):
        return TensorMetadata(it.name, "FP32", (-1, -1))
    datatype = _TYPES.get(it.type)
    if datatype is None:
        raise InvalidInput(f"{file}: {kind} '{it.name}' is a {it.type}, which this server cannot serve")
    return TensorMetadata(it.name, datatype, tuple(size if isinstance(size, int) else -1 for size in it.shape or ()))


def _to_strings(data: Array, tensor: str) -> Array:
    try:
        texts = [element.decode() for element in data.reshape(-1)]
    except UnicodeDecodeError:
        raise InvalidInput(f"tensor '{tensor}': the model takes text, and an element is not UTF-8") from None
    return np.array(texts, dtype=object).reshape(data.shape)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, list):  # ZipMap
        columns = list(value[0]) if value else []
        matrix = [[row[column] for column in columns] for row in value]
        return Tensor(name, "FP32", np.array(matrix, dtype=DTYPES["FP32"]).reshape(len(value), len(columns)))
    if value.dtype.kind in "OUS":
        texts = raw.of_bytes(str(element).encode() for element in value.reshape(-1))
        return Tensor(name, BYTES, texts.reshape(value.shape))
    return Tensor(name, DATATYPES[value.dtype], value)
