"""`AgentDebugService`: what this agent holds."""

from typing import Any

from modelyard.agent.machine import Agent
from modelyard.agent.phases import Phase
from modelyard.wire import agent_debug


class DebugService:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def ReplicaStatus(self, _request: agent_debug.StatusRequest, _context: Any) -> agent_debug.StatusResponse:
        entries = sorted(self._agent.entries.items())
        models = ((str(version), entry.phase is Phase.LOADED) for version, entry in entries)
        return agent_debug.encode_status(self._agent.ledger.available_bytes, models)
