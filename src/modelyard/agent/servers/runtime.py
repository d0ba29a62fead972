"""The built-in runtime."""

from typing import Any

from modelyard.agent.servers.v2 import V2Server
from modelyard.wire.oip import loading
from modelyard.wire.oip.loading import LoadOrder


class Runtime(V2Server):
    """It takes a model's files as they are, and names its instance in every answer."""

    def load_body(self, order: LoadOrder) -> dict[str, Any]:
        return loading.order_to_json(order)
