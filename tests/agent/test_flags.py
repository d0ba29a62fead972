import re
from pathlib import Path

import pytest

from modelyard.agent.flags import FLAGS, read
from modelyard.domain.names import ReplicaId
from modelyard.kit.errors import InvalidInput

NAMED = ["--server-name", "local", "--server-idx", "3"]


def test_defaults_are_the_reference_agents() -> None:
    settings, level = read(NAMED, {})
    assert settings.replica == ReplicaId("local", 3)
    assert settings.config.memory_bytes == 1_000_000
    assert settings.folders.repository == Path("/mnt/agent/models")
    assert settings.scheduler == "127.0.0.1:9005"
    assert settings.debug_address == "127.0.0.1:7777"
    assert level == "info"


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"MEMORY_REQUEST": "500", "SELDON_SERVER_HTTP_PORT": "9001"}
    settings, _ = read([*NAMED, "--memory-bytes", "700"], environment)
    assert settings.config.memory_bytes == 700
    assert settings.config.http_port == 9001


def test_a_pod_name_gives_name_and_index() -> None:
    settings, _ = read([], {"POD_NAME": "my-server-12"})
    assert settings.replica == ReplicaId("my-server", 12)
    assert read(NAMED, {"POD_NAME": "my-server-12"})[0].replica == ReplicaId("local", 3)


def test_overcommit_is_taken_as_none_until_eviction_is_built() -> None:
    settings, _ = read([*NAMED, "--over-commit-percentage", "20"], {})
    assert settings.config.overcommit_percent == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        ([], {}, "--server-name is needed"),
        (["--server-name", "UPPER", "--server-idx", "0"], {}, "--server-name: 'UPPER' is not a valid name"),
        ([*NAMED, "--memory-bytes", "lots"], {}, "--memory-bytes 'lots' cannot be"),
        (NAMED, {"MEMORY_REQUEST": "-1"}, "MEMORY_REQUEST '-1' cannot be"),
        ([*NAMED, "--scheduler-port", "70000"], {}, "--scheduler-port '70000' cannot be"),
        ([*NAMED, "--log-level", "shout"], {}, "--log-level 'shout' cannot be: give one of debug"),
        ([*NAMED, "--unload-grace-seconds", "nan"], {}, "--unload-grace-seconds 'nan' cannot be"),
        ([*NAMED, "--no-such-flag"], {}, "unrecognized arguments: --no-such-flag"),
    ],
)
def test_bad_settings_say_which(arguments: list[str], environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(sentence)):
        read(arguments, environment)


def test_every_flag_and_variable_is_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    for flag in FLAGS:
        assert f"`--{flag.name}`" in docs
        assert flag.variable is None or f"`{flag.variable}`" in docs
