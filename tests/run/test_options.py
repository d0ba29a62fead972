from pathlib import Path
from typing import Any

import pytest

from modelyard.kit.errors import InvalidInput, ModelyardError, NotSupported
from modelyard.run import options


def test_flags_that_are_not_given_stay_unsaid(tmp_path: Path) -> None:
    assert options.check(state_dir=tmp_path).server.is_silent


def test_memory_is_a_quantity(tmp_path: Path) -> None:
    assert options.check(state_dir=tmp_path, memory="1.5Gi").server.memory_bytes == 3 << 29


@pytest.mark.parametrize(
    ("flags", "error", "sentence"),
    [
        ({"replicas": 0}, InvalidInput, "--replicas 0"),
        ({"replicas": 65}, InvalidInput, "--replicas 65"),
        ({"memory": "1GB"}, InvalidInput, "--memory: .*1G"),
        ({"memory": "0"}, InvalidInput, "--memory 0"),
        ({"overcommit": -5}, InvalidInput, "--overcommit -5"),
        ({"overcommit": 10}, NotSupported, "--overcommit 10 is not possible yet"),
        ({"port_base": 80}, InvalidInput, "--port-base 80"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_flag(
    tmp_path: Path, flags: dict[str, Any], error: type[ModelyardError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        options.check(state_dir=tmp_path, **flags)
