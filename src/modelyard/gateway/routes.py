"""From placements to what proxies should do: routes per model, and the replica sets that these need.

Pure, and incremental: `changes` holds what was touched since the last call, so one more model costs one more route.
A replica set exists while a route names it; one set per distinct choice of replicas, e.g. "local:0,1".
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.proxy.desired import Changes, Endpoint, Route, Variant


@dataclass(frozen=True, slots=True)
class Serving:
    """A model version and the replicas that answer for it. Without a weight each replica counts one."""

    version: VersionId
    replicas: frozenset[ReplicaId]
    weight: int | None = None


def set_id(replicas: Iterable[ReplicaId]) -> str:
    """`local:0,1`; over several servers `gpu:0;local:0,1`. Server names hold neither ':' nor ';'."""
    servers = groupby(sorted(replicas), key=lambda replica: replica.server)
    return ";".join(f"{server}:{','.join(str(replica.index) for replica in group)}" for server, group in servers)


class RouteTable:
    """Its owner says where replicas are and who serves what; `changes` says what proxies must hear of that."""

    def __init__(self) -> None:
        self._endpoints: dict[ReplicaId, Endpoint] = {}
        self._routes: dict[str, Route] = {}
        self._members: dict[str, frozenset[ReplicaId]] = {}  # of sets that some route names
        self._uses: Counter[str] = Counter()
        self._sets_of: dict[ReplicaId, set[str]] = {}
        self._told_sets: dict[str, Mapping[str, Endpoint]] = {}
        self._touched_sets: set[str] = set()
        self._touched_routes: set[str] = set()

    def endpoint_changed(self, replica: ReplicaId, config: ReplicaConfig | None) -> None:
        """Where gateways reach the replica; None: nowhere, it drops out of every set it is in."""
        if config is None:
            self._endpoints.pop(replica, None)
        else:
            offers = config.offers
            self._endpoints[replica] = Endpoint(
                config.host,
                config.http_port,
                config.grpc_port,
                offers.grpc_over_http1,
                offers.unix_socket,
                offers.machine,
            )
        self._touched_sets |= self._sets_of.get(replica, set())

    def set_route(self, model: str, variants: tuple[Serving, ...] | None) -> None:
        """Who serves the model from now on. None, or nobody with a replica: no route."""
        serving = [variant for variant in variants or () if variant.replicas]
        route = Route(tuple(self._variant(variant) for variant in serving)) if serving else None
        before = self._routes.get(model)
        self._touched_routes.add(model)  # even where it is the same: its owner waits for an outcome at this version
        if route == before:
            return
        for variant in serving:
            self._use(set_id(variant.replicas), variant.replicas)
        if route is None:
            del self._routes[model]
        else:
            self._routes[model] = route
        for old in before.variants if before is not None else ():
            self._release(old.replica_set)

    def changes(self, version: int) -> Changes | None:
        """What changed since the last call; None where nothing did."""
        sets: dict[str, Mapping[str, Endpoint] | None] = {}
        for name in sorted(self._touched_sets):
            members = self._members.get(name)
            if members is None:
                if self._told_sets.pop(name, None) is not None:
                    sets[name] = None
                continue
            endpoints = {str(it): self._endpoints[it] for it in sorted(members) if it in self._endpoints}
            if self._told_sets.get(name) != endpoints:
                sets[name] = self._told_sets[name] = endpoints
        routes = {model: self._routes.get(model) for model in sorted(self._touched_routes)}
        self._touched_sets, self._touched_routes = set(), set()
        return Changes(version, sets, routes) if sets or routes else None

    @staticmethod
    def _variant(serving: Serving) -> Variant:
        weight = len(serving.replicas) if serving.weight is None else serving.weight
        return Variant(set_id(serving.replicas), str(serving.version), weight)

    def _use(self, name: str, members: frozenset[ReplicaId]) -> None:
        self._uses[name] += 1
        if self._uses[name] == 1:
            self._members[name] = members
            self._touched_sets.add(name)
            for replica in members:
                self._sets_of.setdefault(replica, set()).add(name)

    def _release(self, name: str) -> None:
        self._uses[name] -= 1
        if self._uses[name]:
            return
        del self._uses[name]
        self._touched_sets.add(name)
        for replica in self._members.pop(name):
            self._sets_of[replica].discard(name)
            if not self._sets_of[replica]:
                del self._sets_of[replica]
