"""What every Envoy should hold, kept up to date change by change; consistent after each.

Pure. Costs what the changes cost, not what there is: resources of unchanged names are never touched.
"""

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelyard.proxy.desired import Changes, Endpoint, Route
from modelyard.proxy.envoy import clusters, scopes
from modelyard.proxy.envoy.resource import Resource

ScopeBuilder: TypeAlias = Callable[[str, Route], Resource]


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of the resources that one apply made, changed or removed."""

    clusters: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def __or__(self, other: "Changed") -> "Changed":
        return Changed(self.clusters | other.clusters, self.scopes | other.scopes)


@dataclass(frozen=True, slots=True)
class View:
    """What the Envoys on one machine should hold, as it changes; streams only read it."""

    clusters: Mapping[str, Resource]
    scopes: Mapping[str, Resource]


class Snapshot:
    """The desired state as Envoy resources. Its owner mutates it by `apply`.

    `clusters` are those of gateways that share no machine with a replica; of the others `_local` has those that differ.
    """

    def __init__(self, build_scope: ScopeBuilder = scopes.build) -> None:
        self._build_scope = build_scope
        self.version = 0
        self.clusters: dict[str, Resource] = {}
        self.scopes: dict[str, Resource] = {}
        self._local: dict[str, dict[str, Resource]] = {}  # by machine
        self._routes: dict[str, Route] = {}
        self._replica_sets: dict[str, frozenset[str]] = {}  # the machines on which they differ
        self._uses: Counter[str] = Counter()

    def view(self, machine: str) -> View:
        """Of the gateways on that machine; empty: not known."""
        if not machine:
            return View(self.clusters, self.scopes)
        return View(ChainMap(self._local.setdefault(machine, {}), self.clusters), self.scopes)

    def reaching(self, models: Iterable[str], clusters: frozenset[str]) -> frozenset[str]:
        """Those of the models whose route leads to one of the clusters."""
        if not clusters:
            return frozenset()
        scopes = ((model, self.scopes.get(model)) for model in models)
        return frozenset(model for model, scope in scopes if scope is not None and scope.clusters & clusters)

    def apply(self, changes: Changes) -> Changed:
        """Fold changes in. AssertionError, and nothing changed, where a route would name a set that is not there."""
        assert changes.version > self.version, f"version {changes.version} after {self.version}"
        self._check(changes)
        self.version = changes.version
        changed_clusters: set[str] = set()
        changed_scopes: set[str] = set()
        for set_id, endpoints in changes.replica_sets.items():
            changed_clusters.update(self._put_set(set_id, endpoints))
        for model, route in changes.routes.items():
            self._use(model, route)
            if _put(self.scopes, model, None if route is None else self._build_scope(model, route)):
                changed_scopes.add(model)
        return Changed(frozenset(changed_clusters), frozenset(changed_scopes))

    def _put_set(self, set_id: str, endpoints: Mapping[str, Endpoint] | None) -> Iterator[str]:
        """The names of the clusters that this changes for anybody."""
        here = clusters.machines(endpoints) if endpoints is not None else frozenset()
        before = self._replica_sets.pop(set_id, frozenset())
        if endpoints is not None:
            self._replica_sets[set_id] = here
        for machine in ("", *sorted(before | here)):
            held = self._local.setdefault(machine, {}) if machine else self.clusters
            wanted = machine in here or not machine
            built = clusters.build(set_id, endpoints, machine) if endpoints is not None and wanted else ()
            found = {it.name: it for it in built}
            yield from (it for it in clusters.names(set_id) if _put(held, it, found.get(it)))

    def _use(self, model: str, route: Route | None) -> None:
        for set_id in _sets(self._routes.pop(model, None)):
            self._uses[set_id] -= 1
            if not self._uses[set_id]:
                del self._uses[set_id]
        self._uses.update(_sets(route))
        if route is not None:
            self._routes[model] = route

    def _check(self, changes: Changes) -> None:
        uses: Counter[str] = Counter()
        for model, route in changes.routes.items():
            uses.subtract(_sets(self._routes.get(model)))
            uses.update(_sets(route))
            for set_id in _sets(route):
                known = changes.replica_sets.get(set_id) is not None or (
                    set_id in self._replica_sets and set_id not in changes.replica_sets
                )
                assert known, f"the route of {model} names the unknown replica set {set_id}"
        for set_id, endpoints in changes.replica_sets.items():
            if endpoints is None:
                assert self._uses[set_id] + uses[set_id] == 0, f"replica set {set_id} is removed while routes name it"


def _sets(route: Route | None) -> frozenset[str]:
    return frozenset() if route is None else frozenset(variant.replica_set for variant in route.variants)


def _put(resources: dict[str, Resource], name: str, resource: Resource | None) -> bool:
    """Whether that changed anything."""
    before = resources.get(name)
    if resource is None:
        resources.pop(name, None)
        return before is not None
    resources[name] = resource
    return before is None or before.version != resource.version
