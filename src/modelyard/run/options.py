"""What `modelyard up` can be told, checked."""

from dataclasses import dataclass, field
from pathlib import Path

from modelyard.kit.errors import InvalidInput, NotSupported
from modelyard.run import ports
from modelyard.run.first_server import ServerWish
from modelyard.run.programs import Given
from modelyard.run.system import DEFAULT_PORT_BASE
from modelyard.run.wanted import MOST_REPLICAS
from modelyard.wire import quantities


@dataclass(frozen=True, slots=True)
class UpOptions:
    """`state_dir` and `secrets` are absolute; `secrets` None: below the state directory."""

    state_dir: Path
    port_base: int = DEFAULT_PORT_BASE
    server: ServerWish = field(default_factory=ServerWish)
    secrets: Path | None = None
    programs: Given = field(default_factory=Given)


def check(
    *,
    state_dir: Path,
    port_base: int = DEFAULT_PORT_BASE,
    replicas: int | None = None,
    memory: str | None = None,
    overcommit: int | None = None,
    secrets: Path | None = None,
    mlserver_python: Path | None = None,
    triton_binary: Path | None = None,
) -> UpOptions:
    """Raises `InvalidInput` and `NotSupported`, naming the flag."""
    ports.fixed_ports(port_base)
    if replicas is not None and not 1 <= replicas <= MOST_REPLICAS:
        raise InvalidInput(f"--replicas {replicas} cannot be: give a number from 1 to {MOST_REPLICAS}")
    if overcommit is not None and overcommit < 0:
        raise InvalidInput(f"--overcommit {overcommit} cannot be: give a percentage of 0 or more")
    if overcommit:
        raise NotSupported(
            f"--overcommit {overcommit} is not possible yet: agents cannot evict models, so it has to stay 0"
        )
    if secrets is not None:
        secrets = secrets.expanduser().absolute()
        if not secrets.is_dir():
            raise InvalidInput(f"--secrets {secrets} is no folder: make it, with one file for each secret")
    wish = ServerWish(replicas, _memory(memory), overcommit)
    programs = Given(_absolute(mlserver_python), _absolute(triton_binary))
    return UpOptions(state_dir, port_base, wish, secrets, programs)


def _absolute(path: Path | None) -> Path | None:
    """Links stay as they are: the Python of a virtual environment is one."""
    return None if path is None else path.expanduser().absolute()


def _memory(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        amount = quantities.parse_bytes(text)
    except InvalidInput as error:
        raise InvalidInput(f"--memory: {error}") from error
    if amount == 0:
        raise InvalidInput("--memory 0 cannot be: a replica without memory holds no model")
    return amount
