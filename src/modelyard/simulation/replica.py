"""A simulated replica: a server with memory and a disk, and beside it the real machine of an agent."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard.agent import messages as agent_messages
from modelyard.agent.machine import Agent
from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelMeasure,
    ModelVersion,
    Operation,
    OperationKind,
    Subscription,
)
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.simulation.events import Timeline


@dataclass(frozen=True)
class Troubles:
    """How often things go wrong, from 0 (never) to 1. `grows`: what a model takes more than when it was loaded."""

    load_fails: float = 0.0
    unload_fails: float = 0.0
    fetch_fails: float = 0.0
    grows: float = 0.0


class Replica:
    """`on_load` is told when the agent orders a load, `on_unload` when a version is taken out of the server by order.

    `taken_bytes`: what a model really takes in memory, which its server measures.
    """

    def __init__(
        self,
        timeline: Timeline,
        id: ReplicaId,
        config: ReplicaConfig,
        *,
        subscribe: Callable[["Replica", str, Subscription], None],
        tell: Callable[["Replica", str, ModelEvent], None],
        on_unload: Callable[["Replica", VersionId], None],
        on_load: Callable[["Replica"], None],
        report: Callable[["Replica", str, tuple[ModelMeasure, ...]], None],
        taken_bytes: Callable[[Model], int],
    ) -> None:
        self.id, self.config = id, config
        self.troubles = Troubles()
        self.held: dict[VersionId, ModelVersion] = {}  # in the server's memory
        self.disk: dict[VersionId, agent_messages.Kept] = {}
        self.server_up = True
        self.agent: Agent | None = None
        self._timeline = timeline
        self._subscribe, self._tell, self._on_unload, self._report = subscribe, tell, on_unload, report
        self._on_load, self._taken_bytes = on_load, taken_bytes
        self._life = 0  # of the agent; what an earlier one started ends nowhere
        self._server_life = 0
        self._sessions = 0
        self._loading: dict[VersionId, int] = {}

    # -- the agent's life

    def start_agent(self) -> None:
        assert self.agent is None
        self._life += 1
        self.agent = Agent(self.id, self.config, least_measured_bytes=0)
        self._hear(agent_messages.Restored(tuple(self.disk.values())))
        self._watch_server()
        life = self._life
        self._timeline.after(0.02, lambda: self.open_session() if self._life == life else None)

    def kill_agent(self) -> None:
        """`kill -9`: the server goes on with what it holds, and finishes what it was asked."""
        self._life += 1
        self.agent = None

    def open_session(self) -> None:
        if self.agent is not None and self.agent.session is None:
            self._sessions += 1
            self._hear(agent_messages.SessionOpened(f"{self.id}#{self._sessions}"))

    def lose_session(self, session: str) -> None:
        if self.agent is not None and self.agent.session == session:
            self._hear(agent_messages.SessionLost(session))
            self._later(lambda: self.open_session(), 2.0)

    def order(self, session: str, operation: Operation) -> None:
        if self.agent is None:
            return
        it = operation.model_version
        if operation.kind is OperationKind.LOAD:
            self._hear(agent_messages.LoadOrdered(session, it, operation.autoscaling))
        else:
            self._hear(agent_messages.UnloadOrdered(session, it.id))

    # -- the server's life

    def crash_server(self) -> None:
        self.server_up = False
        self._server_life += 1
        self.held.clear()
        self._loading.clear()
        self._later(lambda: None if self.server_up else self._hear(agent_messages.ServerDown()), 0.5)

    def start_server(self) -> None:
        self.server_up = True

    def true_bytes(self) -> int:
        """What the server's memory really holds."""
        return sum(self.taken_bytes(it) for it in self.held.values()) + sum(self._loading.values())

    def taken_bytes(self, it: ModelVersion) -> int:
        return round(self._taken_bytes(it.model) * (1 + self.troubles.grows))

    def _watch_server(self) -> None:
        """Looks every half second, as the real agent does; a restart in between shows as down, then ready."""
        life, seen = self._life, self._server_life

        def look() -> None:
            nonlocal seen
            if self._life != life:
                return
            if self.server_up and self.agent is not None:
                if seen != self._server_life:
                    self._hear(agent_messages.ServerDown())
                seen = self._server_life
                models = frozenset(str(v) for v in self.held)
                self._hear(agent_messages.ServerReady(models, self._timeline.now))
                figures = {id: agent_messages.Figure(self.taken_bytes(it)) for id, it in self.held.items()}
                self._hear(agent_messages.Measured(figures, self._timeline.now))
                self._tell_measures()
            self._timeline.after(0.5, look)

        self._timeline.after(0.01, look)

    def _tell_measures(self) -> None:
        if self.agent is not None and self.agent.session is not None and (measures := self.agent.take_measures()):
            self._report(self, self.agent.session, measures)

    # -- effects

    def _hear(self, event: agent_messages.Event) -> None:
        if self.agent is None:
            return
        effects = self.agent.handle([event], self._timeline.now)
        if any(isinstance(it, agent_messages.Load) for it in effects):
            self._on_load(self)
        for effect in effects:
            self._perform(effect)

    def _later(self, call: Callable[[], None], most_seconds: float) -> None:
        """Unless the agent dies before."""
        life = self._life
        self._timeline.soon(lambda: call() if self._life == life else None, most_seconds)

    def _perform(self, effect: agent_messages.Effect) -> None:
        match effect:
            case agent_messages.Subscribe(session, subscription):
                self._subscribe(self, session, subscription)
            case agent_messages.Tell(session, event):
                self._tell_measures()
                self._tell(self, session, event)
            case agent_messages.Save(model_version, artifact, measured_bytes):
                self.disk[model_version.id] = agent_messages.Kept(model_version, artifact, measured_bytes)
            case agent_messages.Forget(version):
                self.disk.pop(version, None)
            case agent_messages.Fetch(model_version):
                self._fetch(model_version.id)
            case agent_messages.Load(model_version):
                self._load(model_version)
            case agent_messages.Unload(version):
                self._unload(version)
            case agent_messages.CancelFetch() | agent_messages.CheckServer():
                pass

    def _happens(self, probability: float) -> bool:
        return self._timeline.chance.random() < probability

    def _fetch(self, version: VersionId) -> None:
        failed = self._happens(self.troubles.fetch_fails)
        end = (
            agent_messages.FetchFailed(version, "the store is away")
            if failed
            else agent_messages.Fetched(version, f"key-{version}")
        )
        self._later(lambda: self._hear(end), 1.0)

    def _load(self, it: ModelVersion) -> None:
        life, agent_life = self._server_life, self._life
        if self.server_up:
            self._loading[it.id] = self.taken_bytes(it)
        failed = self._happens(self.troubles.load_fails)

        def end() -> None:
            outcome: agent_messages.Event
            if not self.server_up or self._server_life != life:
                outcome = agent_messages.LoadFailed(it.id, "the connection broke", lost=True)
            else:
                self._loading.pop(it.id, None)
                outcome = agent_messages.LoadFailed(it.id, "a bad artifact")
                if not failed:
                    self.held[it.id] = it
                    outcome = agent_messages.Loaded(it.id, 5, agent_messages.Figure(self.taken_bytes(it)))
            if self._life == agent_life:
                self._hear(outcome)

        self._timeline.soon(end, 2.0)

    def _unload(self, version: VersionId) -> None:
        life, agent_life = self._server_life, self._life
        self._on_unload(self, version)
        failed = self._happens(self.troubles.unload_fails)

        def end() -> None:
            outcome: agent_messages.Event
            if not self.server_up or self._server_life != life:
                outcome = agent_messages.UnloadFailed(version, "the connection broke", lost=True)
            elif failed:
                outcome = agent_messages.UnloadFailed(version, "busy")
            else:
                self.held.pop(version, None)
                outcome = agent_messages.Unloaded(version)
            if self._life == agent_life:
                self._hear(outcome)

        self._timeline.soon(end, 1.0)
