from pathlib import Path

import pytest

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage.secrets import Secrets

CONTENT = "{type: s3, name: minio, parameters: {region: r}}"


@pytest.mark.parametrize("name", ["minio", "minio.yaml", "minio.yml", "minio.json", "minio/rclone", "minio/any.name"])
def test_a_secret_is_found_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(CONTENT)
    (tmp_path / name).chmod(0o600)
    assert Secrets(tmp_path).find("minio").name == "minio"
    found = Secrets(tmp_path).named("minio")
    assert found is not None
    assert Secrets(tmp_path).named("other") is None


def test_a_secret_for_everybody_is_refused_unless_its_folder_is_closed(tmp_path: Path) -> None:
    (tmp_path / "minio").write_text(CONTENT)
    (tmp_path / "minio").chmod(0o644)
    tmp_path.chmod(0o755)
    with pytest.raises(ArtifactProblem, match=f"can be read by everybody on its machine: chmod 600 {tmp_path}/minio"):
        Secrets(tmp_path).find("minio")
    tmp_path.chmod(0o700)
    Secrets(tmp_path).find("minio")


@pytest.mark.parametrize("name", ["", "../minio", ".hidden", "a/b", "a\0b"])
def test_a_name_does_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "minio").write_text(CONTENT)
    with pytest.raises(ArtifactProblem, match="cannot be: a secret's name is a file name"):
        Secrets(tmp_path / "inner").find(name)


def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    with pytest.raises(ArtifactProblem, match=f"the secret 'minio' is not there: put it into {tmp_path}/minio.yaml"):
        secrets.find("minio")
    for name in ("minio.yaml", "minio.json"):
        (tmp_path / name).write_text(CONTENT)
    with pytest.raises(ArtifactProblem, match="is there 2 times"):
        secrets.find("minio")
    (tmp_path / "minio.json").unlink()
    (tmp_path / "minio.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "minio.yaml").chmod(0o600)
    with pytest.raises(ArtifactProblem, match="is not text"):
        secrets.find("minio")
    (tmp_path / "minio.yaml").write_text("x" * (2 << 20))
    with pytest.raises(ArtifactProblem, match="too large"):
        secrets.find("minio")
