"""The command on a model's page, as a person would use it: copied out and pasted into a shell."""

import json
import subprocess
from html import unescape
from typing import Any

import httpx


def command(page: str) -> str:
    shown = page.partition('<pre id="curl">')[2].partition("</pre>")[0]
    assert shown, page
    return unescape(shown)


def pasted(model_url: str) -> dict[str, Any]:
    """What the server answers to the command on the model's page."""
    page = httpx.get(f"{model_url}/docs", timeout=30)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), page.text
    line = command(page.text)
    assert f"{model_url}/infer" in line
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(run.stdout)
    assert answer.get("outputs"), answer
    return answer
