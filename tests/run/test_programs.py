import asyncio
import sys
from pathlib import Path

import pytest

from modelyard.kit.errors import Refused, Unavailable
from modelyard.run import programs, recipes
from modelyard.run.environments import Environment, Environments, Tell
from modelyard.run.programs import Given, Program, Programs
from modelyard.run.recipes import Recipe


class Fickle(Environments):
    """An installation that fails first: a real one that does takes an index that is not there."""

    def __init__(self, cache: Path, failures: int) -> None:
        super().__init__(cache)
        self.failures = failures
        self.tries = 0

    async def make(self, recipe: Recipe, tell: Tell) -> Environment:
        self.tries += 1
        tell(f"{recipe.title} is being installed")
        await asyncio.sleep(0)
        if self.tries <= self.failures:
            raise Unavailable("the package index cannot be reached, or does not have it")
        return Environment("/env/bin/python", "/lib", "/env/lib/python3.11/site-packages")


async def test_servers_of_a_kind_wait_for_one_installation_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "FIRST_RETRY_SECONDS", 0.01)
    fickle = Fickle(tmp_path, failures=1)
    known, said = Programs(environments=fickle), list[tuple[str, str]]()
    known.tell = lambda server, text: said.append((server, text))
    waits = [asyncio.create_task(known.ready("triton", server)) for server in ("a", "b")]
    await asyncio.sleep(0)
    assert known.waiting == {"a", "b"}
    binary = "/env/lib/python3.11/site-packages/pytriton/tritonserver/bin/tritonserver"
    assert await asyncio.gather(*waits) == [Program(binary, "/lib", "/env/bin")] * 2
    assert known.waiting == frozenset()
    title = recipes.triton().title
    failure = f"{title} cannot be installed: the package index cannot be reached, or does not have it; trying again in"
    for server in ("a", "b"):
        texts = [text for name, text in said if name == server]
        assert f"{title} is being installed" in texts
        assert any(it.startswith(failure) for it in texts)


async def test_ours_is_always_there() -> None:
    assert await Programs().ready("modelyard", "local") == Programs().found("modelyard") == Program(sys.executable)


async def test_a_python_that_is_named_offers_the_runtimes_that_it_has(tmp_path: Path) -> None:
    # A Python whose MLServer is a few empty folders: which ones is all that is asked.
    site = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    for module in ("mlserver", "mlserver_sklearn", "mlserver_mlflow"):
        (site / module).mkdir(parents=True)
        (site / module / "__init__.py").touch()
    (tmp_path / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    known = Programs(Given(mlserver_python=python))
    await known.check()
    assert known.capabilities["mlserver"] == ("mlserver", "python", "mlflow", "sklearn")
    assert await known.ready("mlserver", "a") == Program(str(python))


async def test_a_triton_that_is_named_offers_the_backends_that_it_has(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "tritonserver"
    binary.parent.mkdir()
    binary.touch()
    known = Programs(Given(triton_binary=binary))
    with pytest.raises(Refused, match="has no backends in"):
        await known.check()
    for backend in ("onnxruntime", "python", "identity"):
        (tmp_path / "backends" / backend).mkdir(parents=True)
    with pytest.raises(Refused, match="cannot run Python models: copy the stub"):
        await known.check()
    (tmp_path / "backends" / "python" / "triton_python_backend_stub").touch()
    await known.check()
    assert known.capabilities["triton"] == ("triton", "onnx", "python")
    assert known.found("triton") == Program(str(binary))


async def test_what_is_named_and_is_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"--mlserver-python .* is no Python that has MLServer"):
        await Programs(Given(mlserver_python=Path(sys.executable))).check()
    with pytest.raises(Refused, match="--triton-binary /no/such is no file"):
        await Programs(Given(triton_binary=Path("/no/such"))).check()
