import pytest

from modelyard.agent.servers import sentences

TRITON = (
    "load failed for model 'bad_1': version 1 is at UNAVAILABLE state: Internal: ValueError: no such file\n\nAt:\n"
    "  /repository/bad_1/1/model.py(1): <module>\n  <frozen importlib._bootstrap>(241): _call_with_frames_removed\n;\n"
)
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: it is broken'


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(TRITON, "Internal: ValueError: no such file", id="Triton's stack is left out"),
        pytest.param(TRACEBACK, "ValueError: it is broken", id="of a traceback the last line"),
        pytest.param(
            "Internal: ModuleNotFoundError: No module named 'torch'\n\nAt:\n  x",
            "the Python package 'torch' is not installed where the inference server runs",
            id="a package that is missing",
        ),
        pytest.param("110", "it gave no reason but '110'; its log has more", id="a bare number"),
        pytest.param(" \n", "it gave no reason; its log has more", id="nothing"),
        pytest.param("invalid syntax (model.py, line 1)", "invalid syntax (model.py, line 1)", id="a sentence"),
        pytest.param("two\n  lines", "two lines", id="lines are joined"),
        pytest.param("word " * 200, ("word " * 60) + "…", id="too long"),
    ],
)
def test_what_a_server_said_in_a_sentence(said: str, reason: str) -> None:
    assert sentences.reason(said) == reason
