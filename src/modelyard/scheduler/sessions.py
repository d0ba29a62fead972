"""The open Subscribe streams: where the orders to each agent wait until they are sent."""

import asyncio
from dataclasses import dataclass, field

from modelyard.domain.agent_protocol import Operation
from modelyard.domain.names import ReplicaId


@dataclass(frozen=True, slots=True)
class Superseded:
    """The last thing on a stream: why it ends."""

    reason: str


@dataclass(slots=True, eq=False)
class Session:
    """One stream. Orders are few (one per change of a model), so the queue needs no bound of its own."""

    replica: ReplicaId
    id: str
    orders: "asyncio.Queue[Operation | Superseded]" = field(default_factory=asyncio.Queue)


class Sessions:
    def __init__(self) -> None:
        self._open: dict[tuple[ReplicaId, str], Session] = {}

    def open(self, replica: ReplicaId, id: str) -> Session:
        """A stream that is open for the same session ends: its agent opened this one instead."""
        self.send(replica, id, Superseded(f"the agent of {replica} has opened another stream"))
        session = self._open[replica, id] = Session(replica, id)
        return session

    def close(self, session: Session) -> bool:
        """Whether that ends the session: it goes on where another stream has taken over."""
        if self._open.get((session.replica, session.id)) is not session:
            return False
        del self._open[session.replica, session.id]
        return True

    def send(self, replica: ReplicaId, id: str, order: Operation | Superseded) -> None:
        """To nobody where the session is over: its agent will tell what it holds when it is back."""
        session = self._open.get((replica, id))
        if session is not None:
            session.orders.put_nowait(order)
