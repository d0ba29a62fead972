import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelReplicaState(_message.Message):
    __slots__ = ("state", "lastAccessed", "name")
    class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        Evicted: _ClassVar[ModelReplicaState.ModelState]
        InMemory: _ClassVar[ModelReplicaState.ModelState]
    Evicted: ModelReplicaState.ModelState
    InMemory: ModelReplicaState.ModelState
    STATE_FIELD_NUMBER: _ClassVar[int]
    LASTACCESSED_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    state: ModelReplicaState.ModelState
    lastAccessed: _timestamp_pb2.Timestamp
    name: str
    def __init__(self, state: _Optional[_Union[ModelReplicaState.ModelState, str]] = ..., lastAccessed: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class ReplicaStatusResponse(_message.Message):
    __slots__ = ("availableMemoryBytes", "models")
    AVAILABLEMEMORYBYTES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    availableMemoryBytes: int
    models: _containers.RepeatedCompositeFieldContainer[ModelReplicaState]
    def __init__(self, availableMemoryBytes: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelReplicaState, _Mapping]]] = ...) -> None: ...

class ReplicaStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
