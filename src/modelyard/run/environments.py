"""Virtual environments for inference servers, made on first use and shared by all systems of this user.

    <cache>/servers/<key>/            the environment; the key says what is in it
    <cache>/servers/<key>/.complete   written last: without it, the environment is being made, or broken
    <cache>/servers/<key>.lock        held by whoever makes it

`python -m modelyard.run.environments` makes them beforehand.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from modelyard.kit import logs
from modelyard.kit.errors import ModelyardError, Refused, Unavailable
from modelyard.run import recipes
from modelyard.run.recipes import Recipe

CACHE_VARIABLE = "MODELYARD_CACHE_DIR"
POLL_SECONDS = 0.2
TELL_EVERY_SECONDS = 10.0
PROBE_SECONDS = 60.0
_MARKER = ".complete"
_TRITON = Path("pytriton") / "tritonserver"
# Of what pip says: what is being done, what stays in the way, and that nobody can be reached.
_DOING = re.compile(r"^\s*(Collecting|Downloading|Installing|Building|Preparing) .*")
_UNREACHABLE = re.compile(
    r"NewConnectionError|Name or service not known|Temporary failure in name resolution|Network is unreachable"
    r"|Connection refused|ProxyError|ReadTimeoutError|ConnectTimeoutError|No matching distribution found"
)

Tell = Callable[[str], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Environment:
    """`python`: its interpreter. `libraries`: where the shared library of that Python is. `packages`: site-packages."""

    python: str
    libraries: str
    packages: str


def cache_dir() -> Path:
    """MODELYARD_CACHE_DIR, else `modelyard` in the user's cache directory."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home).absolute() / "modelyard"


def same_libraries() -> dict[str, str]:
    """The versions beside us of those libraries that load what they have saved."""
    found = {}
    for package in recipes.SAME_LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


