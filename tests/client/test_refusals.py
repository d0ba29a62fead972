"""What a gateway's refusal means: the class by the status, the sentence from the body, one line."""

import pytest

from modelyard.client.refusals import from_http
from modelyard.kit import errors


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, b'{"error": "tensor x"}', errors.InvalidInput, "iris: tensor x (HTTP 400)"),
        (422, b'{"detail": "d"}', errors.InvalidInput, "iris: d (HTTP 422)"),
        (404, b"", errors.NotFound, "modelyard describe model iris"),
        (404, b'{"error": "no"}', errors.NotFound, "iris: no (HTTP 404)"),
        (409, b"x", errors.Refused, "iris: x (HTTP 409)"),
        (503, b"a\n b", errors.Unavailable, "iris: a b (HTTP 503)"),
        (502, b"", errors.Unavailable, "the gateway gave no reason (HTTP 502)"),
        (504, b"", errors.TimedOut, "(HTTP 504)"),
        (501, b"", errors.NotSupported, "(HTTP 501)"),
        (500, b'{"error": "boom"}', errors.ModelyardError, "iris: boom (HTTP 500)"),
        (418, b'["x"]', errors.InvalidInput, '["x"]'),
        (500, b"\xff" * 3, errors.ModelyardError, "HTTP 500"),
        (500, b"x" * 9999, errors.ModelyardError, "…"),
    ],
)
def test_a_refusal_is_an_error_with_a_sentence(
    status: int, body: bytes, kind: type[errors.ModelyardError], says: str
) -> None:
    error = from_http(status, body, "iris")
    assert type(error) is kind
    assert says in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 700
