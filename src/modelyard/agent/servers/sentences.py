"""What an inference server said of a failure, in one sentence. Pure."""

import re

MOST_CHARACTERS = 300
_MISSING = re.compile(r"No module named '([\w.]+)'")
_TRITON_STATE = re.compile(r"^load failed for model '[^']*': version \d+ is at UNAVAILABLE state: ")
# Where Triton's Python backend begins to tell the stack.
_STACK = re.compile(r"\s*\n+\s*At:\n.*", re.DOTALL)


def reason(said: str) -> str:
    """Of a traceback its last line; of a package that is missing, that it has to be installed there."""
    if missing := _MISSING.search(said):
        return f"the Python package {missing[1]!r} is not installed where the inference server runs"
    text = _TRITON_STATE.sub("", _STACK.sub("", said.strip())).strip().rstrip(";").strip()
    if text.startswith("Traceback"):
        text = text.splitlines()[-1]
    text = " ".join(text.split())
    if not re.search(r"[A-Za-z]{2}", text):
        return f"it gave no reason but {text!r}; its log has more" if text else "it gave no reason; its log has more"
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
