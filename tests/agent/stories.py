"""Words for telling an agent's story in a test."""

from modelyard.agent.machine import Agent
from modelyard.agent.messages import (
    Effect,
    Event,
    Figure,
    LoadOrdered,
    Measured,
    ServerReady,
    SessionOpened,
    Tell,
    UnloadOrdered,
)
from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig

REPLICA = ReplicaId("local", 0)
MIB = 1 << 20


def a_version(name: str = "iris", version: int = 1, memory_bytes: int | None = 0, uri: str = "") -> ModelVersion:
    return ModelVersion(Model(name, ModelSpec(Artifact(uri or f"/models/{name}"), memory_bytes=memory_bytes)), version)


class Story:
    """One agent with 100 bytes of memory, a second per step; keeps every effect."""

    def __init__(self, memory_bytes: int = 100, *, copies: int | None = None) -> None:
        config = ReplicaConfig("127.0.0.1", 1, 2, memory_bytes)
        self.agent = Agent(REPLICA, config, copies=copies, least_measured_bytes=0)
        self.now = 0.0
        self.effects: list[Effect] = []

    def tell(self, *events: Event) -> list[Effect]:
        self.now += 1
        effects = self.agent.handle(events, self.now)
        self.effects += effects
        return effects

    def ready(self, *models: str) -> list[Effect]:
        return self.tell(ServerReady(frozenset(models), self.now + 0.5))

    def measure(self, version: VersionId, memory_bytes: int | None, note: str = "") -> list[Effect]:
        return self.tell(Measured({version: Figure(memory_bytes, note)}, self.now + 0.5))

    def begin(self) -> "Story":
        self.ready()
        self.tell(SessionOpened("s1"))
        return self

    def load(self, model_version: ModelVersion, session: str = "s1") -> list[Effect]:
        return self.tell(LoadOrdered(session, model_version))

    def unload(self, version: VersionId, session: str = "s1") -> list[Effect]:
        return self.tell(UnloadOrdered(session, version))

    def told(self) -> list[tuple[str, str]]:
        """What the scheduler heard: ("LOADED", "iris_1") and so on."""
        return [(e.event.kind.name, str(e.event.version)) for e in self.effects if isinstance(e, Tell)]
