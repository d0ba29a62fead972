"""A model of Envoy, and the pure machines put together as the driver does: a world without sockets or clock."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import scoped_route_pb2
from envoy.service.discovery.v3 import discovery_pb2

from modelyard.proxy.desired import Changes, Outcome
from modelyard.proxy.envoy import discovery
from modelyard.proxy.envoy.fleet import Fleet
from modelyard.proxy.envoy.messages import Event, LiveHere, Opened, Send
from modelyard.proxy.envoy.resource import CLUSTER_TYPE, SCOPE_TYPE
from modelyard.proxy.envoy.snapshot import Snapshot
from modelyard.proxy.envoy.stream import Stream

LEASE_SECONDS = 10.0
BAD_PORT = 70_000
BAD_MODEL = "bad"


@dataclass
class ModelEnvoy:
    """Holds what it acknowledged, speaks real discovery messages, and applies parts of what it refuses."""

    id: str
    partly: Callable[[int], int]  # how many of n resources of a refused response it applies
    clusters: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, str] = field(default_factory=dict)
    named: dict[str, frozenset[str]] = field(default_factory=dict)  # by every scope that may be installed
    partial: set[str] = field(default_factory=set)  # scopes it may have installed of refused responses
    inbox: deque[bytes] = field(default_factory=deque)

    def subscriptions(self) -> list[discovery_pb2.DeltaDiscoveryRequest]:
        self.inbox.clear()
        self.partial.clear()  # what it does not say it has, nobody can take away
        self.named = {name: it for name, it in self.named.items() if name in self.scopes}
        return [
            discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, initial_resource_versions=held)
            for type_url, held in ((CLUSTER_TYPE, self.clusters), (SCOPE_TYPE, self.scopes))
        ]

    def take_one(self) -> discovery_pb2.DeltaDiscoveryRequest:
        """Act on the next response and answer it."""
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(self.inbox.popleft())
        is_cluster = response.type_url == CLUSTER_TYPE
        held = self.clusters if is_cluster else self.scopes
        bad = [it.name for it in response.resources if (_bad_cluster if is_cluster else _bad_scope)(it)]
        applied = self.partly(len(response.resources)) if bad else len(response.resources)
        if not is_cluster:
            for it in response.resources:
                scope = scoped_route_pb2.ScopedRouteConfiguration.FromString(it.resource.value)
                names = _clusters_of(scope)
                missing = names - self.clusters.keys()
                assert not missing, f"{self.id}: scope {it.name} was sent before its clusters {missing} were there"
                if it.name not in bad:
                    self.named[it.name] = names | (self.named.get(it.name, frozenset()) if bad else frozenset())
        if is_cluster:
            for name in response.removed_resources:
                users = [scope for scope, names in self.named.items() if name in names]
                assert not users, f"{self.id}: cluster {name} removed while {users} name it"
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        if bad:
            if is_cluster:
                for it in response.resources[:applied]:
                    if it.name not in bad:
                        held.setdefault(it.name, it.version)
            else:
                self.partial.update(it.name for it in response.resources[:applied] if it.name not in bad)
            request.error_detail.code = 13
            request.error_detail.message = f"refused: {', '.join(bad)}"
            return request
        for it in response.resources:
            held[it.name] = it.version
            self.partial.discard(it.name)
        for name in response.removed_resources:
            held.pop(name, None)
            self.partial.discard(name)
            if not is_cluster:
                self.named.pop(name, None)
        return request


def _bad_cluster(it: discovery_pb2.Resource) -> bool:
    cluster = cluster_pb2.Cluster.FromString(it.resource.value)
    endpoints = cluster.load_assignment.endpoints[0].lb_endpoints
    return any(each.endpoint.address.socket_address.port_value == BAD_PORT for each in endpoints)


def _bad_scope(it: discovery_pb2.Resource) -> bool:
    scope = scoped_route_pb2.ScopedRouteConfiguration.FromString(it.resource.value)
    routes = scope.route_configuration.virtual_hosts[0].routes
    return any(added.header.value == BAD_MODEL for route in routes for added in route.request_headers_to_add)


def _clusters_of(scope: scoped_route_pb2.ScopedRouteConfiguration) -> frozenset[str]:
    names: set[str] = set()
    for route in scope.route_configuration.virtual_hosts[0].routes:
        names.update([route.route.cluster] if route.route.cluster else [])
        names.update(each.name for each in route.route.weighted_clusters.clusters)
    return frozenset(names)


@dataclass
class Link:
    envoy: ModelEnvoy
    stream: Stream
    reader: discovery.Reader = field(default_factory=discovery.Reader)


class World:
    """One control plane and its gateways. `check_live` is asked at each outcome."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.links: dict[int, Link] = {}
        self.numbers = 0
        self.sent: list[Send] = []
        self.restart(Snapshot(), opened=True)

    def restart(self, snapshot: Snapshot, *, opened: bool) -> None:
        self.snapshot, self.opened, self.links = snapshot, opened, {}
        self.fleet = Fleet(LEASE_SECONDS)
        self.live: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        if opened:
            self.fleet.open()

    def open(self) -> None:
        self.opened = True
        self.fleet.open()
        self._everybody(self.fleet.pending(), Opened())

    def apply(self, changes: Changes) -> None:
        changed = self.snapshot.apply(changes)
        self.fleet.want(changes.routes, changes.version)
        again = self.snapshot.reaching(self.fleet.pending() - changes.routes.keys(), changed.clusters)
        self.fleet.want_again(again)
        for model in changes.routes:
            self.live.pop(model, None)
            self.refused.pop(model, None)
        self._everybody(changes.routes.keys() | again, changed)

    def connect(self, envoy: ModelEnvoy) -> int:
        self.numbers += 1
        self.fleet.connected(self.numbers, envoy.id, self.now)
        self.links[self.numbers] = Link(envoy, Stream(self.snapshot.view(""), opened=self.opened))
        for request in envoy.subscriptions():
            self._receive(self.numbers, request)
        return self.numbers

    def disconnect(self, number: int) -> None:
        self.links.pop(number)
        self.fleet.disconnected(number, self.now)
        self._tell((), {})

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._tell((), {})

    def step(self, number: int) -> bool:
        """Let the gateway take one response; False where none is there."""
        envoy = self.links[number].envoy
        if not envoy.inbox:
            return False
        self._receive(number, envoy.take_one())
        return True

    def settle(self, most_steps: int = 5000) -> None:
        for _ in range(most_steps):
            steps = [self.step(number) for number in list(self.links)]
            if not any(steps):
                return
        raise AssertionError("does not come to rest")

    def _receive(self, number: int, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        self._tell(*self._advance(number, *self.links[number].reader.read(request)))

    def _everybody(self, touched: "frozenset[str] | Mapping[str, object]", event: Event) -> None:
        all_touched, refused = set(touched), dict[str, str]()
        for number in list(self.links):
            owed, no = self._advance(number, event)
            all_touched |= owed
            refused |= no
        self._tell(all_touched, refused)

    def _advance(self, number: int, *events: Event) -> tuple[frozenset[str], Mapping[str, str]]:
        link = self.links[number]
        for send in link.stream.handle(events):
            self.sent.append(send)
            link.envoy.inbox.append(discovery.encode(send, str(self.snapshot.version)))
        return self.fleet.owed(number), self.fleet.progress(number, link.stream.status)

    def _tell(self, touched: "frozenset[str] | set[str] | tuple[str, ...]", refused: Mapping[str, str]) -> None:
        outcome = self.fleet.outcome(touched, refused, self.now)
        self._check(outcome)
        self.live |= outcome.live
        self.refused |= {model: it.reason for model, it in outcome.refused.items()}

    def _check(self, outcome: Outcome) -> None:
        for model in outcome.live:
            wanted = self.snapshot.scopes.get(model)
            for link in self.links.values():
                envoy = link.envoy
                assert envoy.scopes.get(model) == (wanted.version if wanted else None), f"{model} live, not in {envoy}"
                for cluster in wanted.clusters if wanted else ():
                    assert envoy.clusters[cluster] == self.snapshot.clusters[cluster].version
                assert link.stream.status(model) == LiveHere()
                for waiting in map(discovery_pb2.DeltaDiscoveryResponse.FromString, envoy.inbox):
                    names = {*waiting.removed_resources, *(it.name for it in waiting.resources)}
                    assert model not in names, f"{model} live, and about to change in {envoy}"
