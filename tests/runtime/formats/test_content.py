"""Which format a file is of: by its name, or by what it begins with."""

from pathlib import Path

import pytest

from modelyard.runtime.formats.content import format_of

UBJSON = b"{L" + (7).to_bytes(8, "big") + b"learner{L" + bytes(8)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.onnx", b"", "onnx"),
        ("m.pkl", b"", "sklearn"),
        ("m.ubj", b"", "xgboost"),
        ("m.json", b'{"learner":{"attributes":{}}', "xgboost"),
        ("m.json", b' {\n  "version": [3, 2, 0],\n  "learner": {}}', "xgboost"),
        ("m.json", b'{"version": 1, "name": "iris"}', None),
        ("m.json", b'{"name": "learner"}', None),
        ("m.json", b"", None),
        ("m.json", b"[{}]", None),
        ("m.json", b"tree\nversion=v4\n", None),
        ("m.bst", UBJSON, "xgboost"),
        ("m.bst", b'{"learner":{}}', "xgboost"),
        ("m.bst", b"binf\0\0\0\0", "xgboost"),
        ("m.bst", b"tree\nversion=v4\n", "lightgbm"),
        ("m.bst", b"", None),
        ("m.txt", b"tree\r\nversion=v4\r\n", "lightgbm"),
        ("m.txt", b"tree", None),
        ("requirements.txt", b"treelite\n", None),
        ("m.txt", UBJSON, None),
        ("m", b"tree\n", None),
        ("m.md", b"tree\n", None),
    ],
)
def test_a_file_is_what_its_name_and_its_first_bytes_say(
    tmp_path: Path, name: str, content: bytes, expected: str | None
):
    (tmp_path / name).write_bytes(content)
    assert format_of(tmp_path / name) == expected


def test_only_the_first_bytes_of_a_large_file_are_read(tmp_path: Path):
    path = tmp_path / "m.json"
    with path.open("wb") as file:
        file.write(b'{"learner":{')
        file.truncate(1 << 40)  # sparse: reading all of it would not end
    assert format_of(path) == "xgboost"
