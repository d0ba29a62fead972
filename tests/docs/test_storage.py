"""The secret that the page shows can be read, and the parameters that it names are the ones that are taken."""

import re
from pathlib import Path

from modelyard.agent.storage import access, configs
from modelyard.agent.storage.uris import Objects

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "storage.md").read_text()


def test_the_secret_on_the_page_is_one() -> None:
    (secret,) = [it for it in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if it.startswith("type:")]
    config = configs.parse(secret, "the page")
    found = access.with_secret(config, Objects("minio", "models", "iris"))
    assert found.endpoint == "https://minio.example:9000"


def test_every_parameter_on_the_page_is_taken() -> None:
    rows = re.findall(r"^\| `(s3|gcs|azureblob)`.*?\| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for kind, text in rows:
        for name in re.findall(r"`(\w+)(?:: true)?`", text):
            assert re.search(rf'"{name}"', Path(access.__file__).read_text()), (kind, name)
