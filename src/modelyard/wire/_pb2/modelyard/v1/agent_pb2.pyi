import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentReport(_message.Message):
    __slots__ = ("server_name", "replica_idx", "models", "offers")
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    REPLICA_IDX_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    server_name: str
    replica_idx: int
    models: _containers.RepeatedCompositeFieldContainer[ModelReport]
    offers: Offers
    def __init__(self, server_name: _Optional[str] = ..., replica_idx: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelReport, _Mapping]]] = ..., offers: _Optional[_Union[Offers, _Mapping]] = ...) -> None: ...

class Offers(_message.Message):
    __slots__ = ("grpc_over_http1", "unix_socket", "machine")
    GRPC_OVER_HTTP1_FIELD_NUMBER: _ClassVar[int]
    UNIX_SOCKET_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    grpc_over_http1: bool
    unix_socket: str
    machine: str
    def __init__(self, grpc_over_http1: bool = ..., unix_socket: _Optional[str] = ..., machine: _Optional[str] = ...) -> None: ...

class ModelReport(_message.Message):
    __slots__ = ("name", "version", "measured_bytes", "resident", "last_used", "load_ms", "note", "fetched_bytes", "fetch_total_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MEASURED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_FIELD_NUMBER: _ClassVar[int]
    LOAD_MS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FETCH_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    measured_bytes: int
    resident: bool
    last_used: _timestamp_pb2.Timestamp
    load_ms: int
    note: str
    fetched_bytes: int
    fetch_total_bytes: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., measured_bytes: _Optional[int] = ..., resident: bool = ..., last_used: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., load_ms: _Optional[int] = ..., note: _Optional[str] = ..., fetched_bytes: _Optional[int] = ..., fetch_total_bytes: _Optional[int] = ...) -> None: ...

class AgentReportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
