"""One connected proxy: what it holds, and what to send it next. Sans-IO; one response per type is under way at a time.

    make:   clusters ──ACK──▶ scopes that name them          break:  scopes ──ACK──▶ clusters nobody names

A NACK refuses a whole response, and Envoy says not reliably for whom. So a refused response of several resources is
sent again in halves until each culprit stands alone; the others go in. A resource refused alone is not sent again
until it changes. Nothing is sent before `Opened`: until then what the proxy says it holds is only remembered.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from modelyard.proxy.envoy.messages import (
    Acked,
    Addition,
    Event,
    Kind,
    LiveHere,
    Nacked,
    Opened,
    RefusedHere,
    Send,
    Subscribed,
)
from modelyard.proxy.envoy.resource import Resource
from modelyard.proxy.envoy.snapshot import Changed, View


@dataclass(slots=True)
class _Channel:
    """One kind's side of the stream."""

    held: dict[str, str] = field(default_factory=dict)  # versions the proxy has, by name
    uncertain: set[str] = field(default_factory=set)  # refused once: parts of it may be there all the same
    dirty: set[str] = field(default_factory=set)  # may differ from what is wanted
    halves: deque[tuple[str, ...]] = field(default_factory=deque)  # of refused responses, to send each by itself
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)  # (version, reason)
    generations: Counter[str] = field(default_factory=Counter)
    under_way: Send | None = None
    subscribed: bool = False
    answered: bool = False  # a proxy that starts waits for a first answer, even an empty one


