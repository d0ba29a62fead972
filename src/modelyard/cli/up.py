"""`modelyard up` and `modelyard down`: a whole system on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from modelyard.kit import logs
from modelyard.kit.errors import ModelyardError
from modelyard.run import detach, options, system
from modelyard.run import down as ending
from modelyard.run import up as supervisor
from modelyard.run.system import System

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Where journal, artifacts and logs are kept [env MODELYARD_STATE_DIR; default ~/.local/state/modelyard].",
        show_default=False,
    ),
]


def up(
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Replicas of the server `local` [default: 2, or as it was].", show_default=False
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="Q", help="Memory for the models of each replica [default: 1Gi, or as it was].", show_default=False
        ),
    ] = None,
    overcommit: Annotated[
        int | None,
        typer.Option(metavar="PERCENT", help="Only 0 until agents can evict models.", show_default=False),
    ] = None,
    mlserver_python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            envvar="MODELYARD_MLSERVER_PYTHON",
            help="A Python that has MLServer, for `serverConfig: mlserver` [default: installed on first use].",
            show_default=False,
        ),
    ] = None,
    triton_binary: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            envvar="MODELYARD_TRITON_BINARY",
            help="The program `tritonserver`, for `serverConfig: triton` [default: installed on first use].",
            show_default=False,
        ),
    ] = None,
    state_dir: StateDir = None,
    port_base: Annotated[
        int,
        typer.Option(metavar="N", help="Gateway at N, xDS N+2, scheduler API N+4, agent service N+5, N+8 reserved."),
    ] = system.DEFAULT_PORT_BASE,
    secrets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="MODELYARD_SECRETS",
            help="Credentials for storages, a file each [default: `secrets` in the state directory].",
            show_default=False,
            show_envvar=True,
        ),
    ] = None,
    detach_: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once the system is ready and leave it running.")
    ] = False,
) -> None:
    """Start a whole system on this machine: scheduler, gateway, and a server with its replicas.

    Example: modelyard up --detach --replicas 2 --memory 2Gi
    """
    given = options.check(
        state_dir=system.state_dir(state_dir),
        port_base=port_base,
        replicas=replicas,
        memory=memory,
        overcommit=overcommit,
        secrets=secrets,
        mlserver_python=mlserver_python,
        triton_binary=triton_binary,
    )
    console = Console()
    if detach_:
        console.print(_summary(detach.start(given)), highlight=False, soft_wrap=True)
        return
    if console.is_terminal:
        supervisor.run(given, console=console)
    else:
        logs.configure("up")
        supervisor.run(given)


def _summary(started: System) -> str:
    replicas = sum(part.name.startswith("runtime-") for part in started.parts)
    lines = [
        f"Modelyard {started.version} is ready (pid {started.pid}, {replicas} replica{'' if replicas == 1 else 's'})",
        f"  inference (REST and gRPC)  {started.gateway}",
        f"  scheduler API              {started.scheduler}",
        f"  state and logs             {started.state_dir}",
        "Stop it with: modelyard down",
    ]
    if Path(started.state_dir) != system.default_state_dir():
        lines[-1] += f" --state-dir {started.state_dir}"
    return "\n".join(lines)


def down(state_dir: StateDir = None) -> None:
    """Stop the system on this machine. Models, servers and artifacts are kept for the next `modelyard up`.

    Example: modelyard down
    """
    try:
        directory = Path(system.find(state_dir).state_dir)
    except ModelyardError as error:
        if state_dir is None and len(system.running_elsewhere()) > 1:
            raise error
        directory = system.state_dir(state_dir)
    typer.echo(ending.down(directory))
