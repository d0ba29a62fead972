"""The page about a model, and the commands on it."""

import json
import shlex
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from modelyard.runtime.docs import curl, subject
from modelyard.runtime.docs.page import page
from modelyard.runtime.model import Signature
from tests.runtime.docs.subjects import EVIL, IMAGES, IRIS


class Seen(HTMLParser):
    """Tags as a browser would meet them, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.links: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_what_goes_in_what_comes_out_and_how_to_ask() -> None:
    text = Seen(page(IRIS)).text
    for words in (
        "iris",
        "sklearn, version 3",
        "served natively: it does not compile",
        "any × 4",
        "FP64",
        "predict_proba",
    ):
        assert words in text
    assert text.count("when asked for") == 1
    assert curl.infer(IRIS) in text


def test_a_model_that_does_not_say_what_it_takes_has_a_page_too() -> None:
    text = Seen(page(replace(IRIS, signature=Signature("python", (), (), ())))).text
    for words in ("It takes what its code takes.", "They show in its answers.", "it does not say which", "curl -sS"):
        assert words in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert Seen(page(IRIS)).links == ["/v2/models/iris/docs/openapi.json"]


def test_no_name_becomes_a_tag_or_a_command() -> None:
    plain, seen = Seen(page(IRIS)), Seen(page(EVIL))
    assert set(seen.tags) <= set(plain.tags)
    assert seen.tags.count("script") == 1
    words = shlex.split(curl.infer(EVIL))
    assert words[:2] == ["curl", "-sS"]
    assert words[2].startswith("http://h/\"><b>'/v2/models/%3C%2Fscript%3E")
    assert json.loads(words[-1])["inputs"][0]["name"] == "'\"<s>"


def test_a_long_example_is_made_by_the_command_itself() -> None:
    command = curl.infer(IMAGES)
    assert len(command) < 500
    made = subprocess.run(command.partition("|")[0], shell=True, capture_output=True, text=True, check=True, timeout=60)
    inputs = json.loads(made.stdout)["inputs"]
    assert [(it["name"], it["shape"], len(it["data"])) for it in inputs] == [
        ("it's", [1, 224, 224, 3], 150_528),
        ("flag", [1], 1),
    ]
    assert inputs[1]["data"] == [False]
    assert "<textarea" not in page(IMAGES)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"host": "h:9000"}, "http://h:9000"),
        ({"host": "h", "x-forwarded-proto": "https"}, "https://h"),
        ({"host": "h", "x-forwarded-proto": "javascript"}, "http://h"),
        ({}, "http://localhost"),
    ],
)
def test_the_address_is_the_one_that_the_client_used(headers: dict[str, str], found: str) -> None:
    assert subject.origin(headers, "localhost") == found


def test_the_name_is_the_one_that_the_client_used() -> None:
    assert subject.called("iris", {}) == "iris"
    assert subject.called("whatever", {"seldon-model": "iris"}) == "iris"
