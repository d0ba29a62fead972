"""Runs a scenario against the scheduler's machine and writes down what it ordered, in lines a person can check.

A scenario is a text file: `> command` lines, each followed by the effects of that turn. Several commands joined by
`; ` are one turn. Everything that is journaled goes through a real journal, from which `> restart` starts again.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelEventKind,
    ModelMeasure,
    ModelVersion,
    OperationKind,
    Subscription,
)
from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import Offers, ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import Explanation
from modelyard.kit.errors import ModelyardError
from modelyard.scheduler import explain, messages
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.messages import Answer, Effect, Event, Write
from modelyard.scheduler.settings import Settings
from modelyard.scheduler.views import model_status
from tests.scheduler.invariants import check

SETTINGS = Settings(restart_wait_seconds=60, suspect_seconds=10, probe_seconds=5, rebuild_seconds=120)
EVENT_KINDS = {
    "loaded": ModelEventKind.LOADED,
    "failed": ModelEventKind.LOAD_FAILED,
    "nomemory": ModelEventKind.LOAD_FAIL_MEMORY,
    "unloaded": ModelEventKind.UNLOADED,
    "unloadfailed": ModelEventKind.UNLOAD_FAILED,
    "removed": ModelEventKind.REMOVED,
    "removefailed": ModelEventKind.REMOVE_FAILED,
}
REPLIED = (
    messages.ModelApplied
    | messages.ModelDeleted
    | messages.ServersNoticed
    | messages.ServerApplied
    | messages.ServerDeleted
    | messages.DrainAsked
)


class Transcript:
    """One scheduler, its journal, and a clock that moves by `wait` only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journals = 0
        self._journal = self._new_journal()
        self.machine = Scheduler(SETTINGS, self._journal.read())
        self.now = 1000.0
        self._tickets = 0
        self._owed: set[int] = set()  # tickets without a reply
        self._sessions: dict[ReplicaId, str] = {}
        self._routes: dict[str, int] = {}  # published and not acknowledged
        self._models: dict[VersionId, Model] = {}  # as they were applied, for agents that report them
        self._perform(self.machine.start(self.now))

    def close(self) -> None:
        self._journal.close()

    def run(self, text: str) -> str:
        """The scenario again, with the effects that its commands have now."""
        out: list[str] = []
        for line in text.splitlines():
            if line.startswith(">"):
                while out and not out[-1]:
                    out.pop()
                effects = [f"  {it}" for it in self.command(line[1:].strip())]
                out += [*([] if out and out[-1].startswith("#") else [""]), line, *effects]
            elif not line.startswith("  "):
                if line.startswith("#") and out and not out[-1].startswith("#"):
                    out.append("")
                out.append(line)
        while out and not out[-1]:
            out.pop()
        return "\n".join(_without_double_blanks(out)) + "\n"

    def command(self, line: str) -> list[str]:
        words = shlex.split(line)
        match words[0]:
            case "restart":
                return self._restart(lost=len(words) > 1 and words[1] == "lost")
            case "dryrun":
                before = repr(self.machine.state)
                said = explain.would_place(self.machine.state, self._model(words[1], _options(words[2:])))
                assert repr(self.machine.state) == before, "a dry run changed something"
                return list(_explained(said))
            case "explain":
                return list(_explained(explain.explain(self.machine.state, words[1])))
            case "wait":
                self.now += float(words[1])
                return self._turn([])
        return self._turn([self._event(shlex.split(part)) for part in line.split("; ")])

    def _new_journal(self) -> Journal:
        self._journals += 1
        return Journal(self._folder / f"{self._journals}.db")

    def _restart(self, *, lost: bool) -> list[str]:
        if lost:
            self._journal.close()
            self._journal = self._new_journal()
        self.machine = Scheduler(SETTINGS, self._journal.read())
        self._routes.clear()
        self._owed.clear()
        return self._perform(self.machine.start(self.now, rebuild=lost, lost=lost))

    def _turn(self, events: list[Event]) -> list[str]:
        for event in events:
            if isinstance(event, REPLIED):
                self._owed.add(event.ticket)
        effects = self.machine.handle(events, self.now)
        check(self.machine.state)
        return self._perform(effects)

    # -- commands to events

    def _event(self, words: list[str]) -> Event:
        kind, subject, options = words[0], words[1] if len(words) > 1 else "", _options(words[2:])
        self._tickets += 1
        ticket = self._tickets
        match kind:
            case "apply":
                return messages.ModelApplied(self._model(subject, options), ticket, f"apply {subject}")
            case "delete":
                return messages.ModelDeleted(subject, ticket, f"delete {subject}")
            case "notice":
                notice = ServerNotice(subject, int(options["expected"]))
                return messages.ServersNoticed((notice,), "first" in options, ticket, f"notice of {subject}")
            case "server":
                manifest = ServerManifest(subject, _replicas(options))
                return messages.ServerApplied(manifest, ticket, f"apply server {subject}")
            case "noserver":
                return messages.ServerDeleted(subject, ticket, f"delete server {subject}")
            case "ack":
                names = words[1:] or list(self._routes)
                live = {name: self._routes.pop(name) for name in names if name in self._routes}
                return messages.RoutesSettled(live, {}, "the gateways answered")
            case "nack":
                refused = {subject: (self._routes[subject], options.get("because", "it is bad"))}
                return messages.RoutesSettled({}, refused, "the gateways answered")
            case "subscribe":
                return self._subscribe(_replica(subject), options)
            case "lost":
                replica = _replica(subject)
                session = options.get("session", self._sessions.get(replica, ""))
                return messages.ReplicaLost(replica, session, f"agent of {replica} was lost")
            case "drain":
                deadline = self.now + float(options["within"])
                return messages.DrainAsked(_replica(subject), deadline, ticket, f"drain of {subject}")
            case "alive" | "dead":
                return messages.EndpointProbed(_replica(subject), kind == "alive", f"probe {subject}")
            case "measured":
                measures = tuple(ModelMeasure(_version(id), int(size)) for id, size in options.items())
                replica = _replica(subject)
                return messages.ModelsMeasured(replica, self._sessions[replica], measures, f"report of {replica}")
            case "offers":
                offers = Offers("http1" in words[2:], options.get("socket", ""), options.get("machine", ""))
                replica = _replica(subject)
                session = options.get("session", self._sessions[replica])
                return messages.OffersTold(replica, session, offers, f"report of {replica}")
            case "fetched":
                parts = {id: tuple(map(int, size.split("/"))) for id, size in options.items()}
                measures = tuple(
                    ModelMeasure(_version(id), resident=False, fetched_bytes=it[0], fetch_total_bytes=(*it, None)[1])
                    for id, it in parts.items()
                )
                replica = _replica(subject)
                return messages.ModelsMeasured(replica, self._sessions[replica], measures, f"report of {replica}")
            case "rsync":
                replica = _replica(subject)
                which = VersionId(words[2], 0) if len(words) > 2 else None
                event = ModelEvent(replica, ModelEventKind.RSYNC, which)
                return messages.ModelReported(self._sessions[replica], event, f"{replica} said RSYNC")
        return self._reported(EVENT_KINDS[kind], _replica(subject), _version(words[2]), _options(words[3:]))

    def _model(self, name: str, options: dict[str, str]) -> Model:
        spec = ModelSpec(
            Artifact(options.get("uri", "file:///m")),
            frozenset(filter(None, options.get("requires", "").split(","))),
            int(options["memory"]) if "memory" in options else None,
            options.get("server"),
            explainer_type=options.get("explainer"),
        )
        return Model(name, spec, _replicas(options))

    def _subscribe(self, replica: ReplicaId, options: dict[str, str]) -> Event:
        session = options.get("session", "s1")
        self._sessions[replica] = session
        held = filter(None, options.get("holds", "").split(","))
        config = ReplicaConfig(
            host=options.get("host", "h"),
            http_port=8000 + replica.index,
            grpc_port=9000 + replica.index,
            memory_bytes=int(options.get("memory", "1000")),
            capabilities=frozenset(options.get("can", "sklearn").split(",")),
            overcommit_percent=int(options.get("overcommit", "0")),
        )
        loaded = tuple(ModelVersion(self._known(_version(id)), _version(id).version) for id in held)
        available = int(options.get("available", "0"))
        subscription = Subscription(replica, config, options.get("shared") != "no", loaded, available)
        return messages.ReplicaSubscribed(
            session, subscription, "available" in options, f"agent of {replica} subscribed"
        )

    def _known(self, id: VersionId) -> Model:
        return self._models.get(id) or Model(id.model, ModelSpec(Artifact("file:///stranger")))

    def _reported(self, kind: ModelEventKind, replica: ReplicaId, id: VersionId, options: dict[str, str]) -> Event:
        event = ModelEvent(
            replica,
            kind,
            id,
            options.get("because", ""),
            int(options.get("available", "0")),
            int(options["copies"]) if "copies" in options else None,
        )
        session = options.get("session", self._sessions[replica])
        return messages.ModelReported(session, event, f"{replica} said {kind.name} {id}")

    # -- effects to lines

    def _perform(self, effects: list[Effect]) -> list[str]:
        out: list[str] = []
        for effect in effects:
            match effect:
                case messages.Journal(writes, notes):
                    self._journal.write(writes, notes)
                    for write in writes:
                        if isinstance(write, messages.PutVersion):
                            self._models[write.version.id] = write.version.model
                    out += [f"journal  {_written(it)}" for it in writes]
                    out += [f"note     {it.subject}: {it.text}" for it in notes]
                case messages.Send(replica, session, operation):
                    scaled = " (autoscaled)" if operation.autoscaling else ""
                    id = operation.model_version.id
                    if operation.kind is OperationKind.LOAD:
                        self._models[id] = operation.model_version.model
                    known = self.machine.state.version(id)
                    size = operation.model_version.model.spec.memory_bytes
                    other = known is not None and known.model.spec.memory_bytes != size
                    said = f" as {size} B" if other else ""
                    out.append(f"send     {replica} {session}: {operation.kind.name} {id}{said}{scaled}")
                case messages.CloseSession(replica, session, reason):
                    out.append(f"close    {replica} {session}: {reason}")
                case messages.PublishRoutes(sequence, routes, endpoints):
                    for id, config in endpoints.items():
                        out.append(f"endpoint {id} -> {_way(config) if config else 'gone'}")
                    for name, it in routes.items():
                        self._routes[name] = sequence
                        where = f"{it.version} on {', '.join(map(str, sorted(it.replicas)))}" if it else "nowhere"
                        out.append(f"route    {name} -> {where}")
                case messages.ProbeEndpoint(replica, _):
                    out.append(f"probe    {replica}")
                case messages.Reply(ticket, answer):
                    assert ticket in self._owed, f"ticket {ticket} was answered twice, or never asked"
                    self._owed.discard(ticket)
                    out.append(f"reply    {_answered(answer)}")
                case messages.StatusChanged(models, _):
                    out += [line for name in sorted(models) for line in self._status(name)]
                case messages.ManifestsChanged():
                    out.append("manifests changed")
                case messages.Opened():
                    out.append("opened")
                case messages.WakeAt(time):
                    assert time > self.now, "it asks to be woken at once, for ever"
                    out.append(f"wake     in {time - self.now:g} s")
        return out

    def _status(self, name: str) -> Iterator[str]:
        status = model_status(self.machine.state, name, all_versions=True)
        for it in status.versions if status else ():
            replicas = ", ".join(f"{r.replica} {r.state.value}" for r in it.replicas)
            why = f" ({it.reason})" if it.reason else ""
            yield f"status   {name}_{it.version} {it.state.value}{why} [{replicas}]"


