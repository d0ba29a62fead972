"""One call of a model, whose failure is never the server's."""

import logging
from collections.abc import Mapping, Sequence

from modelyard.kit.errors import ModelyardError
from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.runtime.formats.load import LoadedModel
from modelyard.wire.oip.nouns import Array, Tensor

log = logging.getLogger(__name__)


def predict(loaded: LoadedModel, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
    """The model's outputs; whatever it raises that is not the client's fault becomes `ModelFailed`."""
    try:
        return loaded.model.predict(inputs, outputs)
    except ModelyardError:
        raise
    except BaseException as error:  # also SystemExit, which would end the event loop
        raise failure(loaded, error) from error


def failure(loaded: LoadedModel, error: BaseException) -> ModelFailed:
    log.warning("the model %s failed: %s: %s", loaded.name, type(error).__name__, first_line(error))
    return ModelFailed(f"the model '{loaded.name}' failed: {type(error).__name__}: {first_line(error)}")
