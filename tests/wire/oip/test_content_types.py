"""What the elements of tensors stand for."""

import base64
from typing import Any

import numpy as np
import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import content_types, raw
from modelyard.wire.oip.content_types import Defaults, Value
from modelyard.wire.oip.nouns import InferRequest, Tensor


def texts(*elements: bytes, name: str = "x", content_type: Any = None) -> Tensor:
    return Tensor(name, "BYTES", raw.of_bytes(elements), {"content_type": content_type} if content_type else {})


def decoded(*tensors: Tensor, request: Any = None, defaults: Defaults = content_types.NONE) -> tuple[Value, ...]:
    return content_types.decode(
        InferRequest(tensors, parameters={"content_type": request} if request else {}), defaults
    )


@pytest.mark.parametrize(
    ("content_type", "element", "expected"),
    [
        ("np", b"\xff", b"\xff"),
        ("str", "é".encode(), "é"),
        ("pd", "é".encode(), "é"),
        ("base64", base64.b64encode(b"\xff\x00"), b"\xff\x00"),
        ("datetime", b"2026-11-22T20:00:00", np.datetime64("2026-11-22T20:00:00")),
        ("datetime", b"2026-11-22", np.datetime64("2026-11-22")),
        ("datetime", b"2026-11-22T20:00:00+02:00", np.datetime64("2026-11-22T18:00:00")),
        ("datetime", b"2026-11-22T20:00:00.5Z", np.datetime64("2026-11-22T20:00:00.5")),
    ],
)
def test_an_element_is_what_its_content_type_says(content_type: str, element: bytes, expected: Any) -> None:
    (value,) = decoded(texts(element, element, content_type=content_type))
    assert value.data.shape == (2,)
    assert (value.content_type, value.data[1]) == (content_type, expected)


def test_numbers_stay_numbers_in_a_column_and_as_they_are() -> None:
    numbers = np.array([[1.5], [2.5]])
    for content_type in ("np", "pd"):
        (value,) = decoded(Tensor("x", "FP64", numbers, {"content_type": content_type}))
        assert value.data is numbers


@pytest.mark.parametrize(
    ("tensor", "request_", "defaults", "expected"),
    [
        pytest.param(None, None, Defaults(), b"YQ==", id="nothing said"),
        pytest.param(None, None, Defaults("str"), "YQ==", id="the settings say it of all"),
        pytest.param(None, "str", Defaults("base64"), "YQ==", id="the request before that"),
        pytest.param(
            None, "str", Defaults(inputs={"x": "base64"}), b"a", id="the settings about the input before that"
        ),
        pytest.param("str", None, Defaults(inputs={"x": "base64"}), "YQ==", id="the tensor first"),
    ],
)
def test_who_is_heard_first(tensor: str | None, request_: str | None, defaults: Defaults, expected: Any) -> None:
    (value,) = decoded(texts(b"YQ==", content_type=tensor), request=request_, defaults=defaults)
    assert value.data[0] == expected


def test_a_request_is_a_table_where_it_or_the_settings_say_so() -> None:
    assert content_types.is_table(InferRequest((), parameters={"content_type": "pd"}))
    assert content_types.is_table(InferRequest(()), Defaults("pd"))
    assert not content_types.is_table(InferRequest((), parameters={"content_type": "np"}), Defaults("pd"))


@pytest.mark.parametrize(
    ("tensor", "request_", "says"),
    [
        (texts(b"\xff", content_type="str"), None, r"tensor 'x': '.' is no text in UTF-8"),
        (texts(b"a-", content_type="base64"), None, "tensor 'x': 'a-' is no base64"),
        (texts(b"soon", content_type="datetime"), None, "tensor 'x': 'soon' is no date and time in ISO 8601"),
        (
            texts(b"a", content_type="hf"),
            None,
            "the content type 'hf' is not known; known: np, pd, str, base64, datetime",
        ),
        (texts(b"a", content_type=7), None, "the content type of tensor 'x' must be text"),
        (texts(b"a"), ["np"], "the content type of the request must be text"),
        (Tensor("x", "FP32", np.zeros(1)), "str", "tensor 'x': the content type str wants BYTES, not FP32"),
    ],
)
def test_what_cannot_be_is_one_sentence(tensor: Tensor, request_: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        decoded(tensor, request=request_)


def test_for_a_model_of_bytes_only_base64_is_decoded() -> None:
    tensors = (texts(b"YQ==", name="a", content_type="base64"), texts(b"YQ==", name="b", content_type="str"))
    assert [it.data[0] for it in content_types.as_bytes(InferRequest(tensors))] == [b"a", b"YQ=="]
