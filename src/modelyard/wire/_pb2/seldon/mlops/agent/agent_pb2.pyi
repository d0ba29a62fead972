from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as _scheduler_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelEventMessage(_message.Message):
    __slots__ = ("serverName", "replicaIdx", "modelName", "modelVersion", "event", "message", "availableMemoryBytes", "runtimeInfo")
    class Event(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_EVENT: _ClassVar[ModelEventMessage.Event]
        LOAD_FAIL_MEMORY: _ClassVar[ModelEventMessage.Event]
        LOADED: _ClassVar[ModelEventMessage.Event]
        LOAD_FAILED: _ClassVar[ModelEventMessage.Event]
        UNLOADED: _ClassVar[ModelEventMessage.Event]
        UNLOAD_FAILED: _ClassVar[ModelEventMessage.Event]
        REMOVED: _ClassVar[ModelEventMessage.Event]
        REMOVE_FAILED: _ClassVar[ModelEventMessage.Event]
        RSYNC: _ClassVar[ModelEventMessage.Event]
    UNKNOWN_EVENT: ModelEventMessage.Event
    LOAD_FAIL_MEMORY: ModelEventMessage.Event
    LOADED: ModelEventMessage.Event
    LOAD_FAILED: ModelEventMessage.Event
    UNLOADED: ModelEventMessage.Event
    UNLOAD_FAILED: ModelEventMessage.Event
    REMOVED: ModelEventMessage.Event
    REMOVE_FAILED: ModelEventMessage.Event
    RSYNC: ModelEventMessage.Event
    SERVERNAME_FIELD_NUMBER: _ClassVar[int]
    REPLICAIDX_FIELD_NUMBER: _ClassVar[int]
    MODELNAME_FIELD_NUMBER: _ClassVar[int]
    MODELVERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLEMEMORYBYTES_FIELD_NUMBER: _ClassVar[int]
    RUNTIMEINFO_FIELD_NUMBER: _ClassVar[int]
    serverName: str
    replicaIdx: int
    modelName: str
    modelVersion: int
    event: ModelEventMessage.Event
    message: str
    availableMemoryBytes: int
    runtimeInfo: _scheduler_pb2.ModelRuntimeInfo
    def __init__(self, serverName: _Optional[str] = ..., replicaIdx: _Optional[int] = ..., modelName: _Optional[str] = ..., modelVersion: _Optional[int] = ..., event: _Optional[_Union[ModelEventMessage.Event, str]] = ..., message: _Optional[str] = ..., availableMemoryBytes: _Optional[int] = ..., runtimeInfo: _Optional[_Union[_scheduler_pb2.ModelRuntimeInfo, _Mapping]] = ...) -> None: ...

class ModelEventResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelScalingTriggerMessage(_message.Message):
    __slots__ = ("serverName", "replicaIdx", "modelName", "modelVersion", "trigger", "amount", "metrics")
    class Trigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SCALE_UP: _ClassVar[ModelScalingTriggerMessage.Trigger]
        SCALE_DOWN: _ClassVar[ModelScalingTriggerMessage.Trigger]
    SCALE_UP: ModelScalingTriggerMessage.Trigger
    SCALE_DOWN: ModelScalingTriggerMessage.Trigger
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVERNAME_FIELD_NUMBER: _ClassVar[int]
    REPLICAIDX_FIELD_NUMBER: _ClassVar[int]
    MODELNAME_FIELD_NUMBER: _ClassVar[int]
    MODELVERSION_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    serverName: str
    replicaIdx: int
    modelName: str
    modelVersion: int
    trigger: ModelScalingTriggerMessage.Trigger
    amount: int
    metrics: _containers.ScalarMap[str, int]
    def __init__(self, serverName: _Optional[str] = ..., replicaIdx: _Optional[int] = ..., modelName: _Optional[str] = ..., modelVersion: _Optional[int] = ..., trigger: _Optional[_Union[ModelScalingTriggerMessage.Trigger, str]] = ..., amount: _Optional[int] = ..., metrics: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ModelScalingTriggerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentDrainRequest(_message.Message):
    __slots__ = ("serverName", "replicaIdx")
    SERVERNAME_FIELD_NUMBER: _ClassVar[int]
    REPLICAIDX_FIELD_NUMBER: _ClassVar[int]
    serverName: str
    replicaIdx: int
    def __init__(self, serverName: _Optional[str] = ..., replicaIdx: _Optional[int] = ...) -> None: ...

class AgentDrainResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: bool = ...) -> None: ...

class AgentSubscribeRequest(_message.Message):
    __slots__ = ("serverName", "shared", "replicaIdx", "replicaConfig", "loadedModels", "availableMemoryBytes")
    SERVERNAME_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    REPLICAIDX_FIELD_NUMBER: _ClassVar[int]
    REPLICACONFIG_FIELD_NUMBER: _ClassVar[int]
    LOADEDMODELS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLEMEMORYBYTES_FIELD_NUMBER: _ClassVar[int]
    serverName: str
    shared: bool
    replicaIdx: int
    replicaConfig: ReplicaConfig
    loadedModels: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    availableMemoryBytes: int
    def __init__(self, serverName: _Optional[str] = ..., shared: bool = ..., replicaIdx: _Optional[int] = ..., replicaConfig: _Optional[_Union[ReplicaConfig, _Mapping]] = ..., loadedModels: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., availableMemoryBytes: _Optional[int] = ...) -> None: ...

class ReplicaConfig(_message.Message):
    __slots__ = ("inferenceSvc", "inferenceHttpPort", "inferenceGrpcPort", "memoryBytes", "capabilities", "overCommitPercentage")
    INFERENCESVC_FIELD_NUMBER: _ClassVar[int]
    INFERENCEHTTPPORT_FIELD_NUMBER: _ClassVar[int]
    INFERENCEGRPCPORT_FIELD_NUMBER: _ClassVar[int]
    MEMORYBYTES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    OVERCOMMITPERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    inferenceSvc: str
    inferenceHttpPort: int
    inferenceGrpcPort: int
    memoryBytes: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    overCommitPercentage: int
    def __init__(self, inferenceSvc: _Optional[str] = ..., inferenceHttpPort: _Optional[int] = ..., inferenceGrpcPort: _Optional[int] = ..., memoryBytes: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., overCommitPercentage: _Optional[int] = ...) -> None: ...

class ModelOperationMessage(_message.Message):
    __slots__ = ("operation", "modelVersion", "autoscalingEnabled")
    class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_EVENT: _ClassVar[ModelOperationMessage.Operation]
        LOAD_MODEL: _ClassVar[ModelOperationMessage.Operation]
        UNLOAD_MODEL: _ClassVar[ModelOperationMessage.Operation]
    UNKNOWN_EVENT: ModelOperationMessage.Operation
    LOAD_MODEL: ModelOperationMessage.Operation
    UNLOAD_MODEL: ModelOperationMessage.Operation
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    MODELVERSION_FIELD_NUMBER: _ClassVar[int]
    AUTOSCALINGENABLED_FIELD_NUMBER: _ClassVar[int]
    operation: ModelOperationMessage.Operation
    modelVersion: ModelVersion
    autoscalingEnabled: bool
    def __init__(self, operation: _Optional[_Union[ModelOperationMessage.Operation, str]] = ..., modelVersion: _Optional[_Union[ModelVersion, _Mapping]] = ..., autoscalingEnabled: bool = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: _scheduler_pb2.Model
    version: int
    def __init__(self, model: _Optional[_Union[_scheduler_pb2.Model, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...