class Stream:
    def __init__(self, wanted: View, *, opened: bool) -> None:
        self._view = wanted
        self._opened = opened
        self._nonce = 0
        self._channels = {kind: _Channel() for kind in Kind}
        self._named: dict[str, frozenset[str] | None] = {}  # clusters the proxy's scopes may name; None: not known
        self._uses: Counter[str | None] = Counter()  # of those, by cluster

    def handle(self, events: Iterable[Event]) -> list[Send]:
        """Fold the events in; returns the responses to send now, in order."""
        for event in events:
            match event:
                case Subscribed():
                    self._subscribed(event)
                case Acked():
                    self._acked(event)
                case Nacked():
                    self._nacked(event)
                case Opened():
                    self._opened = True
                    for kind in Kind:
                        self._compare_everything(kind)
                case Changed():
                    self._channels[Kind.CLUSTERS].dirty |= event.clusters
                    self._channels[Kind.SCOPES].dirty |= event.scopes
                case _:
                    assert_never(event)
        if not self._opened:
            return []
        return [send for kind in Kind if (send := self._next(kind)) is not None]

    def status(self, model: str) -> LiveHere | RefusedHere | None:
        """Of a route, at this proxy; None while it is on its way."""
        channel, wanted = self._channels[Kind.SCOPES], self._view.scopes.get(model)
        if not channel.subscribed or not self._opened or _is_in(channel.under_way, model):
            return None
        if wanted is None:
            return None if model in channel.held or model in channel.uncertain else LiveHere()
        if (reason := self._refusal(Kind.SCOPES, wanted)) is not None:
            return RefusedHere(reason)
        clusters = [self._view.clusters[name] for name in sorted(wanted.clusters)]
        for cluster in clusters:
            if (reason := self._refusal(Kind.CLUSTERS, cluster)) is not None:
                return RefusedHere(reason)
        current = channel.held.get(model) == wanted.version and all(map(self._has_cluster, clusters))
        return LiveHere() if current else None

    @property
    def idle(self) -> bool:
        """Whether the proxy holds all that is wanted, refused resources aside."""
        return self._opened and all(
            channel.subscribed and channel.under_way is None and not channel.dirty and not channel.halves
            for channel in self._channels.values()
        )

    def refusals(self) -> Mapping[tuple[Kind, str], str]:
        """The reasons of what the proxy refuses at present."""
        return {
            (kind, name): reason
            for kind, channel in self._channels.items()
            for name, (version, reason) in channel.refused.items()
            if (wanted := self._wanted(kind).get(name)) is not None and wanted.version == version
        }

    # -- what happened

    def _subscribed(self, event: Subscribed) -> None:
        channel = self._channels[event.kind]
        if channel.subscribed:
            return
        channel.subscribed, channel.held = True, dict(event.held)
        channel.answered = bool(event.held)
        if event.kind is Kind.SCOPES:
            for name, version in event.held.items():
                known = self._view.scopes.get(name)
                self._name_clusters(name, known.clusters if known is not None and known.version == version else None)
        self._compare_everything(event.kind)

    def _compare_everything(self, kind: Kind) -> None:
        channel, wanted = self._channels[kind], self._wanted(kind)
        if channel.subscribed:
            channel.dirty = {name for name, it in wanted.items() if channel.held.get(name) != it.version}
            channel.dirty |= channel.held.keys() - wanted.keys()
        if kind is Kind.SCOPES:  # versions heard of before the desired state was complete may be known by now
            for name, version in channel.held.items():
                if name in wanted and wanted[name].version == version:
                    self._name_clusters(name, wanted[name].clusters)

    def _acked(self, event: Acked) -> None:
        channel = self._channels[event.kind]
        sent = channel.under_way
        if sent is None or sent.nonce != event.nonce:
            return
        channel.under_way = None
        for addition in sent.additions:
            name = addition.resource.name
            channel.held[name] = addition.resource.version
            channel.uncertain.discard(name)
            channel.refused.pop(name, None)
            if event.kind is Kind.SCOPES:
                self._name_clusters(name, addition.resource.clusters)
        for name in sent.removals:
            channel.held.pop(name, None)
            channel.uncertain.discard(name)
            channel.refused.pop(name, None)
            if event.kind is Kind.SCOPES:
                self._name_clusters(name, frozenset())

    def _nacked(self, event: Nacked) -> None:
        channel = self._channels[event.kind]
        sent = channel.under_way
        if sent is None or sent.nonce != event.nonce:
            return
        channel.under_way = None
        names = tuple(addition.resource.name for addition in sent.additions)
        channel.uncertain.update(names, sent.removals)
        channel.generations.update(names)
        if len(names) > 1:
            middle = len(names) // 2
            channel.halves.extendleft((names[middle:], names[:middle]))
        for addition in sent.additions if len(names) == 1 else ():
            channel.refused[addition.resource.name] = (addition.resource.version, event.reason)
        for name in sent.removals:
            channel.refused[name] = ("", event.reason)

    # -- what to do

    def _next(self, kind: Kind) -> Send | None:
        channel = self._channels[kind]
        if not channel.subscribed or channel.under_way is not None:
            return None
        additions = self._half(kind) or self._additions(kind)
        removals = () if additions else self._removals(kind)
        if not additions and not removals and (channel.answered or self._is_waiting(kind)):
            return None
        channel.answered = True
        self._nonce += 1
        send = Send(
            kind,
            str(self._nonce),
            tuple(Addition(it, channel.generations[it.name]) for it in additions),
            tuple(removals),
        )
        channel.under_way = send
        if kind is Kind.CLUSTERS:
            for name in removals:
                channel.held.pop(name, None)  # gone at some moment from now on: no scope may count on it
        else:
            for it in additions:
                before = self._named.get(it.name, frozenset())
                self._name_clusters(it.name, None if before is None else before | it.clusters)
        return send

    def _is_waiting(self, kind: Kind) -> bool:
        """Whether there is something to send as soon as a cluster is acknowledged."""
        return kind is Kind.SCOPES and self._channels[Kind.CLUSTERS].under_way is not None

    def _half(self, kind: Kind) -> list[Resource]:
        channel = self._channels[kind]
        while channel.halves:
            names = channel.halves.popleft()
            if found := [self._wanted(kind)[name] for name in names if self._is_to_send(kind, name)]:
                return found
        return []

    def _additions(self, kind: Kind) -> list[Resource]:
        channel, wanted = self._channels[kind], self._wanted(kind)
        settled = [name for name in channel.dirty if self._is_settled(kind, name)]
        channel.dirty.difference_update(settled)
        return [wanted[name] for name in sorted(channel.dirty) if self._is_to_send(kind, name)]

    def _removals(self, kind: Kind) -> list[str]:
        channel, wanted = self._channels[kind], self._wanted(kind)
        unwanted = sorted(name for name in channel.dirty if name not in wanted)
        if kind is Kind.CLUSTERS:
            if not self._channels[Kind.SCOPES].subscribed or self._uses[None]:
                return []
            unwanted = [name for name in unwanted if not self._uses[name]]
        return [name for name in unwanted if channel.refused.get(name, (None, ""))[0] != ""]

    def _is_settled(self, kind: Kind, name: str) -> bool:
        channel, wanted = self._channels[kind], self._wanted(kind).get(name)
        if wanted is None:
            return name not in channel.held and name not in channel.uncertain
        return channel.held.get(name) == wanted.version or self._refusal(kind, wanted) is not None

    def _is_to_send(self, kind: Kind, name: str) -> bool:
        wanted = self._wanted(kind).get(name)
        if wanted is None or self._is_settled(kind, name):
            return False
        return all(self._has_cluster(self._view.clusters[cluster]) for cluster in wanted.clusters)

    def _has_cluster(self, cluster: Resource) -> bool:
        return self._channels[Kind.CLUSTERS].held.get(cluster.name) == cluster.version

    def _refusal(self, kind: Kind, wanted: Resource) -> str | None:
        refused = self._channels[kind].refused.get(wanted.name)
        return refused[1] if refused is not None and refused[0] == wanted.version else None

    def _wanted(self, kind: Kind) -> Mapping[str, Resource]:
        return self._view.clusters if kind is Kind.CLUSTERS else self._view.scopes

    def _name_clusters(self, scope: str, clusters: frozenset[str] | None) -> None:
        before = self._named.pop(scope, frozenset())
        for cluster in (None,) if before is None else before:
            self._uses[cluster] -= 1
            if not self._uses[cluster]:
                del self._uses[cluster]
        after: Iterable[str | None] = (None,) if clusters is None else clusters
        if clusters is None or clusters:
            self._named[scope] = clusters
        for cluster in after:
            self._uses[cluster] += 1


def _is_in(send: Send | None, name: str) -> bool:
    if send is None:
        return False
    return name in send.removals or any(addition.resource.name == name for addition in send.additions)
