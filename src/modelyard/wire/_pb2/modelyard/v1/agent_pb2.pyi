import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentReport(_message.Message):
    __slots__ = ("server_name", "replica_idx", "models")
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    REPLICA_IDX_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    server_name: str
    replica_idx: int
    models: _containers.RepeatedCompositeFieldContainer[ModelReport]
    def __init__(self, server_name: _Optional[str] = ..., replica_idx: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelReport, _Mapping]]] = ...) -> None: ...

class ModelReport(_message.Message):
    __slots__ = ("name", "version", "measured_bytes", "resident", "last_used", "load_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MEASURED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_FIELD_NUMBER: _ClassVar[int]
    LOAD_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    measured_bytes: int
    resident: bool
    last_used: _timestamp_pb2.Timestamp
    load_ms: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., measured_bytes: _Optional[int] = ..., resident: bool = ..., last_used: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., load_ms: _Optional[int] = ...) -> None: ...

class AgentReportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
