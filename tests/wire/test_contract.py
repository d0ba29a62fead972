"""Our compiled protobuf against the contract, in both directions: nothing missing, nothing extra."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from modelyard.wire._pb2.pool import POOL
from modelyard.wire._pb2.seldon.mlops.agent import agent_pb2
from modelyard.wire.service import FILES

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = json.loads((ROOT / "proto" / "contract.json").read_text())
PACKAGES = ("seldon.mlops.", "inference")
TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def files() -> list[FileDescriptor]:
    """Those that services need, and what they import."""
    found: dict[str, FileDescriptor] = {}

    def visit(file: FileDescriptor) -> None:
        if file.name not in found:
            found[file.name] = file
            for imported in file.dependencies:
                visit(imported)

    for module in FILES:
        visit(module.DESCRIPTOR)
    return [file for file in found.values() if file.package.startswith(PACKAGES)]


def messages() -> dict[str, Descriptor]:
    found: dict[str, Descriptor] = {}

    def visit(message: Descriptor) -> None:
        if not message.GetOptions().map_entry:
            found[message.full_name] = message
            for nested in message.nested_types:
                visit(nested)

    for file in files():
        for message in file.message_types_by_name.values():
            visit(message)
    return found


def enums() -> dict[str, EnumDescriptor]:
    top = {it.full_name: it for file in files() for it in file.enum_types_by_name.values()}
    nested = {it.full_name: it for message in messages().values() for it in message.enum_types}
    return top | nested


def type_name(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return f"map<{type_name(key)},{type_name(value)}>"
    if field.message_type is not None:
        return str(field.message_type.full_name)
    if field.enum_type is not None:
        return str(field.enum_type.full_name)
    return TYPES[field.type]


def field_shape(field: FieldDescriptor) -> dict[str, Any]:
    """As the contract writes it. A proto3 `optional` stands in a oneof of its own, which is not one."""
    shape: dict[str, Any] = {"number": field.number, "type": type_name(field)}
    oneof = field.containing_oneof
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if field.is_repeated:
        if not is_map:
            shape["label"] = "repeated"
    elif oneof is not None and oneof.name == f"_{field.name}" and len(oneof.fields) == 1:
        shape["label"] = "optional"
    elif oneof is not None:
        shape["label"] = f"oneof {oneof.name}"
    return shape


def test_the_messages_are_those_of_the_contract() -> None:
    assert messages().keys() == CONTRACT["messages"].keys()


@pytest.mark.parametrize("name", sorted(CONTRACT["messages"]))
def test_a_message_has_the_fields_of_the_contract(name: str) -> None:
    fields = {field.name: field_shape(field) for field in messages()[name].fields}
    assert fields == CONTRACT["messages"][name]


def test_the_enums_are_those_of_the_contract() -> None:
    values = {name: {value.name: value.number for value in enum.values} for name, enum in enums().items()}
    assert values == CONTRACT["enums"]


def test_the_services_are_those_of_the_contract() -> None:
    services = {
        service.full_name: {
            method.name: {
                "request": f"{'stream ' if method.client_streaming else ''}{method.input_type.full_name}",
                "response": f"{'stream ' if method.server_streaming else ''}{method.output_type.full_name}",
            }
            for method in service.methods
        }
        for file in files()
        for service in file.services_by_name.values()
    }
    assert services == CONTRACT["services"]


def test_what_is_compiled_comes_from_our_own_pool() -> None:
    for name, message in messages().items():
        assert POOL.FindMessageTypeByName(name) is message


def test_our_copy_of_the_contract_is_the_shared_one() -> None:
    shared = ROOT.parent / "shared" / "wire" / "contract.json"
    if not shared.exists():
        pytest.skip("the shared contract is not on this machine")
    assert json.loads(shared.read_text()) == CONTRACT


@pytest.mark.parametrize("first", ["tritonclient.grpc", "modelyard.wire.service"])
def test_tritonclient_and_our_wire_live_in_one_process(first: str) -> None:
    """Both define `inference.*`; whichever is imported first."""
    pytest.importorskip("tritonclient.grpc")
    program = (
        f"import {first}\nimport tritonclient.grpc as t, modelyard.wire.service\n"
        "from modelyard.wire.oip import grpc\n"
        "t.InferInput('x', [1], 'FP32')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fields_newer_than_ours_are_kept_on_the_way_through() -> None:
    newer = agent_pb2.ModelEventMessage(modelName="iris").SerializeToString() + b"\xba\x3e\x03new"  # field 999
    assert agent_pb2.ModelEventMessage.FromString(newer).SerializeToString() == newer


def test_an_enum_value_newer_than_ours_is_kept_on_the_way_through() -> None:
    message = agent_pb2.ModelEventMessage()
    message.event = 77  # type: ignore[assignment]
    assert agent_pb2.ModelEventMessage.FromString(message.SerializeToString()).event == 77
