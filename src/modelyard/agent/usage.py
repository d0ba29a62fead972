"""How models are used: how many requests are in flight, and when there was one last. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.proxy.desired import Count


@dataclass(frozen=True, slots=True)
class Usage:
    """`last_used`: seconds since the epoch; None: never, as far as anybody knows."""

    in_flight: int = 0
    last_used: float | None = None


class Usages:
    """Made of counts that are looked at now and then. Counts that fall belong to a door that started anew."""

    def __init__(self) -> None:
        self._requests: dict[str, int] = {}
        self._usages: dict[str, Usage] = {}

    def counted(self, counts: Mapping[str, Count], now: float) -> None:
        for model, count in counts.items():
            before = self._usages.get(model, Usage())
            used = count.in_flight > 0 or count.requests != self._requests.get(model, 0)
            self._requests[model] = count.requests
            self._usages[model] = Usage(count.in_flight, now if used and count.requests else before.last_used)
        for model in self._usages.keys() - counts.keys():  # a door that started anew and has seen none of it
            self._requests[model] = 0
            self._usages[model] = Usage(0, self._usages[model].last_used)

    def forget(self, model: str) -> None:
        """Its count stays: a model of that name that comes again goes on from there."""
        self._usages.pop(model, None)

    def all(self) -> Mapping[str, Usage]:
        return dict(self._usages)
