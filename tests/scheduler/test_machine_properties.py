"""The scheduler's machine in a small world that fails: the invariants hold throughout, and in the end all is well.

The world: four replicas on two servers whose agents come, go and answer as they like, gateways that take routes in
order but late, a journal that survives restarts. `Held` is what is really in a server's memory.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelEventKind,
    ModelVersion,
    Operation,
    OperationKind,
    Subscription,
)
from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.status import ModelState
from modelyard.scheduler import messages
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.messages import Event, ServingVersion
from modelyard.scheduler.settings import Settings
from tests.scheduler.invariants import check

IDS = [ReplicaId(server, index) for server in ("a", "b") for index in (0, 1)]
NAMES = ["iris", "wine", "beer"]
MEMORY = 1000


class Agent:
    """One replica: its server's memory, and the orders that its agent has not read."""

    def __init__(self, id: ReplicaId) -> None:
        self.id = id
        self.session = ""
        self.sessions = 0
        self.orders: list[Operation] = []
        self.held: dict[VersionId, ModelVersion] = {}


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.folder.name) / "journal.db")
        self.journal._db.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug here
        self.now = 1000.0
        self.tickets = 0
        self.owed: set[int] = set()
        self.agents = {id: Agent(id) for id in IDS}
        self.probes: list[ReplicaId] = []
        self.acked: dict[str, list[ServingVersion | None]] = {}  # what gateways may hold; one once they acknowledged
        self.published: list[tuple[int, str, ServingVersion | None]] = []  # not acknowledged, in order
        self.wanted: dict[str, Model] = {}
        self.numbers: dict[str, int] = {}
        self.settings = Settings(restart_wait_seconds=30, suspect_seconds=5, probe_seconds=5)
        self.start()

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.journal.close()
            self.folder.cleanup()

    # -- the machine and its effects

    def start(self) -> None:
        self.machine = Scheduler(self.settings, self.journal.read())
        for agent in self.agents.values():
            agent.session, agent.orders = "", []
        self.probes.clear()
        self.owed.clear()
        for _, name, it in self.published:  # some gateway may have it, but nobody will hear of that any more
            self.acked.setdefault(name, [None]).append(it)
        self.published.clear()
        self.perform(self.machine.start(self.now))

    def tell(self, *events: Event) -> None:
        self.perform(self.machine.handle(events, self.now))

    def perform(self, effects: list[messages.Effect]) -> None:
        for effect in effects:
            match effect:
                case messages.Journal(writes, notes):
                    self.journal.write(writes, notes)
                    for write in writes:
                        if isinstance(write, messages.PutModel):
                            assert write.latest >= self.numbers.get(write.name, 0), "a version number was used again"
                            self.numbers[write.name] = write.latest
                case messages.Send(replica, session, order):
                    agent = self.agents[replica]
                    if agent.session == session:
                        agent.orders.append(order)
                    if order.kind is OperationKind.UNLOAD:
                        self.assert_not_routed(order.model_version.id, replica)
                    else:
                        memory = order.model_version.model.spec.memory_bytes or 0
                        assert memory <= MEMORY, "S9: larger than the replica"
                case messages.PublishRoutes(sequence, routes, _):
                    self.published += [(sequence, name, it) for name, it in routes.items()]
                case messages.ProbeEndpoint(replica, _):
                    self.probes.append(replica)
                case messages.Reply(ticket, _):
                    assert ticket in self.owed, "answered twice, or never asked"
                    self.owed.discard(ticket)
                case messages.WakeAt(time):
                    assert time > self.now

    def assert_not_routed(self, version: VersionId, replica: ReplicaId) -> None:
        """S4: no gateway may still send requests there."""
        unacknowledged = (it for _, name, it in self.published if name == version.model)
        for it in (*self.acked.get(version.model, ()), *unacknowledged):
            routed = it is not None and it.version == version and replica in it.replicas
            assert not routed, f"{version} is unloaded from {replica} while gateways route to it"

    def ticket(self) -> int:
        self.tickets += 1
        self.owed.add(self.tickets)
        return self.tickets

    # -- users

    @rule(
        name=st.sampled_from(NAMES),
        uri=st.sampled_from("xy"),
        memory=st.sampled_from([100, 400, 700, 1500]),
        wanted=st.integers(1, 2),
        minimum=st.sampled_from([None, 1]),
    )
    def apply(self, name: str, uri: str, memory: int, wanted: int, minimum: int | None) -> None:
        model = Model(name, ModelSpec(Artifact(uri), memory_bytes=memory), Replicas(wanted, minimum))
        self.wanted[name] = model
        self.tell(messages.ModelApplied(model, self.ticket(), "apply"))

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[name]
        self.tell(messages.ModelDeleted(name, self.ticket(), "delete"))

    @rule(id=st.sampled_from(IDS), within=st.integers(1, 20))
    def drain(self, id: ReplicaId, within: int) -> None:
        self.tell(messages.DrainAsked(id, self.now + within, self.ticket(), "drain"))

    # -- agents

    @rule(id=st.sampled_from(IDS), emptied=st.booleans())
    def subscribe(self, id: ReplicaId, emptied: bool) -> None:
        agent = self.agents[id]
        if emptied:
            agent.held.clear()
        agent.sessions += 1
        agent.session, agent.orders = f"{id}#{agent.sessions}", []
        config = ReplicaConfig("h", 1, 2, MEMORY)
        subscription = Subscription(id, config, True, tuple(agent.held.values()))
        self.tell(messages.ReplicaSubscribed(agent.session, subscription, False, "subscribe"))

    @rule(id=st.sampled_from(IDS))
    def lose(self, id: ReplicaId) -> None:
        agent = self.agents[id]
        session, agent.session, agent.orders = agent.session, "", []
        if session:
            self.tell(messages.ReplicaLost(id, session, "lost"))

    @precondition(lambda self: any(agent.orders for agent in self.agents.values()))
    @rule(data=st.data(), well=st.sampled_from(["well", "well", "badly", "no memory"]))
    def obey(self, data: st.DataObject, well: str) -> None:
        agent = data.draw(st.sampled_from([it for it in self.agents.values() if it.orders]))
        self.obeyed(agent, well)

    def obeyed(self, agent: Agent, well: str) -> None:
        order = agent.orders.pop(0)
        id = order.model_version.id
        if order.kind is OperationKind.LOAD and well == "well":
            kind, agent.held[id] = ModelEventKind.LOADED, order.model_version
        elif order.kind is OperationKind.LOAD:
            kind = ModelEventKind.LOAD_FAILED if well == "badly" else ModelEventKind.LOAD_FAIL_MEMORY
            agent.held.pop(id, None)
        elif well == "badly":
            kind = ModelEventKind.UNLOAD_FAILED
        else:
            kind = ModelEventKind.UNLOADED
            agent.held.pop(id, None)
        self.say(agent, agent.session, kind, id)

    def say(self, agent: Agent, session: str, kind: ModelEventKind, id: VersionId | None) -> None:
        self.tell(messages.ModelReported(session, ModelEvent(agent.id, kind, id), "said"))

    @rule(id=st.sampled_from(IDS), kind=st.sampled_from(ModelEventKind), name=st.sampled_from(NAMES))
    def say_from_an_old_session(self, id: ReplicaId, kind: ModelEventKind, name: str) -> None:
        """S8."""
        before = repr(self.machine.state) if self.machine.state.gate is None else None
        due = self.machine.state.retries or self.machine.state.suspects or self.machine.state.drains
        self.say(self.agents[id], "an old one", kind, VersionId(name, 1))
        assert before is None or due or repr(self.machine.state) == before

    @rule(id=st.sampled_from(IDS))
    def resync(self, id: ReplicaId) -> None:
        self.say(self.agents[id], self.agents[id].session, ModelEventKind.RSYNC, None)

    # -- gateways, probes, time, restarts

    @precondition(lambda self: self.published and self.machine.state.gate is None)
    @rule()
    def acknowledge(self) -> None:
        sequence, name, it = self.published.pop(0)
        self.acked[name] = [it]
        self.tell(messages.RoutesSettled({name: sequence}, {}, "acknowledged"))

    @precondition(lambda self: self.published and self.machine.state.gate is None)
    @rule()
    def refuse(self) -> None:
        sequence, name, _ = self.published[-1]
        self.tell(messages.RoutesSettled({}, {name: (sequence, "bad")}, "refused"))

    @precondition(lambda self: self.probes)
    @rule(alive=st.booleans())
    def probe(self, alive: bool) -> None:
        id = self.probes.pop(0)
        if not alive and not self.agents[id].session:
            self.agents[id].held.clear()  # its server is gone
        self.tell(messages.EndpointProbed(id, alive or bool(self.agents[id].session), "probed"))

    @rule(seconds=st.sampled_from([1, 6, 40]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.tell()

    @rule()
    def restart(self) -> None:
        self.start()

    # -- what must hold

    @invariant()
    def invariants_hold(self) -> None:
        check(self.machine.state)

    def settle(self) -> None:
        """Faults stop: every agent is there and does as it is told, gateways take everything. Then all is well."""
        for id in IDS:
            self.subscribe(id, emptied=False)
        for _ in range(60):
            while self.published and self.machine.state.gate is None:
                self.acknowledge()
            for agent in self.agents.values():
                while agent.orders:
                    self.obeyed(agent, "well")
            self.now += 61
            self.tell()
            check(self.machine.state)
        assert not self.owed, "somebody was never answered (L2, L5)"
        state = self.machine.state
        assert state.models.keys() == self.wanted.keys()
        for name, model in self.wanted.items():
            (version,) = (
                state.models[name].versions.values()
                if not state.models[name].wanted.unplaceable
                else (state.models[name].wanted,)
            )
            held = [id for id in IDS if version.id in self.agents[id].held]
            if version.state is ModelState.AVAILABLE:
                assert model.replicas.enough <= len(held) <= model.replicas.wanted
                assert self.acked[name] == [ServingVersion(version.id, frozenset(held))]
            else:
                assert version.state in (ModelState.SCHEDULE_FAILED, ModelState.FAILED), version.state
                assert version.state_reason, "L1: it does not say why not"
        for agent in self.agents.values():  # L4
            for id in agent.held:
                assert id.model in self.wanted, f"{id} was left behind on {agent.id}"
        assert {name for name, routes in self.acked.items() if routes != [None]} <= self.wanted.keys()


World.TestCase.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_a_world_that_fails_and_recovers = World.TestCase
