"""What models really take, through the whole system: shown, placed by, and acted upon."""

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.e2e.yard import Yard, until

pytestmark = pytest.mark.e2e


def large_model(folder: Path, mebibytes: int) -> str:
    folder.mkdir(parents=True)
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.ballast_ = np.random.default_rng(0).random((mebibytes << 20) // 8)
    joblib.dump(model, folder / "model.joblib")
    return str(folder)


def test_models_are_accounted_shown_and_placed_by_what_they_take(yard: Yard) -> None:
    half, whole = large_model(yard.home / "half", 60), large_model(yard.home / "whole", 140)
    yard.up("--replicas", "1", "--memory", "120Mi")
    yard.do("load", "half", half, "--requires", "sklearn", "--memory", "1Mi")
    yard.do("wait", "model/half", "--for", "Available", "--timeout", "60s")

    (version,) = json.loads(yard.do("get", "model", "half", "-o", "json"))["versions"]
    (load,) = version["placedOn"]
    measured = load["measuredBytes"]
    assert 60 << 20 <= measured < 110 << 20
    header, row = yard.do("get", "models", "half", "-o", "wide").splitlines()
    assert row.split()[header.split().index("MEMORY")].endswith("Mi/1Mi")
    assert "Mi measured, 1Mi declared" in yard.do("describe", "model", "half")
    (server,) = json.loads(yard.do("get", "servers", "-o", "json"))
    assert server["replicas"][0]["assignedBytes"] == measured

    said = yard.do("load", "twin", half, "--requires", "sklearn", "--memory", "1Mi", "--dry-run")
    assert "(measured; 1Mi declared)" in said
    other = yard.do("load", "other", "/somewhere/else", "--requires", "sklearn", "--memory", "1Mi", "--dry-run")
    assert "it would go nowhere" not in other

    yard.do("unload", "half")
    yard.do("load", "whole", whole, "--requires", "sklearn", "--memory", "1Mi")
    sentence = "of memory as measured (1Mi declared); local/0 has 120Mi in all, so it is unloaded again"
    until(lambda: sentence in " ".join(yard.do("describe", "model", "whole").split()), "it is described")
    (server,) = json.loads(yard.do("get", "servers", "-o", "json"))
    assert server["replicas"][0]["assignedBytes"] == 0
    # A restarted scheduler still knows what the artifact takes.
    yard.kill("scheduler")
    until(lambda: "(measured; 1Mi declared)" in yard.run("explain", "whole").stdout, "the scheduler knows the size")
