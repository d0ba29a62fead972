"""Arrays become tensors of the right datatype."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from modelyard.client.arrays import tensor_of
from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import grpc, rest
from modelyard.wire.oip.nouns import DTYPES, InferRequest


@pytest.mark.parametrize("datatype", [it for it in DTYPES if it != "BYTES"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_number_type_keeps_its_datatype_and_values(datatype: str, order: str) -> None:
    array = np.array([[0, 1], [1, 0]], dtype=DTYPES[datatype].newbyteorder(order))  # type: ignore[call-overload]
    tensor = tensor_of("x", array)
    assert (tensor.datatype, tensor.data.dtype) == (datatype, DTYPES[datatype])
    np.testing.assert_array_equal(tensor.data, array)


@pytest.mark.parametrize(
    ("values", "datatype", "shape"),
    [
        ([1, 2], "INT64", (2,)),
        ([[1.5]], "FP64", (1, 1)),
        (True, "BOOL", ()),
        (["a", "ü"], "BYTES", (2,)),
        ([b"a", b"\xff"], "BYTES", (2,)),
        (np.array([["a"], [b"b"]], dtype=object), "BYTES", (2, 1)),
    ],
)
def test_anything_that_numpy_takes_is_taken(values: Any, datatype: str, shape: tuple[int, ...]) -> None:
    tensor = tensor_of("x", values)
    assert (tensor.datatype, tensor.data.shape) == (datatype, shape)
    if datatype == "BYTES":
        assert all(isinstance(it, bytes) for it in tensor.data.reshape(-1))


@pytest.mark.parametrize("values", [1j, np.datetime64("2024-01-01"), [[1], [1, 2]], [None], [object()]])
def test_what_the_protocol_has_no_word_for_is_refused_by_name(values: Any) -> None:
    with pytest.raises(InvalidInput, match="input 'x'"):
        tensor_of("x", values)


@given(np_st.arrays(np_st.integer_dtypes() | np_st.floating_dtypes(sizes=(32, 64)), np_st.array_shapes(), elements={}))
def test_arrays_come_back_from_both_protocols(array: np.ndarray[Any, Any]) -> None:
    request = InferRequest((tensor_of("x", array),), model="m")
    by_grpc = grpc.decode_request(grpc.encode_request(request)).inputs[0].data
    np.testing.assert_array_equal(by_grpc, array)
    if np.isfinite(array).all():
        by_rest = rest.decode_request(rest.encode_request(request).content).inputs[0].data
        np.testing.assert_array_equal(by_rest, array)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=5), min_size=1))
def test_texts_come_back_as_utf8(texts: list[str]) -> None:
    request = InferRequest((tensor_of("x", np.array(texts, dtype=object)),), model="m")
    for decoded in (
        grpc.decode_request(grpc.encode_request(request)),
        rest.decode_request(rest.encode_request(request).content),
    ):
        assert [it.decode() for it in decoded.inputs[0].data] == texts