class Environments:
    def __init__(self, cache: Path | None = None) -> None:
        self._folder = (cache or cache_dir()) / "servers"

    def folder(self, recipe: Recipe) -> Path:
        """Where it is, or will be."""
        own = sys.version_info[:2]
        return self._folder / recipe.key(own if recipe.fits(own) else recipe.pythons[1])

    def made(self, recipe: Recipe) -> Environment | None:
        """None where it has yet to be made."""
        try:
            return Environment(**json.loads((self.folder(recipe) / _MARKER).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    async def make(self, recipe: Recipe, tell: Tell) -> Environment:
        """The environment, made if need be. Raises `Unavailable` and `Refused`, each a sentence without subject."""
        folder = self.folder(recipe)
        try:
            if (found := await self._whole(recipe)) is not None:
                return found
            self._folder.mkdir(parents=True, exist_ok=True)
            async with _locked(folder.with_name(f"{folder.name}.lock"), tell):
                if (found := await self._whole(recipe)) is not None:
                    return found
                return await self._build(recipe, folder, tell)
        except OSError as error:
            raise Unavailable(f"cannot write to {error.filename or folder}: {error.strerror}") from error

    async def _whole(self, recipe: Recipe) -> Environment | None:
        found = self.made(recipe)
        if found is None or await lacking(found.python, recipe.modules) == ():
            return found
        log.warning("%s is broken: it is made anew", self.folder(recipe))
        return None

    async def _build(self, recipe: Recipe, folder: Path, tell: Tell) -> Environment:
        python = await _fitting_python(recipe)
        tell(f"{recipe.title} is being installed into {folder} (about {recipe.megabytes} MB, once)")
        began = time.monotonic()
        # Out of sight at once, lest what is left of it passes for whole when we are killed meanwhile.
        (folder / _MARKER).unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await _run((python, "-m", "venv", str(folder)), tell)
        own = str(folder / "bin" / "python")
        pip = (own, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--progress-bar", "off")
        for step in recipe.steps:
            await _run((*pip, "--retries", "2", *step), tell)
        environment = await _describe(own)
        if missing := await lacking(own, recipe.modules):
            raise Unavailable(f"pip installed it, but it lacks {', '.join(missing)}")
        await asyncio.to_thread(_finish, environment)
        await asyncio.to_thread(_write, folder / _MARKER, json.dumps(asdict(environment)))
        tell(f"{recipe.title} is installed, after {time.monotonic() - began:.0f} s")
        return environment


def triton_binary(environment: Environment) -> Path:
    return Path(environment.packages) / _TRITON / "bin" / "tritonserver"


def _finish(environment: Environment) -> None:
    """Triton's Python backend looks for its stub beside itself; the package has one for each Python elsewhere."""
    home = Path(environment.packages) / _TRITON
    if not home.is_dir():
        return
    version = Path(environment.packages).parent.name.removeprefix("python")
    stub = home / "backends" / "python" / "triton_python_backend_stub"
    shutil.copy2(home / "python_backend_stubs" / version / stub.name, stub)
    for program in (stub, triton_binary(environment)):
        program.chmod(0o755)


async def lacking(python: str, modules: Sequence[str]) -> tuple[str, ...]:
    """Those modules that a Python cannot find; all of them where it does not run."""
    code = "import importlib.util, sys; print(*(m for m in sys.argv[1:] if importlib.util.find_spec(m) is None))"
    answer = await _ask(python, code, *modules)
    return tuple(modules) if answer is None else tuple(answer.split())


async def _describe(python: str) -> Environment:
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR')); print(sysconfig.get_path('purelib'))"
    answer = await _ask(python, code)
    if answer is None:
        raise Unavailable(f"{python} does not run")
    libraries, packages = answer.splitlines()
    return Environment(python, libraries, packages)


async def _fitting_python(recipe: Recipe) -> str:
    """Ours, else the newest on the PATH that will do. Raises `Refused`."""
    if recipe.fits(sys.version_info[:2]):
        return sys.executable
    lowest, highest = recipe.pythons
    for minor in range(highest[1], lowest[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and (await _ask(found, "import ensurepip, venv, sys; print(sys.version_info[1])") or "") == f"{minor}":
            return found
    raise Refused(
        f"{recipe.title} needs Python 3.{lowest[1]} to 3.{highest[1]}, this is {sysconfig.get_python_version()} and no "
        f"other is on the PATH: install one, or name an installation with {recipe.flag}"
    )


async def _ask(python: str, code: str, *arguments: str) -> str | None:
    """What a Python prints; None where it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(python, "-I", "-c", code, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        said, _ = await asyncio.wait_for(process.communicate(), PROBE_SECONDS)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode().strip() if process.returncode == 0 else None


async def _run(command: Sequence[str], tell: Tell) -> None:
    """A step of the installation. Raises `Unavailable` with why it failed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
        start_new_session=True,
        limit=1 << 20,
    )
    assert process.stdout is not None
    said: list[str] = []
    told = time.monotonic()
    try:
        async for raw in process.stdout:
            said.append(line := raw.decode(errors="replace").strip())
            if _DOING.match(line) and time.monotonic() - told >= TELL_EVERY_SECONDS:
                told = time.monotonic()
                tell(f"installing: {line[:120]}")
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise Unavailable(why(said))


def why(said: Sequence[str]) -> str:
    """Why an installation failed, from what was printed. Pure."""
    if any(_UNREACHABLE.search(line) for line in said):
        return "the package index cannot be reached, or does not have it"
    errors = [line.removeprefix("ERROR:").strip() for line in said if line.startswith(("ERROR:", "Error:"))]
    last = next((line for line in reversed(said) if line), "it gave no reason")
    return (errors or [last])[0][:300]


@contextlib.asynccontextmanager
async def _locked(path: Path, tell: Tell) -> AsyncIterator[None]:
    """The file stays: who waits for a lock on a removed file would hold a lock on nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        waited = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    tell("another process is installing it: waiting for that")
                waited = True
                await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


async def _main() -> int:
    environments = Environments()
    for recipe in (recipes.mlserver(same_libraries()), recipes.triton()):
        try:
            made = await environments.make(recipe, log.info)
        except ModelyardError as error:
            log.error("%s cannot be installed: %s", recipe.title, error)
            return error.exit_code
        log.info("%s: %s", recipe.title, made.python)
    return 0


if __name__ == "__main__":
    logs.configure("environments")
    sys.exit(asyncio.run(_main()))
