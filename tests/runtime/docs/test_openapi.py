"""The OpenAPI document of a model."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from modelyard.runtime.docs import openapi
from modelyard.runtime.docs.subject import Subject
from modelyard.runtime.model import Signature
from modelyard.wire.oip import example
from modelyard.wire.oip.nouns import DTYPES, TensorMetadata
from tests.runtime.docs.subjects import IMAGES, IRIS

TENSORS = st.lists(
    st.builds(
        TensorMetadata,
        name=st.text(max_size=8),
        datatype=st.sampled_from(sorted(DTYPES)),
        shape=st.lists(st.integers(-1, 3), max_size=3).map(tuple),
    ),
    max_size=3,
    unique_by=lambda it: it.name,
).map(tuple)
SUBJECTS = st.builds(
    Subject,
    name=st.text(min_size=1, max_size=10),
    origin=st.just("http://h:9000"),
    version=st.text(max_size=3),
    signature=st.builds(Signature, st.just("onnx"), TENSORS, TENSORS, st.just(())),
    note=st.text(max_size=10),
)


@settings(max_examples=30, deadline=None)
@given(SUBJECTS)
def test_it_is_valid_for_any_signature_and_its_schemas_take_the_example(it: Subject) -> None:
    document = json.loads(json.dumps(openapi.document(it)))
    validate(document)
    schema = {"$ref": "#/components/schemas/InferRequest", "components": document["components"]}
    jsonschema.validate(example.request(it.signature.inputs), schema)


@pytest.mark.parametrize(
    "changed",
    [{"name": "z"}, {"shape": [1, 5]}, {"shape": [1]}, {"datatype": "FP31"}, {"data": 3}],
    ids=lambda it: next(iter(it)),
)
def test_its_schemas_refuse_what_the_model_would(changed: dict[str, object]) -> None:
    document = openapi.document(IRIS)
    (tensor,) = example.request(IRIS.signature.inputs)["inputs"]
    schema = {"$ref": "#/components/schemas/InferRequest", "components": document["components"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inputs": [tensor | changed]}, schema)


def test_it_has_the_paths_and_the_address_that_the_client_uses() -> None:
    document = openapi.document(IRIS)
    assert document["servers"] == [{"url": "https://models.example:9000"}]
    assert list(document["paths"]) == [
        "/v2/models/iris",
        "/v2/models/iris/ready",
        "/v2/models/iris/infer",
        "/v2/models/iris/infer_stream",
    ]


def test_a_huge_example_is_left_out() -> None:
    assert len(json.dumps(openapi.document(IMAGES))) < 20_000
