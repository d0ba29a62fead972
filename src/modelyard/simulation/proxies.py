"""Simulated gateways and the driver in front of them: routes arrive late, gateways come and go, acks take time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelyard.scheduler.messages import PublishRoutes, ServingVersion
from modelyard.simulation.events import Line, Timeline

LEASE_SECONDS = 10.0


@dataclass
class Gateway:
    """A proxy. `routes` is what requests follow, whoever is connected."""

    id: str
    routes: dict[str, ServingVersion] = field(default_factory=dict)
    driver: "Driver | None" = None
    line: Line | None = None
    lost_at: float | None = None


class Driver:
    """Lives and dies with the scheduler. Tells `settled({model: sequence})` when the whole ACK set has a route."""

    def __init__(self, timeline: Timeline, known: frozenset[str], settled: Callable[[Mapping[str, int]], None]) -> None:
        self._timeline = timeline
        self._settled = settled
        self._wanted: dict[str, tuple[int, ServingVersion | None]] = {}
        self._told: dict[str, int] = {}
        self._acked: dict[str, dict[str, int]] = {}  # gateway -> model -> sequence
        self._leases = dict.fromkeys(known, timeline.now)
        self._connected: dict[str, Gateway] = {}
        self._opened = False
        self.dead = False

    def publish(self, effect: PublishRoutes) -> None:
        for model, serving in effect.routes.items():
            self._wanted[model] = (effect.sequence, serving)
            for gateway in self._connected.values():
                self._push(gateway, model)
        self._timeline.soon(self.settle, 0.05)

    def open(self) -> None:
        self._opened = True
        self._leases = dict.fromkeys(self._leases, self._timeline.now)
        for id in self._leases:
            self._timeline.after(LEASE_SECONDS + 0.1, self.settle)
            self._acked.setdefault(id, {})
        for gateway in self._connected.values():
            self._sync(gateway)
        self.settle()

    def connect(self, gateway: Gateway) -> None:
        gateway.driver, gateway.line, gateway.lost_at = self, Line(self._timeline), None
        self._connected[gateway.id] = gateway
        self._leases.pop(gateway.id, None)
        self._acked[gateway.id] = {}
        if self._opened:
            self._sync(gateway)

    def disconnect(self, gateway: Gateway) -> None:
        assert gateway.line is not None
        gateway.line.cut = True
        gateway.driver = None
        del self._connected[gateway.id]
        self._leases[gateway.id] = self._timeline.now
        self._timeline.after(LEASE_SECONDS + 0.1, self.settle)

    def ids(self) -> frozenset[str]:
        return frozenset(self._connected) | frozenset(self._leases)

    def counts(self, gateway: str) -> bool:
        """Whether the gateway is in the ACK set."""
        lost_at = self._leases.get(gateway)
        return gateway in self._connected or (lost_at is not None and self._timeline.now < lost_at + LEASE_SECONDS)

    def _sync(self, gateway: Gateway) -> None:
        """Everything that differs; what it has and we do not want is taken away."""
        for model in sorted(self._wanted.keys() | gateway.routes.keys()):
            self._push(gateway, model)

    def _push(self, gateway: Gateway, model: str) -> None:
        if not self._opened:
            return
        sequence, serving = self._wanted.get(model, (0, None))

        def arrive() -> None:
            if serving is None:
                gateway.routes.pop(model, None)
            else:
                gateway.routes[model] = serving
            assert gateway.line is not None
            back = gateway.line
            self._timeline.soon(lambda: None if back.cut else self._ack(gateway, model, sequence), 0.2)

        assert gateway.line is not None
        gateway.line.send(arrive)

    def _ack(self, gateway: Gateway, model: str, sequence: int) -> None:
        if not self.dead:
            self._acked[gateway.id][model] = max(sequence, self._acked[gateway.id].get(model, 0))
            self.settle()

    def settle(self) -> None:
        if self.dead or not self._opened:
            return
        counting = [id for id in self._acked if self.counts(id)]
        live: dict[str, int] = {}
        for model, (sequence, _) in self._wanted.items():
            if self._told.get(model, 0) < sequence and all(
                self._acked[id].get(model, 0) >= sequence for id in counting
            ):
                live[model] = self._told[model] = sequence
        if live:
            self._settled(live)
