"""docs/formats.md: its class and its request work, and no setting, content type, format or extra is left out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from modelyard.runtime.formats import content, extras, settings
from modelyard.runtime.formats.load import Options, load
from modelyard.wire.oip import content_types, rest
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import InferRequest, Tensor
from tests.docs.guide import DOCS

GUIDE = (DOCS / "formats.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_class_is_served_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(block("python"))
    np.savetxt(tmp_path / "weights.csv", np.array([1.0, 2.0]))
    model = load(tmp_path, Options(), LoadOrder(parameters={"factor": "10"})).model
    request = InferRequest((Tensor("x", "FP64", np.array([[1.0, 1.0]])),))
    assert model.predict(model.fit(request), ())[0].data.tolist() == [30.0]


def test_the_request_is_a_table() -> None:
    request = rest.decode_request(block("json").encode())
    assert content_types.is_table(request)
    assert [it.data.reshape(-1).tolist() for it in content_types.decode(request)] == [[31.5, 58.0], ["Oslo", "Bern"]]
    assert json.loads(block("json"))


@pytest.mark.parametrize("word", [*settings.OUR_KEYS, *content_types.KNOWN, *content.SUFFIXES])
def test_nothing_is_left_out(word: str) -> None:
    assert f"`{word}`" in GUIDE + (DOCS / "runtime.md").read_text()


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_every_extra_is_named(extra: str) -> None:
    assert f"modelyard[{extra}]" in GUIDE
