"""What every Envoy should hold, kept up to date change by change; consistent after each.

Pure. Costs what the changes cost, not what there is: resources of unchanged names are never touched.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from modelyard.proxy.desired import Changes, Route
from modelyard.proxy.envoy import clusters, scopes
from modelyard.proxy.envoy.resource import Resource


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of the resources that one apply made, changed or removed."""

    clusters: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    def __or__(self, other: "Changed") -> "Changed":
        return Changed(self.clusters | other.clusters, self.scopes | other.scopes)


class Snapshot:
    """The desired state as Envoy resources. Its owner mutates it by `apply`; streams only read it."""

    def __init__(self) -> None:
        self.version = 0
        self.clusters: dict[str, Resource] = {}
        self.scopes: dict[str, Resource] = {}
        self._routes: dict[str, Route] = {}
        self._replica_sets: set[str] = set()
        self._uses: Counter[str] = Counter()

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
            for name, resource in clusters.build(set_id, endpoints):
                if _put(self.clusters, name, resource):
                    changed_clusters.add(name)
            if endpoints is None:
                self._replica_sets.discard(set_id)
            else:
                self._replica_sets.add(set_id)
        for model, route in changes.routes.items():
            self._use(model, route)
            if _put(self.scopes, model, None if route is None else scopes.build(model, route)):
                changed_scopes.add(model)
        return Changed(frozenset(changed_clusters), frozenset(changed_scopes))

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
