"""A request's tensors against a model's signature. Pure."""

from collections.abc import Sequence

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.model import Signature
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.nouns import Array, RequestedOutput, Tensor, TensorMetadata


def by_name(signature: Signature, tensors: Sequence[Tensor]) -> dict[str, Array]:
    """Every input of the signature, once, in its datatype and a shape that it allows."""
    given = {tensor.name: tensor for tensor in tensors}
    fitted: dict[str, Array] = {}
    for wanted in signature.inputs:
        tensor = given.pop(wanted.name, None)
        if tensor is None:
            raise InvalidInput(f"input tensor '{wanted.name}' is missing; the inputs are {_listed(signature.inputs)}")
        check_shape(tensor, wanted)
        fitted[wanted.name] = cast(tensor.data, wanted.datatype, tensor.name)
    if given:
        raise InvalidInput(
            f"tensor '{next(iter(given))}' is not an input of the model; the inputs are {_listed(signature.inputs)}"
        )
    return fitted


def check_shape(tensor: Tensor, wanted: TensorMetadata) -> None:
    """-1 takes any size; an empty shape in the signature takes any shape."""
    have = tensor.data.shape
    if wanted.shape and (
        len(have) != len(wanted.shape)
        or any(want not in (-1, size) for size, want in zip(have, wanted.shape, strict=True))
    ):
        raise InvalidInput(f"tensor '{tensor.name}' has shape {list(have)}, the model takes {list(wanted.shape)}")


def choose_outputs(signature: Signature, requested: Sequence[RequestedOutput]) -> tuple[str, ...]:
    """The outputs to compute, in the order asked for. A model may not know its outputs before it answers."""
    if not requested:
        return signature.usual
    names = [it.name for it in signature.outputs] or [it.name for it in requested]  # unknown: its answer will tell
    for it in requested:
        if it.name not in names:
            raise InvalidInput(f"output '{it.name}' is not an output of the model; the outputs are {', '.join(names)}")
    return tuple(it.name for it in requested)


def _listed(tensors: Sequence[TensorMetadata]) -> str:
    return ", ".join(f"{it.name} ({it.datatype} {list(it.shape)})" for it in tensors)
