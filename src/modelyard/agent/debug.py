"""`AgentDebugService`: what this agent holds."""

from collections.abc import Callable, Mapping
from typing import Any

from modelyard.agent.machine import Agent
from modelyard.agent.phases import Phase
from modelyard.agent.usage import Usage
from modelyard.wire import agent_debug


class DebugService:
    def __init__(self, agent: Agent, usage: Callable[[], Mapping[str, Usage]]) -> None:
        self._agent = agent
        self._usage = usage

    async def ReplicaStatus(self, _request: agent_debug.StatusRequest, _context: Any) -> agent_debug.StatusResponse:
        entries = sorted(self._agent.entries.items())
        models = ((str(version), entry.phase is Phase.LOADED) for version, entry in entries)
        last_used = {it: usage.last_used for it, usage in self._usage().items() if usage.last_used is not None}
        return agent_debug.encode_status(self._agent.ledger.available_bytes, models, last_used)
