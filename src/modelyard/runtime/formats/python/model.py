"""A class of a user's as a model: constructed, loaded, and called as it says it wants to be.

class Model:
    def load(self, folder): ...          # and whatever parameters it names; may be left out, may be async
    def predict(self, rows: np.ndarray): ...     # or dict, DataFrame, named parameters; may be async, may yield
"""

import inspect
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import extras
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.python import answers, arguments, finding, modules, requirements, taking
from modelyard.runtime.formats.python.loop import Loop
from modelyard.runtime.formats.python.taking import Taking
from modelyard.runtime.formats.rows import Table
from modelyard.runtime.formats.settings import Settings, TensorSettings
from modelyard.runtime.model import Model, Signature
from modelyard.wire.oip.nouns import Array, InferRequest, Tensor, TensorMetadata


def read(folder: Path, file: Path, settings: Settings) -> Model:
    """Runs the code in `folder`. `file`: where the class is, unless the settings name it. Raises `InvalidInput`."""
    requirements.check(folder)
    package = modules.package(folder)
    try:
        kind = finding.find(package, file, settings.implementation)
        method = "predict_stream" if not hasattr(kind, "predict") else "predict"
        streams = method == "predict_stream" or hasattr(kind, "predict_stream") or _yields(kind.predict)
        model = (StreamingPythonModel if streams else PythonModel)(kind, folder, settings)
    except BaseException:
        modules.forget(package)
        raise
    weakref.finalize(model, modules.forget, package).atexit = False
    return model


# Calls at the same time of a model whose methods are coroutines.
COROUTINES = 64


class PythonModel:
    """`concurrency`: as `load` asks for it; None: as of any model."""

    quick = False

    def __init__(self, kind: type[Any], folder: Path, settings: Settings) -> None:
        self.foreign = f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}"
        self._name = kind.__name__
        self._settings = settings
        self._content_types = settings.content_types
        self._loop: Loop | None = None
        self._instance = self._made(kind, folder, settings.parameters)
        self._method: Callable[..., Any] = getattr(self._instance, "predict", None) or self._instance.predict_stream
        self._taking, self._names = taking.told(self._method, f"{self._name}.{self._method.__name__}", settings)
        waits = inspect.iscoroutinefunction(self._method) or inspect.isasyncgenfunction(self._method)
        self.concurrency = COROUTINES if waits else None
        self._frame = self._table() if self._taking is Taking.FRAME else None
        outputs = tuple(_described(it) for it in settings.outputs)
        self.signature = Signature("python", self._inputs(), outputs, tuple(it.name for it in outputs))

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        if self._frame is not None:
            return self._frame.fit(request)
        found = taking.arrays(request, self._settings, self._content_types)
        for name in self._names:
            if name not in found:
                raise InvalidInput(f"input tensor '{name}' is missing; the inputs are {', '.join(self._names)}")
        if self._names and (unknown := next((it for it in found if it not in self._names), None)) is not None:
            raise InvalidInput(
                f"tensor '{unknown}' is not an input of the model; the inputs are {', '.join(self._names)}"
            )
        return found

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        found = self._call(self._method, inputs)
        if inspect.iscoroutine(found):
            found = self._running_loop().run(found)
        if isinstance(found, Iterator | AsyncIterator):
            return answers.chosen(answers.joined([answers.tensors(it) for it in self._parts(found)]), outputs)
        return answers.chosen(answers.tensors(found, self.signature.usual), outputs)

    def _call(self, method: Callable[..., Any], inputs: Mapping[str, Array]) -> Any:
        if self._frame is not None:
            return method(self._frame.given(inputs))
        positional, named = taking.given(self._taking, inputs)
        return method(*positional, **named)

    def _parts(self, found: Iterator[Any] | AsyncIterator[Any]) -> Iterator[Any]:
        return self._running_loop().each(found) if isinstance(found, AsyncIterator) else found

    def _made(self, kind: type[Any], folder: Path, parameters: Mapping[str, Any]) -> Any:
        try:
            instance = kind(**arguments.bind(kind, f"{self._name}()", folder, parameters))
            load = getattr(instance, "load", None)
            if load is not None:
                done = load(**arguments.bind(load, f"{self._name}.load", folder, parameters))
                done = self._running_loop().run(_awaited(done)) if inspect.isawaitable(done) else done
                if done is False:
                    raise InvalidInput(f"{self._name}.load returned False: it could not load")
        except (InvalidInput, MemoryError):
            raise
        except BaseException as error:  # also SystemExit, which would end the event loop that waits for this
            raise InvalidInput(f"{self._name} cannot be loaded: {type(error).__name__}: {first_line(error)}") from None
        return instance

    def _running_loop(self) -> Loop:
        if self._loop is None:
            self._loop = Loop()
            weakref.finalize(self, self._loop.stop).atexit = False
        return self._loop

    def _table(self) -> Table:
        columns = tuple(Column(it.name, it.datatype, it.content_type or "") for it in self._settings.inputs)
        frame = extras.imported("pandas", _frame, why=f"{self._name} takes a DataFrame")
        return frame(columns, self._content_types)

    def _inputs(self) -> tuple[TensorMetadata, ...]:
        if self._settings.inputs:
            return tuple(_described(it) for it in self._settings.inputs)
        return tuple(TensorMetadata(name, "FP64", ()) for name in self._names)


class StreamingPythonModel(PythonModel):
    """`predict_stream`, or a `predict` that yields."""

    def stream(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Iterator[Sequence[Tensor]]:
        method = getattr(self._instance, "predict_stream", self._method)
        found = self._call(method, inputs)
        if inspect.iscoroutine(found):
            found = self._running_loop().run(found)
        if not isinstance(found, Iterator | AsyncIterator):
            yield answers.chosen(answers.tensors(found, self.signature.usual), outputs)
            return
        parts = self._parts(found)
        try:
            for part in parts:
                yield answers.chosen(answers.tensors(part, self.signature.usual), outputs)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()


async def _awaited(work: Any) -> Any:
    return await work


def _yields(method: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)


def _described(said: TensorSettings) -> TensorMetadata:
    return TensorMetadata(said.name, said.datatype or "FP64", said.shape or ())


def _frame() -> Callable[..., Table]:
    from modelyard.runtime.formats import frame

    return frame.Frame
