"""The built-in runtime."""

from modelyard.agent.servers.v2 import V2Server


class Runtime(V2Server):
    """It takes a model's files as they are, and names its instance in every answer."""
