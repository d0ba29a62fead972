"""One cluster: the real scheduler machine on a journal that survives it, replicas with real agent machines, gateways.

The network between them delays, cuts and delivers late. `on_step` is called after every turn of the scheduler.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from modelyard.domain.agent_protocol import ModelEvent, ModelMeasure, Subscription
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.scheduler import messages
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.settings import Settings
from modelyard.simulation.digest import digest
from modelyard.simulation.disk import Disk
from modelyard.simulation.events import Line, Timeline
from modelyard.simulation.proxies import Driver, Gateway
from modelyard.simulation.replica import Replica

SETTINGS = Settings(restart_wait_seconds=20.0, suspect_seconds=3.0, probe_seconds=2.0)


@dataclass
class Session:
    replica: Replica
    id: str
    up: Line
    down: Line


class Cluster:
    def __init__(
        self, timeline: Timeline, configs: Mapping[ReplicaId, ReplicaConfig], gateways: int, log: Callable[[str], None]
    ) -> None:
        self.timeline = timeline
        self.log = log
        self.disk = Disk()
        self.scheduler: Scheduler | None = None
        self.driver: Driver | None = None
        self.gateways = [Gateway(f"gateway-{i}") for i in range(gateways)]
        self.sessions: dict[tuple[ReplicaId, str], Session] = {}
        self.acknowledged: dict[str, Model | None] = {}  # what the API said yes to, last; None: to delete
        self.in_doubt: dict[str, list[Model | None]] = {}  # asked for, and never answered: it may be so or not
        self.answers: dict[int, messages.Answer] = {}
        self.unloaded: list[tuple[ReplicaId, VersionId]] = []  # since the invariants last looked
        self.on_stale: Callable[[object, object], None] = lambda _before, _after: None
        self.on_load: Callable[[Replica], None] = lambda _: None
        self.on_step: Callable[[list[messages.Effect]], None] = lambda _: None
        self._tickets: dict[int, tuple[str, Model | None]] = {}
        self._life = 0
        self._alarm = 0
        self.replicas = {
            id: Replica(
                timeline,
                id,
                config,
                subscribe=self._subscribe,
                tell=self._tell,
                on_load=lambda replica: self.on_load(replica),
                on_unload=lambda replica, version: self.unloaded.append((replica.id, version)),
                report=self._report,
                taken_bytes=self.taken_bytes,
            )
            for id, config in configs.items()
        }

    # -- the scheduler's life

    def start_scheduler(self) -> None:
        assert self.scheduler is None
        self._life += 1
        self.scheduler = Scheduler(SETTINGS, self.disk.read())
        self.driver = Driver(self.timeline, self.disk.gateways, self._settled)
        self._perform(self.scheduler.start(self.timeline.now))
        self.log("the scheduler started")

    def kill_scheduler(self) -> None:
        """Everything in memory is lost; streams end for the others a little later."""
        assert self.driver is not None
        self.log("the scheduler was killed")
        self._life += 1
        self.scheduler = None
        self.driver.dead = True
        for gateway in self.gateways:
            if gateway.driver is not None:
                assert gateway.line is not None
                gateway.line.cut = True
                gateway.driver = None
        for session in list(self.sessions.values()):
            self._cut(session)
        for name, model in self._tickets.values():
            self.in_doubt.setdefault(name, []).append(model)
        self._tickets.clear()

    def hear(self, event: messages.Event, *, crash_after: int | None = None) -> None:
        """`crash_after`: the scheduler is killed when it has performed so many of the effects."""
        if self.scheduler is None:
            return
        before = self.scheduler
        effects = self.scheduler.handle([event], self.timeline.now)
        if crash_after is not None and crash_after < len(effects):
            self._perform(effects[:crash_after])
            if self.scheduler is before:
                self.kill_scheduler()
            return
        self._perform(effects)
        self.on_step(effects)

    def _wake(self, alarm: int) -> None:
        if self.scheduler is not None and alarm == self._alarm:
            effects = self.scheduler.handle([], self.timeline.now)
            self._perform(effects)
            self.on_step(effects)

    def _perform(self, effects: list[messages.Effect]) -> None:
        assert self.driver is not None
        for effect in effects:
            match effect:
                case messages.Journal(writes, notes):
                    self.disk.write(writes)
                    for note in notes:
                        self.log(f"{note.subject}: {note.text} ({note.cause})")
                case messages.Send(replica, id, operation):
                    session = self.sessions.get((replica, id))
                    if session is not None:
                        session.down.send(lambda s=session, o=operation: s.replica.order(s.id, o))  # type: ignore[misc]
                case messages.CloseSession(replica, id):
                    session = self.sessions.get((replica, id))
                    if session is not None:
                        self._cut(session)
                case messages.PublishRoutes():
                    self.driver.publish(effect)
                case messages.ProbeEndpoint(replica):
                    self._probe(replica)
                case messages.Reply(ticket, answer):
                    self._answered(ticket, answer)
                case messages.Opened():
                    self.driver.open()
                case messages.WakeAt(time):
                    self._alarm += 1
                    alarm = self._alarm
                    self.timeline.after(max(0.0, time - self.timeline.now), lambda a=alarm: self._wake(a))  # type: ignore[misc]
                case messages.StatusChanged() | messages.ManifestsChanged():
                    pass
                case _:
                    assert_never(effect)

    def _answered(self, ticket: int, answer: messages.Answer) -> None:
        self.answers[ticket] = answer
        name, model = self._tickets.pop(ticket, ("", None))
        if name and isinstance(answer, messages.ModelAnswer | messages.Done):
            self.acknowledged[name] = model
            self.in_doubt.pop(name, None)

    def ticket(self, name: str = "", model: Model | None = None) -> int:
        """For an event that is to be answered. `name`: a yes means this model is wanted so (None: not at all)."""
        ticket = len(self.answers) + len(self._tickets) + self._life * 1_000_000
        self._tickets[ticket] = (name, model)
        return ticket

    def _probe(self, id: ReplicaId) -> None:
        life = self._life

        def answer() -> None:
            if self._life == life:
                self.hear(messages.EndpointProbed(id, self.replicas[id].server_up, f"probe {id}"))

        self.timeline.soon(answer, 0.3)

    # -- agents

    def _subscribe(self, replica: Replica, id: str, subscription: Subscription) -> None:
        if self.scheduler is None:
            self.timeline.soon(lambda: replica.lose_session(id), 0.5)
            return
        session = Session(replica, id, Line(self.timeline), Line(self.timeline))

        def arrive() -> None:
            if self.scheduler is None:
                replica.lose_session(id)
                return
            self.sessions[replica.id, id] = session
            self.hear(messages.ReplicaSubscribed(id, subscription, False, f"agent of {replica.id} subscribed"))

        session.up.send(arrive, survives_cut=True)
        self._pending_session(session)

    def _pending_session(self, session: Session) -> None:
        """Until the subscription has arrived the session is known to the agent's side only."""
        self.sessions.setdefault((session.replica.id, session.id), session)

    def _tell(self, replica: Replica, id: str, event: ModelEvent) -> None:
        self._send_up(
            replica, id, messages.ModelReported(id, event, f"{replica.id} said {event.kind.name} {event.version}")
        )

    def _send_up(self, replica: Replica, id: str, event: messages.Event) -> None:
        session = self.sessions.get((replica.id, id))
        if session is None:
            return
        life = self._life

        def arrive() -> None:
            if self._life != life or self.scheduler is None:
                return
            known = self.scheduler.state.replica(replica.id)
            stale = known is None or known.session != id
            before = digest(self.scheduler.state)
            self.hear(event)
            if stale:
                self.on_stale(before, digest(self.scheduler.state))

        session.up.send(arrive)
        # What the network held back when the connection broke comes later, when nobody expects it.
        self.timeline.soon(lambda: arrive() if session.up.cut else None, 6.0)

    def _report(self, replica: Replica, id: str, measures: tuple[ModelMeasure, ...]) -> None:
        self._send_up(replica, id, messages.ModelsMeasured(replica.id, id, measures, f"report of {replica.id}"))

    def taken_bytes(self, model: Model) -> int:
        """Half of the artifacts take what was declared for them; the others something of their own."""
        uri = model.spec.artifact.uri
        own = random.Random(f"{self.timeline.seed} {uri}").choice((None, None, None, 5, 40, 120))
        return (model.spec.memory_bytes or 0) if own is None else own

    def _cut(self, session: Session) -> None:
        """The stream ends: each side learns of it in its own time."""
        session.up.cut = session.down.cut = True
        self.sessions.pop((session.replica.id, session.id), None)
        life = self._life
        lost = messages.ReplicaLost(session.replica.id, session.id, f"agent of {session.replica.id} was lost")
        self.timeline.soon(lambda: self.hear(lost) if self._life == life else None, 0.5)
        self.timeline.soon(lambda: session.replica.lose_session(session.id), 1.0)

    def cut_sessions_of(self, replica: ReplicaId) -> None:
        for session in [s for (id, _), s in self.sessions.items() if id == replica]:
            self._cut(session)

    # -- gateways

    def connect(self, gateway: Gateway) -> None:
        if self.driver is not None and self.scheduler is not None and gateway.driver is None:
            self.driver.connect(gateway)
            self.disk.gateways = self.driver.ids()

    def disconnect(self, gateway: Gateway) -> None:
        if gateway.driver is not None:
            gateway.driver.disconnect(gateway)

    def _settled(self, live: Mapping[str, int]) -> None:
        self.hear(messages.RoutesSettled(live, {}, "the gateways answered"))
