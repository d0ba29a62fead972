"""What must hold of the scheduler's state after every turn, whatever happened."""

from modelyard.scheduler.state import Phase, State


def check(state: State) -> None:
    """Both indexes of assignments agree, sums are sums, and routes name only what is loaded (S3)."""
    for replica in state.replicas():
        assert replica.assigned_bytes == sum(a.accounted_bytes for a in replica.assignments.values())
        for id, assignment in replica.assignments.items():
            version = state.version(id)
            assert version is not None
            assert version.assignments[replica.id] is assignment
            assert assignment.phase is not Phase.FAILED or assignment.accounted_bytes == 0
    for record in state.models.values():
        assert record.latest in record.versions, f"{record.name} has no version {record.latest}"
        assert record.name not in state.tombstones
        for assignment in record.assignments():
            found = state.replica(assignment.replica)
            assert found is not None
            assert found.assignments[assignment.version] is assignment
        if record.route is not None and state.gate is None:
            for id in record.route.replicas:
                routed = state.assignment(record.route.version, id)
                assert routed is not None
                assert routed.phase is Phase.LOADED, f"{record.name} is routed to {id}, where it is {routed.phase}"
    assert state.unplaced.keys() <= state.models.keys()
    assert not any(state.models[name].deleting for name in state.unplaced)
