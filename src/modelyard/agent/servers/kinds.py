"""Which kind of server an agent stands beside."""

from modelyard.agent.servers.runtime import Runtime
from modelyard.agent.servers.v2 import V2Server
from modelyard.agent.settings import Settings


def server(settings: Settings) -> V2Server:
    return Runtime(settings.server_url, settings.limits)
