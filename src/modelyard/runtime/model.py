"""What a format gives the runtime: something with a signature that predicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from modelyard.wire.oip.nouns import Array, InferRequest, Tensor, TensorMetadata


@dataclass(frozen=True, slots=True)
class Signature:
    """What goes in and comes out, in the model's own words.

    `usual`: the outputs of a request that names none, of all that `outputs` offers. No outputs: they show in answers.
    """

    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    usual: tuple[str, ...]


class Model(Protocol):
    """A loaded model. `quick`: one prediction is cheap enough to run on the event loop."""

    @property
    def signature(self) -> Signature: ...

    @property
    def quick(self) -> bool: ...

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        """The request's tensors as this model takes them, each of its examples along axis 0 where it has any.

        The parameters of the request and of its tensors say in which content type they are. Raises `InvalidInput`,
        naming the tensor."""
        ...

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        """Raises `InvalidInput` where the input is to blame; any other exception is the model's failure."""
        ...


@runtime_checkable
class StreamingModel(Protocol):
    """A model that can also give its answer in parts, for those who ask for a stream."""

    def stream(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Iterator[Sequence[Tensor]]:
        """Each part is asked for when the one before was taken, in whichever thread, never in two at a time. Raises as
        `predict` does. Whoever wants no more calls `close` of what is returned, where it has that."""
        ...
