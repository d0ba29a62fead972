"""All gateways together: when is a route live everywhere that counts?

The ACK set: connected gateways, and those lost less than a lease ago (they may still serve, cut off from us). A
gateway that stays away longer no longer holds anybody up. With nobody in the set everything is live at once.
Pure: the owner says who came, who went, what each holds, and what time it is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from modelyard.proxy.desired import Outcome, Refusal
from modelyard.proxy.envoy.messages import LiveHere, RefusedHere

MemberKey: TypeAlias = int | str  # the number of a stream; for a lost gateway its id
Status: TypeAlias = LiveHere | RefusedHere | None


@dataclass(slots=True)
class _Member:
    gateway: str
    since: float
    lost_at: float | None = None
    waits_for: set[str] = field(default_factory=set)  # routes


class Fleet:
    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._members: dict[MemberKey, _Member] = {}
        self._pending: dict[str, tuple[int, set[MemberKey]]] = {}  # route -> version, who has not got it
        self._told: dict[str, Refusal] = {}  # refusals already said
        self._opened = False

    def connected(self, stream: int, gateway: str, now: float) -> None:
        """A gateway that was lost is back, or a new one: it owes every route still under way."""
        self._leave(gateway)
        self._members[stream] = _Member(gateway, now, waits_for=set(self._pending))
        for _, waiting in self._pending.values():
            waiting.add(stream)

    def disconnected(self, stream: int, now: float) -> None:
        """The lease starts. What it had not acknowledged stays owed until it returns or the lease ends."""
        member = self._members.get(stream)
        if member is None:
            return
        owed = set(member.waits_for)
        self._leave(stream)
        if any(other.gateway == member.gateway for other in self._members.values()):
            return  # its new stream was faster
        self.expect(member.gateway, now)
        for model in owed & self._pending.keys():
            self._members[member.gateway].waits_for.add(model)
            self._pending[model][1].add(member.gateway)

    def expect(self, gateway: str, now: float) -> None:
        """Count a gateway as lost just now: one known from before a restart."""
        self._members[gateway] = _Member(gateway, now, lost_at=now, waits_for=set(self._pending))
        for _, waiting in self._pending.values():
            waiting.add(gateway)

    def open(self) -> None:
        """From now on outcomes are told."""
        self._opened = True

    def want(self, routes: Iterable[str], version: int) -> None:
        """These routes changed at this version: everybody in the set owes them."""
        for model in routes:
            self._pending[model] = (version, set(self._members))
            self._told.pop(model, None)
            for member in self._members.values():
                member.waits_for.add(model)

    def want_again(self, routes: Iterable[str]) -> None:
        """What these pending routes lead to changed: who has the route may not have that yet."""
        for model in routes:
            version, _ = self._pending[model]
            self.want([model], version)

    def progress(self, stream: int, status: Callable[[str], Status]) -> Mapping[str, str]:
        """Ask how each route that this gateway owes stands; returns those it refuses, with the reason."""
        refused: dict[str, str] = {}
        member = self._members[stream]
        for model in list(member.waits_for):
            match status(model):
                case LiveHere():
                    member.waits_for.discard(model)
                    self._pending[model][1].discard(stream)
                case RefusedHere(reason):
                    refused[model] = f"gateway {member.gateway}: {reason}"
                case None:
                    pass
        return refused

    def outcome(self, touched: Iterable[str], refused: Mapping[str, str], now: float) -> Outcome:
        """What is newly settled among the routes touched. Each thing is told once."""
        touched = {*touched, *self._expire(now)}
        if not self._opened:
            return Outcome()
        live: dict[str, int] = {}
        said: dict[str, Refusal] = {}
        for model in touched:
            if model in self._pending and not self._pending[model][1]:
                live[model] = self._pending.pop(model)[0]
                self._told.pop(model, None)
        for model, reason in refused.items():
            if model in self._pending and model not in self._told:
                said[model] = self._told[model] = Refusal(self._pending[model][0], reason)
        return Outcome(live, said)

    def owed(self, stream: int) -> frozenset[str]:
        """The routes that this gateway has not got yet."""
        return frozenset(self._members[stream].waits_for)

    def pending(self) -> frozenset[str]:
        return frozenset(self._pending)

    def wake_at(self) -> float | None:
        """When the next lease ends."""
        return min(
            (it.lost_at + self._lease_seconds for it in self._members.values() if it.lost_at is not None), default=None
        )

    def lost(self) -> Mapping[str, float]:
        """Gateways in their lease, and since when they are gone."""
        return {it.gateway: it.lost_at for it in self._members.values() if it.lost_at is not None}

    def _expire(self, now: float) -> set[str]:
        freed: set[str] = set()
        for key, member in list(self._members.items()):
            if member.lost_at is not None and member.lost_at + self._lease_seconds <= now:
                freed |= member.waits_for
                self._leave(key)
        return freed

    def _leave(self, key: MemberKey) -> None:
        member = self._members.pop(key, None)
        if member is not None:
            for model in member.waits_for & self._pending.keys():
                self._pending[model][1].discard(key)
