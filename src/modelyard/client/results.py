"""What the client answers, beside the nouns of `modelyard.domain.status`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelyard.domain.status import ApplyOutcome, Explanation

if TYPE_CHECKING:  # numpy takes a tenth of a second to import, and most commands do without it
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one manifest; after a dry run: what would become of it.

    `explanation` and `version` are None for a server. `notes`: what a user should know of it.
    """

    subject: str
    outcome: ApplyOutcome
    version: int | None = None
    explanation: Explanation | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a model is where it is, or nowhere."""

    name: str
    version: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class InferResult:
    """An answer: arrays by the names of the outputs. BYTES outputs are object arrays of `bytes`.

    `model` is the version that answered, e.g. `iris_2`; `headers` are in lower case.
    """

    model: str
    outputs: "Mapping[str, NDArray[Any]]"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    id: str = ""
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __getitem__(self, output: str) -> "NDArray[Any]":
        return self.outputs[output]

    @property
    def only(self) -> "NDArray[Any]":
        """The one output of a model that has one."""
        if len(self.outputs) != 1:
            raise LookupError(f"{self.model} answered {len(self.outputs)} outputs: {', '.join(self.outputs)}")
        return next(iter(self.outputs.values()))

    def __array__(self, dtype: "np.dtype[Any] | None" = None, copy: bool | None = None) -> "NDArray[Any]":
        import numpy as np

        return np.array(self.only, dtype=dtype, copy=copy)


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A V2 answer as JSON, with the headers that went and came."""

    body: Mapping[str, Any]
    sent: Mapping[str, str]
    received: Mapping[str, str]
    request_line: str
    status_line: str
