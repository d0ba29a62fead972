import pytest

from modelyard.kit import redact


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("/models/iris", "/models/iris"),
        ("s3://models/a@b/c", "s3://models/a@b/c"),
        ("https://host/m.zip", "https://host/m.zip"),
        ("https://me:secret@host/m.zip", "https://***@host/m.zip"),
        ("https://me:sec@ret@host/m.zip", "https://***@host/m.zip"),
        ("https://me:sec/ret@host/m", "https://***@host/m"),
        ("https://host:80/m@1/x", "https://host:80/m@1/x"),
        ("https://host/m?X-Amz-Signature=secret&b=secret", "https://host/m?X-Amz-Signature=***&b=***"),
        ("https://host/m?sig=secret%2Bsecret#part", "https://host/m?sig=***#part"),
        ("https://u:secret@host/m?a=secret;b=secret", "https://***@host/m?a=***;b=***"),
        ("https://host/m?secret", "https://host/m?***"),
        ("s3,secret_access_key=secret:models/iris", "s3,***"),
        (":s3,secret_access_key='secret,secret':models/iris", ":s3,***"),
        ("remote:me:secret@models/iris", "remote:***@models/iris"),
    ],
)
def test_a_uri_is_shown_without_its_credentials(uri: str, shown: str) -> None:
    assert redact.uri(uri) == shown
    assert "secret" not in shown


def test_the_longest_secret_is_hidden_first_and_short_ones_are_left() -> None:
    assert redact.values("key abcdef-1 and abcdef", {"abcdef", "abcdef-1", "ke", ""}) == "key *** and ***"
