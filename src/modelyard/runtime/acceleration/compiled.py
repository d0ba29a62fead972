"""A compiled model: the native model's signature, answered by ONNX Runtime.

What it was not checked for is the native model's to answer, or to refuse in its own words: other outputs, content
types that have to be decoded, shapes that do not fit, numbers that are not finite, categories that are unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from modelyard.runtime.acceleration.errors import LeftToNative
from modelyard.runtime.acceleration.feeding import columns, feeds
from modelyard.runtime.acceleration.plan import Plan
from modelyard.runtime.model import Signature
from modelyard.wire.oip import content_types, raw
from modelyard.wire.oip.content_types import Defaults
from modelyard.wire.oip.nouns import BYTES, DATATYPES, DTYPES, Array, InferRequest, Tensor


class CompiledModel:
    quick = True

    def __init__(
        self, signature: Signature, content: bytes, plan: Plan, defaults: Defaults = content_types.NONE
    ) -> None:
        """`defaults`: content types, as the model's settings say them.

        Raises whatever ONNX Runtime raises for a graph that it cannot run.
        """
        self.signature = signature
        self._plan = plan
        self._defaults = defaults
        self._session = _session(content)
        self._inside = {it.name: it.inside for it in plan.outputs}
        self._dtypes = {it.name: DTYPES[it.datatype] for it in plan.outputs}

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        """Raises `LeftToNative`, or `InvalidInput`."""
        wanted = [it.name for it in request.outputs] or self.signature.usual
        if any(it not in self._inside for it in wanted):
            raise LeftToNative("the graph does not give all of these outputs")
        return feeds(columns(request, self._plan, self._defaults), self._plan)

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        found = self._session.run([self._inside[name] for name in outputs], inputs)
        return [self._tensor(name, data) for name, data in zip(outputs, found, strict=True)]

    def _tensor(self, name: str, data: Array) -> Tensor:
        """Flat results become columns, as the native models' do."""
        data = data.reshape(-1, 1) if data.ndim == 1 else data
        dtype = self._dtypes[name]
        if dtype.kind == "O":
            return Tensor(name, BYTES, raw.of_bytes(str(it).encode() for it in data.reshape(-1)).reshape(data.shape))
        return Tensor(name, DATATYPES[dtype], data.astype(dtype, copy=False))


def _session(content: bytes) -> Any:
    """One thread: trees are then added up in their order, as the libraries add them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # what goes wrong is in the exception
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
