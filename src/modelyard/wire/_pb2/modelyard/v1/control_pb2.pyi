import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as _scheduler_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPLY_OUTCOME_UNSPECIFIED: _ClassVar[ApplyOutcome]
    CREATED: _ClassVar[ApplyOutcome]
    UNCHANGED: _ClassVar[ApplyOutcome]
    RESCHEDULED: _ClassVar[ApplyOutcome]
    NEW_VERSION: _ClassVar[ApplyOutcome]
APPLY_OUTCOME_UNSPECIFIED: ApplyOutcome
CREATED: ApplyOutcome
UNCHANGED: ApplyOutcome
RESCHEDULED: ApplyOutcome
NEW_VERSION: ApplyOutcome

class Replicas(_message.Message):
    __slots__ = ("replicas", "min_replicas", "max_replicas")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MIN_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    min_replicas: int
    max_replicas: int
    def __init__(self, replicas: _Optional[int] = ..., min_replicas: _Optional[int] = ..., max_replicas: _Optional[int] = ...) -> None: ...

class ApplyModelRequest(_message.Message):
    __slots__ = ("model", "replicas", "dry_run")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    model: _scheduler_pb2.Model
    replicas: Replicas
    dry_run: bool
    def __init__(self, model: _Optional[_Union[_scheduler_pb2.Model, _Mapping]] = ..., replicas: _Optional[_Union[Replicas, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class ApplyModelResponse(_message.Message):
    __slots__ = ("outcome", "version", "explanation")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    outcome: ApplyOutcome
    version: int
    explanation: Explanation
    def __init__(self, outcome: _Optional[_Union[ApplyOutcome, str]] = ..., version: _Optional[int] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("server", "replica_idx", "chosen", "reason")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    REPLICA_IDX_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    server: str
    replica_idx: int
    chosen: bool
    reason: str
    def __init__(self, server: _Optional[str] = ..., replica_idx: _Optional[int] = ..., chosen: bool = ..., reason: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("summary", "placed", "server", "verdicts")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    summary: str
    placed: bool
    server: str
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    def __init__(self, summary: _Optional[str] = ..., placed: bool = ..., server: _Optional[str] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ...) -> None: ...

class ExplainModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExplainModelResponse(_message.Message):
    __slots__ = ("version", "explanation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    version: int
    explanation: Explanation
    def __init__(self, version: _Optional[int] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Server(_message.Message):
    __slots__ = ("name", "replicas", "server_config", "capabilities", "extra_capabilities", "memory_bytes", "overcommit_percentage", "manifest_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SERVER_CONFIG_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    EXTRA_CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OVERCOMMIT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    replicas: Replicas
    server_config: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    extra_capabilities: _containers.RepeatedScalarFieldContainer[str]
    memory_bytes: int
    overcommit_percentage: int
    manifest_json: str
    def __init__(self, name: _Optional[str] = ..., replicas: _Optional[_Union[Replicas, _Mapping]] = ..., server_config: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., extra_capabilities: _Optional[_Iterable[str]] = ..., memory_bytes: _Optional[int] = ..., overcommit_percentage: _Optional[int] = ..., manifest_json: _Optional[str] = ...) -> None: ...

class ApplyServerRequest(_message.Message):
    __slots__ = ("server", "dry_run")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    server: Server
    dry_run: bool
    def __init__(self, server: _Optional[_Union[Server, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class ApplyServerResponse(_message.Message):
    __slots__ = ("outcome", "note")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    outcome: ApplyOutcome
    note: str
    def __init__(self, outcome: _Optional[_Union[ApplyOutcome, str]] = ..., note: _Optional[str] = ...) -> None: ...

class DeleteServerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteServerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListServersRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListServersResponse(_message.Message):
    __slots__ = ("servers",)
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[ServerView]
    def __init__(self, servers: _Optional[_Iterable[_Union[ServerView, _Mapping]]] = ...) -> None: ...

class ServerView(_message.Message):
    __slots__ = ("name", "expected_replicas", "min_replicas", "max_replicas", "shared", "manifest", "replicas")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MIN_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    expected_replicas: int
    min_replicas: int
    max_replicas: int
    shared: bool
    manifest: Server
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaView]
    def __init__(self, name: _Optional[str] = ..., expected_replicas: _Optional[int] = ..., min_replicas: _Optional[int] = ..., max_replicas: _Optional[int] = ..., shared: bool = ..., manifest: _Optional[_Union[Server, _Mapping]] = ..., replicas: _Optional[_Iterable[_Union[ReplicaView, _Mapping]]] = ...) -> None: ...

class ReplicaView(_message.Message):
    __slots__ = ("replica_idx", "state", "reason", "host", "http_port", "grpc_port", "memory_bytes", "overcommit_percentage", "assigned_bytes", "capabilities", "models", "since")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[ReplicaView.State]
        EXPECTED: _ClassVar[ReplicaView.State]
        CONNECTED: _ClassVar[ReplicaView.State]
        SUSPECT: _ClassVar[ReplicaView.State]
        DRAINING: _ClassVar[ReplicaView.State]
    STATE_UNSPECIFIED: ReplicaView.State
    EXPECTED: ReplicaView.State
    CONNECTED: ReplicaView.State
    SUSPECT: ReplicaView.State
    DRAINING: ReplicaView.State
    REPLICA_IDX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    HTTP_PORT_FIELD_NUMBER: _ClassVar[int]
    GRPC_PORT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OVERCOMMIT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    replica_idx: int
    state: ReplicaView.State
    reason: str
    host: str
    http_port: int
    grpc_port: int
    memory_bytes: int
    overcommit_percentage: int
    assigned_bytes: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedCompositeFieldContainer[ReplicaModel]
    since: _timestamp_pb2.Timestamp
    def __init__(self, replica_idx: _Optional[int] = ..., state: _Optional[_Union[ReplicaView.State, str]] = ..., reason: _Optional[str] = ..., host: _Optional[str] = ..., http_port: _Optional[int] = ..., grpc_port: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., overcommit_percentage: _Optional[int] = ..., assigned_bytes: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[_Union[ReplicaModel, _Mapping]]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReplicaModel(_message.Message):
    __slots__ = ("name", "version", "state", "reason", "accounted_bytes", "measured_bytes", "resident", "note", "fetched_bytes", "fetch_total_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEASURED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FETCH_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    state: _scheduler_pb2.ModelReplicaStatus.ModelReplicaState
    reason: str
    accounted_bytes: int
    measured_bytes: int
    resident: bool
    note: str
    fetched_bytes: int
    fetch_total_bytes: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[_scheduler_pb2.ModelReplicaStatus.ModelReplicaState, str]] = ..., reason: _Optional[str] = ..., accounted_bytes: _Optional[int] = ..., measured_bytes: _Optional[int] = ..., resident: bool = ..., note: _Optional[str] = ..., fetched_bytes: _Optional[int] = ..., fetch_total_bytes: _Optional[int] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("subject", "limit")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    limit: int
    def __init__(self, subject: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("sequence", "time", "subject", "text", "cause")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    subject: str
    text: str
    cause: str
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ..., text: _Optional[str] = ..., cause: _Optional[str] = ...) -> None: ...

class GetSystemRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSystemResponse(_message.Message):
    __slots__ = ("version", "started", "waiting_for", "gateways", "refusals", "warnings", "providers")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    version: str
    started: _timestamp_pb2.Timestamp
    waiting_for: str
    gateways: _containers.RepeatedCompositeFieldContainer[Gateway]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    providers: int
    def __init__(self, version: _Optional[str] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waiting_for: _Optional[str] = ..., gateways: _Optional[_Iterable[_Union[Gateway, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., providers: _Optional[int] = ...) -> None: ...

class Gateway(_message.Message):
    __slots__ = ("id", "connected", "since", "config_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    connected: bool
    since: _timestamp_pb2.Timestamp
    config_version: str
    def __init__(self, id: _Optional[str] = ..., connected: bool = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., config_version: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("gateway", "resource", "reason")
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    gateway: str
    resource: str
    reason: str
    def __init__(self, gateway: _Optional[str] = ..., resource: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WatchServersRequest(_message.Message):
    __slots__ = ("provider",)
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    provider: str
    def __init__(self, provider: _Optional[str] = ...) -> None: ...

class WatchServersResponse(_message.Message):
    __slots__ = ("servers",)
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[Server]
    def __init__(self, servers: _Optional[_Iterable[_Union[Server, _Mapping]]] = ...) -> None: ...

class ReportServerRequest(_message.Message):
    __slots__ = ("name", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ReportServerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
