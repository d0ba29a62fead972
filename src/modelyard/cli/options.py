"""Options that several commands share, and the client that they choose."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient

T = TypeVar("T")

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="The system with this state directory [env MODELYARD_STATE_DIR; default: the one running for this user].",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="HOST:PORT", help="The scheduler's API [env MODELYARD_SCHEDULER].", show_default=False
    ),
]
Gateway = Annotated[
    str | None,
    typer.Option("--gateway", metavar="HOST:PORT", help="The gateway [env MODELYARD_GATEWAY].", show_default=False),
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE|DIR|-",
        help="A manifest file, a folder (all .yaml, .yml and .json files below it, in order), or - for standard "
        "input. May be repeated.",
        show_default=False,
    ),
]


class Format(StrEnum):
    """How a command prints."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]


def ask(
    work: "Callable[[AsyncClient], Awaitable[T]]",
    *,
    scheduler: str | None = None,
    gateway: str | None = None,
    state_dir: Path | None = None,
    infer_timeout_seconds: float = 60.0,
) -> T:
    """Run one piece of work with a client, and close it."""
    from modelyard.client.aio import AsyncClient

    async def run() -> T:
        async with AsyncClient(
            scheduler, gateway, state_dir=state_dir, infer_timeout_seconds=infer_timeout_seconds
        ) as client:
            return await work(client)

    return asyncio.run(run())
