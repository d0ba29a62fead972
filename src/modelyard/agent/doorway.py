"""To which models a front door should be open. Pure.

What the agent itself does to a model (load, close, unload) is known at once; what its server says it holds is known as
of when it was asked, and counts only against what is older.
"""

from collections.abc import Mapping
from typing import TypeAlias

# What changes: True opens, False closes.
Turns: TypeAlias = Mapping[str, bool]


class Doorway:
    def __init__(self) -> None:
        self.open: set[str] = set()
        self._closing: set[str] = set()  # being unloaded: closed whatever the server says
        self._changed_at: dict[str, float] = {}

    def loaded(self, model: str, now: float) -> Turns:
        self._closing.discard(model)
        return self._turn({model: True}, now)

    def closing(self, model: str, now: float) -> Turns:
        self._closing.add(model)
        return self._turn({model: False}, now)

    def unloaded(self, model: str, now: float) -> None:
        self._closing.discard(model)
        self._changed_at[model] = now

    def found(self, models: frozenset[str], asked_at: float) -> Turns:
        """The server held these and no others at `asked_at`."""
        older = {model for model in models | self.open if self._changed_at.get(model, asked_at - 1) < asked_at}
        turns = {model: model in models for model in older - self._closing}
        for model in [it for it, at in self._changed_at.items() if at < asked_at and it not in self.open]:
            del self._changed_at[model]
        return self._turn(turns, asked_at)

    def server_lost(self, now: float) -> Turns:
        return self._turn(dict.fromkeys(self.open, False), now)

    def _turn(self, turns: Turns, at: float) -> Turns:
        changed = {model: turn for model, turn in turns.items() if turn != (model in self.open)}
        for model, turn in turns.items():
            if turn:
                self.open.add(model)
                self._changed_at[model] = at
            else:
                self.open.discard(model)
                if model in changed:
                    self._changed_at[model] = at
        return changed
