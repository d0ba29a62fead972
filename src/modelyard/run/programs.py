"""The programs that inference servers run from: found, or installed first.

ours       always there
MLServer   a Python that has it: named by the user, or an environment made on first use
Triton     its binary, with its backends beside it: likewise
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.server_configs import MLSERVER, MODELYARD, TRITON
from modelyard.kit import backoff
from modelyard.kit.errors import ModelyardError, Refused
from modelyard.run import environments, recipes
from modelyard.run.environments import Environment, Environments, same_libraries

FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 5.0, 120.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Given:
    """Installations that the user named. None: one is made."""

    mlserver_python: Path | None = None
    triton_binary: Path | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """`binary`: the Python that has MLServer, or tritonserver. `libraries`: where it finds shared libraries that are
    not the system's; None: it needs none. `python_home`: the folder of the Python that its own models run on; None: as
    the system has it."""

    binary: str
    libraries: str | None = None
    python_home: str | None = None


class Programs:
    """`tell(server, sentence)`: what its users should know of a server that waits for its program."""

    def __init__(self, given: Given | None = None, environments: Environments | None = None) -> None:
        self.tell: Callable[[str, str], None] = lambda _server, _text: None
        self._given = given or Given()
        self._environments = environments or Environments()
        self._recipes = {it.config: it for it in (recipes.mlserver(same_libraries()), recipes.triton())}
        self._making: dict[str, asyncio.Task[Environment]] = {}
        self._waiting: dict[str, set[str]] = {}
        self.capabilities = {config: recipe.capabilities for config, recipe in self._recipes.items()}

    @property
    def waiting(self) -> frozenset[str]:
        """The servers that wait for their program."""
        return frozenset(it for servers in self._waiting.values() for it in servers)

    async def check(self) -> None:
        """Look at the installations that were named, and at what they can serve. Raises `Refused`."""
        self.capabilities = {**self.capabilities, **await capabilities(self._given)}

    def found(self, config: str) -> Program | None:
        """None: it has to be installed first, or there is no such server."""
        if (given := self._named(config)) is not None:
            return given
        recipe = self._recipes.get(config)
        made = None if recipe is None else self._environments.made(recipe)
        return None if made is None else _program(config, made)

    async def ready(self, config: str, server: str) -> Program:
        """Returns once it is installed, however often that takes."""
        if (given := self._named(config)) is not None:
            return given
        waiting = self._waiting.setdefault(config, set())
        waiting.add(server)
        try:
            for wait in backoff.delays(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS):
                try:
                    return _program(config, await self._make(config))
                except ModelyardError as error:
                    title = self._recipes[config].title
                    self._say(config, f"{title} cannot be installed: {error}; trying again in {wait:.0f} s")
                await asyncio.sleep(wait)
        finally:
            waiting.discard(server)
        raise AssertionError("backoff ends never")

    async def _make(self, config: str) -> Environment:
        """All servers of a kind wait for one installation."""
        if (task := self._making.get(config)) is None or task.done():
            recipe = self._recipes[config]
            making = self._environments.make(recipe, lambda text: self._say(config, text))
            task = self._making[config] = asyncio.create_task(making, name=f"install {config}")
        return await asyncio.shield(task)

    def _say(self, config: str, text: str) -> None:
        for server in sorted(self._waiting.get(config, ())):
            log.info("server %s: %s", server, text)
            self.tell(server, text)

    def _named(self, config: str) -> Program | None:
        """Ours is always there; others may have been named."""
        path = {MLSERVER: self._given.mlserver_python, TRITON: self._given.triton_binary}.get(config)
        if config == MODELYARD:
            return Program(sys.executable)
        return None if path is None else Program(str(path))

    async def cancel(self) -> None:
        """Install nothing more."""
        tasks = [task for task in self._making.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _program(config: str, environment: Environment) -> Program:
    if config == MLSERVER:
        return Program(environment.python)
    home = str(Path(environment.python).parent)
    return Program(str(environments.triton_binary(environment)), environment.libraries, home)


async def capabilities(given: Given) -> Mapping[str, tuple[str, ...]]:
    """By server config, what the installations that were named can serve. Raises `Refused` for what is none."""
    found = {}
    if (python := given.mlserver_python) is not None:
        modules = tuple(recipes.MLSERVER_MODULES.values())
        missing = await environments.lacking(str(python), ("mlserver", *modules))
        if "mlserver" in missing:
            raise Refused(f"--mlserver-python {python} is no Python that has MLServer: install `mlserver` there")
        there = (name for name, module in recipes.MLSERVER_MODULES.items() if module not in missing)
        found[MLSERVER] = ("mlserver", "python", *there)
    if (binary := given.triton_binary) is not None:
        if not binary.is_file():
            raise Refused(f"--triton-binary {binary} is no file: name the program `tritonserver`")
        found[TRITON] = ("triton", *_backends(binary))
    return found


def backends(binary: Path) -> Path:
    """Where Triton's backends are: beside the folder of its program."""
    return binary.resolve().parent.parent / "backends"


def _backends(binary: Path) -> tuple[str, ...]:
    folder = backends(binary)
    there = tuple(name for name, backend in recipes.TRITON_BACKENDS.items() if (folder / backend).is_dir())
    if not there:
        raise Refused(f"--triton-binary {binary} has no backends in {folder}")
    stub = folder / "python" / "triton_python_backend_stub"
    if "python" in there and not stub.exists():
        raise Refused(f"--triton-binary {binary} cannot run Python models: copy the stub for your Python to {stub}")
    return there
