"""Orders to agents."""

from dataclasses import replace

from modelyard.domain.agent_protocol import ModelVersion, Operation, OperationKind
from modelyard.scheduler.messages import Send
from modelyard.scheduler.state import Replica, State, Version


def load_order(state: State, version: Version, replica: Replica) -> Send:
    """To our agents with the size that is known by now, so that both sides count the same: a version that was declared
    too large would be refused where it was placed. Peers that keep their own accounts hear what was declared."""
    wanted = version.model_version()
    measured = state.size(version).measured_bytes
    if measured is not None and not replica.accounts_for_itself:
        spec = replace(wanted.model.spec, memory_bytes=measured)
        wanted = ModelVersion(replace(wanted.model, spec=spec), wanted.version)
    order = Operation(OperationKind.LOAD, wanted, autoscaling=version.autoscaled)
    return Send(replica.id, replica.session, order)


def unload_order(version: Version, replica: Replica) -> Send:
    order = Operation(OperationKind.UNLOAD, version.model_version(), autoscaling=version.autoscaled)
    return Send(replica.id, replica.session, order)