def _options(words: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _replicas(options: dict[str, str]) -> Replicas:
    minimum = int(options["min"]) if "min" in options else None
    maximum = int(options["max"]) if "max" in options else None
    return Replicas(int(options.get("replicas", "1")), minimum, maximum)


def _replica(text: str) -> ReplicaId:
    server, index = text.split("/")
    return ReplicaId(server, int(index))


def _version(text: str) -> VersionId:
    id = VersionId.parse(text)
    assert id is not None, text
    return id


def _written(it: Write) -> str:
    match it:
        case messages.PutModel(name, latest, deleting):
            return f"model {name}, latest {latest}{', deleting' if deleting else ''}"
        case messages.DropModel(name, latest):
            return f"no model {name}, its last version was {latest}"
        case messages.PutVersion(version, took_over):
            return f"version {version.id}{' took over' if took_over else ''}"
        case messages.DropVersion(id):
            return f"no version {id}"
        case messages.PutAssignment(id, replica, loaded, leaving):
            return f"{id} on {replica}{' loaded' if loaded else ''}{' leaving' if leaving else ''}"
        case messages.DropAssignment(id, replica):
            return f"{id} not on {replica}"
        case messages.PutReplica(replica, config, shared):
            return f"replica {replica} {config.memory_bytes} B{'' if shared else ' unshared'}"
        case messages.DropReplica(replica):
            return f"no replica {replica}"
        case messages.PutServer(name, notice, manifest):
            told = f" {notice.expected_replicas} expected" if notice else ""
            return f"server {name}{told}{f' {manifest.replicas.wanted} wanted' if manifest else ''}"
        case messages.DropServer(name):
            return f"no server {name}"
        case messages.PutSize(artifact, size):
            return f"the artifact {artifact[:6]}… takes {size} B"
        case messages.DropSize(artifact):
            return f"nothing of the artifact {artifact[:6]}…"


def _answered(answer: Answer) -> str:
    match answer:
        case messages.ModelAnswer(outcome, version, explanation):
            return f"{outcome.value}, version {version}: {explanation.summary}"
        case messages.DrainAnswer(success):
            return "drained" if success else "not drained"
        case messages.Done(outcome):
            return f"done ({outcome.value})"
        case ModelyardError():
            return f"{type(answer).__name__}: {answer}"


def _explained(said: Explanation) -> Iterator[str]:
    yield said.summary
    for verdict in said.verdicts:
        yield f"{'yes' if verdict.chosen else 'no '} {verdict.replica}: {verdict.reason}"


def _without_double_blanks(lines: list[str]) -> Iterator[str]:
    blank = True
    for line in lines:
        if line or not blank:
            yield line
        blank = not line


def _way(config: ReplicaConfig) -> str:
    offers = config.offers
    more = (*(["gRPC by HTTP/1.1"] if offers.grpc_over_http1 else []), *filter(None, [offers.unix_socket]))
    return f"{config.host}:{config.http_port}{''.join(f', {it}' for it in more)}"
