"""The invariants of docs/architecture.md, checked on the whole cluster after every step and at the end."""

from modelyard.agent.phases import Phase as AgentPhase
from modelyard.agent.sizing import MEASURE_PARTS
from modelyard.domain.agent_protocol import OperationKind
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.scheduler import messages, rollout
from modelyard.scheduler.explain import explain
from modelyard.scheduler.placement.demand import demand_for
from modelyard.scheduler.placement.place import Placement, place
from modelyard.scheduler.state import Phase, State
from modelyard.simulation.cluster import Cluster
from modelyard.simulation.replica import Replica


class Broken(AssertionError):
    """An invariant does not hold."""


class Watcher:
    """`calm`: nothing crashes in this run, so the data plane itself may never be wrong."""

    def __init__(self, cluster: Cluster, *, calm: bool) -> None:
        self._cluster = cluster
        self._calm = calm
        self._specs: dict[VersionId, Model] = {}
        self._highest: dict[str, int] = {}
        self._assigned: set[tuple[VersionId, ReplicaId]] = set()
        self._deleted: set[str] = set()  # since it was last routed
        self._served: dict[str, set[str]] = {gateway.id: set() for gateway in cluster.gateways}
        cluster.on_load = self.a_load_has_room
        cluster.on_step = self.after_turn
        cluster.on_stale = self.after_stale_message

    def after_turn(self, effects: list[messages.Effect]) -> None:
        """After each turn of the scheduler."""
        scheduler = self._cluster.scheduler
        if scheduler is None:
            return
        state = scheduler.state
        self._gate_holds_everything(state, effects)
        self._bytes_add_up(state, self._newly_assigned(state, effects))
        self._routes_name_what_is_loaded(state)
        self._versions_only_rise(state)
        for record in state.models.values():
            if record.deleting:
                self._deleted.add(record.name)
            elif record.route is not None and record.live_sequence >= record.route_sequence:
                self._deleted.discard(record.name)
        self.after_step()

    # S8
    def after_stale_message(self, before: object, after: object) -> None:
        _check(before == after, "S8", f"a message of a superseded session changed {before} to {after}")

    def after_step(self) -> None:
        """After anything that happened anywhere."""
        self._agents_count_what_is_true()
        self._unloads_follow_the_routes()
        if self._calm:
            self._routes_lead_to_loaded_models()

    # S1
    def a_load_has_room(self, replica: Replica) -> None:
        """When an agent orders a load, after everything that it decided with it."""
        assert replica.agent is not None
        used, memory = replica.agent.ledger.in_memory_bytes, replica.config.memory_bytes
        _check(used <= memory, "S1", f"the agent of {replica.id} has spoken for {used} of {memory}")

    def _agents_count_what_is_true(self) -> None:
        """What is loaded counts what it really takes, and fits by itself. Models may grow where all is not calm."""
        for replica in self._cluster.replicas.values() if self._calm else ():
            agent = replica.agent
            for version, entry in agent.entries.items() if agent is not None else ():
                if entry.phase is AgentPhase.LOADED:
                    assert agent is not None
                    counted = agent.ledger.accounted_bytes(version)
                    true = replica.taken_bytes(replica.held[version])
                    _check(counted == true, "S1", f"{version} takes {true} on {replica.id}, and counts {counted}")
                    _check(true <= replica.config.memory_bytes, "S9", f"{version} is larger than {replica.id}")

    # S2, S6, S9
    def _bytes_add_up(self, state: State, assigned: frozenset[tuple[VersionId, ReplicaId]]) -> None:
        """`assigned`: what is new where. What an agent turns out to hold, or measures, may be too much."""
        given = {replica for _, replica in assigned}
        for replica in state.replicas():
            counted = sum(a.accounted_bytes for a in replica.assignments.values())
            _check(
                counted == replica.assigned_bytes, "S2", f"{replica.id}: {counted} counted, {replica.assigned_bytes}"
            )
            if replica.config is not None and replica.id in given:
                most = replica.config.assignable_bytes
                _check(counted <= most, "S2", f"{replica.id} has {counted} assigned of {most}")
            for assignment in replica.assignments.values():
                version = state.version(assignment.version)
                known = version is not None and version.assignments.get(replica.id) is assignment
                _check(known, "S6", f"{assignment.version} on {replica.id} stands in one index only")
                if replica.config is not None and (assignment.version, replica.id) in assigned:
                    fits = assignment.accounted_bytes <= replica.config.memory_bytes
                    _check(fits, "S9", f"{assignment.version} is larger than {replica.id}")

    def _newly_assigned(self, state: State, effects: list[messages.Effect]) -> frozenset[tuple[VersionId, ReplicaId]]:
        fresh = {
            (it.version, it.replica)
            for effect in effects
            if isinstance(effect, messages.Journal)
            for it in effect.writes
            if isinstance(it, messages.PutAssignment) and not it.loaded and not it.leaving
            if (it.version, it.replica) not in self._assigned
        }
        self._assigned = {(version, r.id) for r in state.replicas() for version in r.assignments}
        return frozenset(fresh)

    # S3
    def _routes_name_what_is_loaded(self, state: State) -> None:
        for record in state.models.values():
            for id in record.route.replicas if record.route else ():
                assert record.route is not None
                assignment = state.assignment(record.route.version, id)
                loaded = assignment is not None and assignment.phase is Phase.LOADED
                if state.gate is None:
                    _check(loaded, "S3", f"the route of {record.name} names {id}, where it is not loaded")

    # S4
    def _unloads_follow_the_routes(self) -> None:
        driver = self._cluster.driver
        for replica, version in self._cluster.unloaded:
            for gateway in self._cluster.gateways:
                route = gateway.routes.get(version.model)
                routed = route is not None and route.version == version and replica in route.replicas
                if routed and driver is not None and driver.counts(gateway.id) and self._calm:
                    raise Broken(f"S4: {version} is unloaded from {replica} while {gateway.id} routes there")
        self._cluster.unloaded.clear()

    # S3 and S5, on the data plane itself
    def _routes_lead_to_loaded_models(self) -> None:
        state = self._cluster.scheduler.state if self._cluster.scheduler else State()
        for gateway in self._cluster.gateways:
            served = self._served[gateway.id]
            served.update(gateway.routes)
            for model in sorted(served - gateway.routes.keys()):
                forgiven = model in self._deleted or model not in state.models
                _check(forgiven, "S5", f"{gateway.id} lost its route to {model}")
                served.discard(model)
            for model, route in gateway.routes.items():
                for id in route.replicas:
                    held = route.version in self._cluster.replicas[id].held
                    _check(held, "S5", f"{gateway.id} routes {model} to {id}, which does not hold {route.version}")

    # S7
    def _versions_only_rise(self, state: State) -> None:
        for record in state.models.values():
            highest = self._highest.get(record.name, 0)
            _check(record.latest >= highest, "S7", f"{record.name} went from version {highest} to {record.latest}")
            self._highest[record.name] = record.latest
            for version in record.versions.values():
                first = self._specs.setdefault(version.id, version.model)
                _check(first.spec == version.model.spec, "S7", f"{version.id} was used for two different specs")

    # S10
    def _gate_holds_everything(self, state: State, effects: list[messages.Effect]) -> None:
        if state.gate is None:
            return
        for effect in effects:
            match effect:
                case messages.PublishRoutes(routes=routes):
                    _check(not routes, "S10", "routes changed before the agents have reported")
                case messages.Send(operation=operation):
                    held = state.version(operation.model_version.id)
                    moved = operation.kind is OperationKind.LOAD or held is not None
                    _check(not moved, "S10", f"{operation.model_version.id} was moved before the agents have reported")

    # L1, L4, S7: at the end, when the faults have stopped and all is quiet
    def at_the_end(self) -> None:
        scheduler = self._cluster.scheduler
        assert scheduler is not None
        state = scheduler.state
        for name, model in self._cluster.acknowledged.items():
            record, wanted = state.models.get(name), model
            for doubtful in self._cluster.in_doubt.get(name, ()):
                if doubtful == (record.wanted.model if record else None):
                    wanted = doubtful  # it was not answered, and it is what came to be
            if wanted is None:
                self._nothing_is_left(state, name)
            else:
                self._wanted_is_so(state, wanted)
        for gateway in self._cluster.gateways:
            for name in gateway.routes:
                _check(name in state.models, "L4", f"{gateway.id} still routes {name}")
        for replica in self._cluster.replicas.values():
            for version in replica.held:
                there = state.assignment(version, replica.id)
                held = there is not None and there.phase is Phase.LOADED
                _check(held, "L4", f"{version} is left in the memory of {replica.id}")
                counted, true = there.accounted_bytes if there else 0, replica.taken_bytes(replica.held[version])
                near = abs(counted - true) * MEASURE_PARTS <= max(true, counted)
                _check(near, "S2", f"{version} takes {true} on {replica.id}, and counts {counted}")
                _check(true <= replica.config.memory_bytes, "S9", f"{version} is larger than {replica.id}")
        self._routes_lead_to_loaded_models()

    def _nothing_is_left(self, state: State, name: str) -> None:
        _check(name not in state.models, "L4", f"{name} was deleted and is still there")
        for replica in self._cluster.replicas.values():
            left = [v for v in (*replica.held, *replica.disk) if v.model == name]
            _check(not left, "L4", f"{name} was deleted and is left on {replica.id}: {left}")

    def _wanted_is_so(self, state: State, model: Model) -> None:
        record = state.models.get(model.name)
        if record is None:
            raise Broken(f"S7: {model.name} was acknowledged and is gone")
        version = record.wanted
        _check(version.model.spec == model.spec, "S7", f"{model.name} is not what was acknowledged last")
        _check(version.model.replicas == model.replicas, "S7", f"{model.name} has not the counts acknowledged last")
        loaded = frozenset(a.replica for a in version.assignments.values() if a.phase is Phase.LOADED)
        if len(loaded) < model.replicas.wanted:
            self._says_why_not(state, version.model, loaded)
            older = rollout.standby(record)
            if older is not None:
                kept = record.route is not None or not isinstance(
                    place(demand_for(state, older), state.servers.values()), Placement
                )
                _check(kept, "S5", f"{older.id} served before {version.id} failed, and is nowhere now")
        others = [v.number for v in record.versions.values() if v is not version]
        if len(loaded) >= model.replicas.enough:
            _check(not others, "L1", f"old versions {others} of {model.name} never went")
            for gateway in self._cluster.gateways:
                route = gateway.routes.get(model.name)
                told = route is not None and route.version == version.id and route.replicas == loaded
                _check(told, "L1", f"{gateway.id} does not route {version.id} to {sorted(loaded)} but to {route}")

    def _says_why_not(self, state: State, model: Model, loaded: frozenset[ReplicaId]) -> None:
        """Fewer than wanted: then there is a reason, and it is true."""
        record = state.models[model.name]
        said = explain(state, model.name).summary
        _check(
            bool(record.wanted.unplaceable), "L1", f"{model.name} is on {len(loaded)} replicas and says only: {said}"
        )
        outcome = place(demand_for(state, record.wanted), state.servers.values())
        more = isinstance(outcome, Placement) and len(outcome.replicas) > len(loaded)
        _check(not more, "L1", f"{model.name} could be placed and is not: {outcome}")


def _check(holds: bool, invariant: str, sentence: str) -> None:
    if not holds:
        raise Broken(f"{invariant}: {sentence}")
