"""What users and the world do to a cluster, drawn by chance."""

from collections.abc import Callable

from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ReplicaConfig, ServerNotice
from modelyard.scheduler import messages
from modelyard.simulation.cluster import Cluster
from modelyard.simulation.events import Timeline
from modelyard.simulation.replica import Troubles

NAMES = ("iris", "wine", "digits", "cancer", "diabetes", "linnerud")
CAPABILITIES = frozenset({"onnx", "sklearn"})


def configs(timeline: Timeline) -> dict[ReplicaId, ReplicaConfig]:
    """One to three servers of one to three replicas; not all can do the same."""
    found: dict[ReplicaId, ReplicaConfig] = {}
    for server in ("alpha", "beta", "gamma")[: timeline.chance.randint(1, 3)]:
        can = CAPABILITIES if server != "gamma" else frozenset({"onnx"})
        memory = timeline.chance.choice((100, 150, 200))
        for index in range(timeline.chance.randint(1, 3)):
            found[ReplicaId(server, index)] = ReplicaConfig("127.0.0.1", 8000 + len(found), 9000, memory, can)
    return found


class Workload:
    def __init__(self, cluster: Cluster, *, calm: bool) -> None:
        self._cluster = cluster
        self._chance = cluster.timeline.chance
        self._calm = calm

    def begin(self) -> None:
        cluster = self._cluster
        cluster.start_scheduler()
        expected: dict[str, int] = {}
        for id in cluster.replicas:
            expected[id.server] = expected.get(id.server, 0) + 1
        notices = tuple(ServerNotice(server, count) for server, count in sorted(expected.items()))
        cluster.hear(messages.ServersNoticed(notices, True, cluster.ticket(), "the provider"))
        for replica in cluster.replicas.values():
            replica.start_agent()
        for gateway in cluster.gateways:
            cluster.connect(gateway)

    def act(self) -> None:
        """One thing happens."""
        users: list[Callable[[], None]] = [self._apply] * 6 + [self._delete] * 3 + [self._drain]
        world: list[Callable[[], None]] = [
            self._lose_session,
            self._kill_agent,
            self._crash_server,
            self._kill_scheduler,
            self._toggle_gateway,
            self._trouble,
        ]
        self._chance.choice(users if self._calm else users + world)()

    def heal(self) -> None:
        """The faults stop: what is down comes up again and stays."""
        cluster = self._cluster
        if cluster.scheduler is None:
            cluster.start_scheduler()
        for replica in cluster.replicas.values():
            replica.troubles = Troubles()
            replica.start_server()
            if replica.agent is None:
                replica.start_agent()
            replica.open_session()
        for gateway in cluster.gateways:
            cluster.connect(gateway)

    # -- users

    def _model(self) -> Model:
        chance = self._chance
        name = chance.choice(NAMES)
        spec = ModelSpec(
            Artifact(f"/models/{name}/{chance.randint(1, 3)}"),
            frozenset({chance.choice(("sklearn", "onnx"))}),
            chance.choice((10, 30, 60, 90, 170)),
            server=chance.choice((None, None, None, None, "alpha", "nowhere")),
        )
        wanted = chance.choice((1, 1, 2, 3))
        minimum = chance.choice((None, None, 1))
        return Model(name, spec, Replicas(wanted, minimum))

    def _apply(self) -> None:
        model = self._model()
        ticket = self._cluster.ticket(model.name, model)
        self._cluster.log(f"apply {model.name} {model.spec.artifact.uri} x{model.replicas.wanted}")
        self._hear(messages.ModelApplied(model, ticket, f"apply {model.name}"))

    def _delete(self) -> None:
        name = self._chance.choice(NAMES)
        self._cluster.log(f"delete {name}")
        self._hear(messages.ModelDeleted(name, self._cluster.ticket(name, None), f"delete {name}"))

    def _drain(self) -> None:
        """A replica is drained, and comes back later with a new session."""
        id = self._replica()
        self._cluster.log(f"drain {id}")
        deadline = self._cluster.timeline.now + 20.0
        self._hear(messages.DrainAsked(id, deadline, self._cluster.ticket(), f"drain {id}"))
        self._cluster.timeline.after(self._chance.choice((5.0, 25.0)), lambda: self._cluster.cut_sessions_of(id))

    def _hear(self, event: messages.Event) -> None:
        """Sometimes the scheduler dies while it acts on it."""
        crash = not self._calm and self._chance.random() < 0.05
        self._cluster.hear(event, crash_after=self._chance.randint(0, 5) if crash else None)
        if self._cluster.scheduler is None:
            self._restart_later()

    # -- the world

    def _replica(self) -> ReplicaId:
        return self._chance.choice(sorted(self._cluster.replicas))

    def _lose_session(self) -> None:
        id = self._replica()
        self._cluster.log(f"the connection of {id} breaks")
        self._cluster.cut_sessions_of(id)

    def _kill_agent(self) -> None:
        replica = self._cluster.replicas[self._replica()]
        if replica.agent is None:
            return
        self._cluster.log(f"the agent of {replica.id} is killed")
        replica.kill_agent()
        self._cluster.cut_sessions_of(replica.id)
        self._cluster.timeline.after(
            self._chance.choice((0.5, 2.0, 12.0)), lambda: None if replica.agent else replica.start_agent()
        )

    def _crash_server(self) -> None:
        replica = self._cluster.replicas[self._replica()]
        if not replica.server_up:
            return
        self._cluster.log(f"the server of {replica.id} crashes")
        replica.crash_server()
        self._cluster.timeline.after(self._chance.choice((0.2, 1.0, 8.0)), replica.start_server)

    def _kill_scheduler(self) -> None:
        if self._cluster.scheduler is not None:
            self._cluster.kill_scheduler()
            self._restart_later()

    def _restart_later(self) -> None:
        cluster = self._cluster

        def restart() -> None:
            if cluster.scheduler is None:
                cluster.start_scheduler()
                for gateway in cluster.gateways:
                    cluster.timeline.soon(lambda g=gateway: cluster.connect(g), 2.0)  # type: ignore[misc]

        cluster.timeline.after(self._chance.choice((0.1, 1.0, 5.0)), restart)

    def _toggle_gateway(self) -> None:
        gateway = self._chance.choice(self._cluster.gateways)
        if gateway.driver is not None:
            self._cluster.log(f"{gateway.id} loses its connection")
            self._cluster.disconnect(gateway)
            self._cluster.timeline.soon(lambda: self._cluster.connect(gateway), 15.0)

    def _trouble(self) -> None:
        replica = self._cluster.replicas[self._replica()]
        bad = self._chance.choice((0.0, 0.3, 1.0))
        kinds = {"load_fails": bad, "unload_fails": bad / 2, "fetch_fails": bad / 2, "grows": bad}
        self._cluster.log(f"trouble on {replica.id}: {kinds}")
        replica.troubles = Troubles(**kinds)
