"""`modelyard infer`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modelyard.cli import options, words
from modelyard.cli.pretty import pretty
from modelyard.kit.errors import InvalidInput, ModelyardError, NotFound, Unavailable

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient
    from modelyard.client.results import JsonAnswer
    from modelyard.wire.oip.nouns import ModelMetadata

# What is not worth a line of --show-headers, as it says nothing of the model.
_UNSHOWN = frozenset({"accept", "accept-encoding", "connection", "user-agent", "content-length", "host"})


def infer(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="JSON", help="A V2 request, or just its list of inputs."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="The same from a file; - is standard input.")
    ] = None,
    grpc: Annotated[bool, typer.Option("--grpc", help="Send it over gRPC instead of REST.")] = False,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="K=V", help="A header to send. May be repeated.", show_default=False),
    ] = None,
    show_headers: Annotated[
        bool,
        typer.Option("--show-headers", help="Print request (>) and response (<) headers to standard error."),
    ] = False,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="How long to wait for the answer.")] = "60s",
    gateway: options.Gateway = None,
    state_dir: options.StateDir = None,
) -> None:
    """Send an inference request to a model and print its answer.

    The request is JSON of the Open Inference Protocol V2, over REST and over gRPC alike. Without one, the model's
    metadata is asked for and an example is shown.

    \b
    Example:
      modelyard infer iris -d '{"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32",
                                "data": [5.1, 3.5, 1.4, 0.2]}]}'
      modelyard infer iris -f request.json --grpc --show-headers
    """
    headers = _headers(header or [])
    seconds = words.seconds_of(timeout)
    body = _body(data, file)
    if body is None:
        options.ask(
            lambda client: _without_data(client, name), gateway=gateway, state_dir=state_dir, infer_timeout_seconds=10
        )
        return
    answer = options.ask(
        lambda client: _infer(client, name, body, "grpc" if grpc else "rest", headers),
        gateway=gateway,
        state_dir=state_dir,
        infer_timeout_seconds=seconds,
    )
    if show_headers:
        _show(answer)
    typer.echo(pretty(answer.body))


async def _infer(
    client: "AsyncClient",
    name: str,
    body: Mapping[str, Any] | list[Any],
    protocol: Literal["rest", "grpc"],
    headers: Mapping[str, str],
) -> "JsonAnswer":
    try:
        return await client.infer_json(name, body, protocol=protocol, headers=headers)
    except NotFound as error:
        raise await _why_not_found(client, name, error) from None


async def _why_not_found(client: "AsyncClient", name: str, error: NotFound) -> ModelyardError:
    """A model that the scheduler knows is no typing error: say why it is nowhere. Asked only where it can be."""
    try:
        known = await client.explain(name)
    except ModelyardError:
        return error
    return Unavailable(f"{error}; {known.explanation.summary}")


def _headers(pairs: list[str]) -> dict[str, str]:
    headers = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(f"--header {pair!r} is not K=V, such as x-request-id=abc")
        headers[key.strip()] = value
    return headers


def _body(data: str | None, file: str | None) -> Mapping[str, Any] | list[Any] | None:
    if data is not None and file is not None:
        raise InvalidInput("give either -d JSON or -f FILE, not both")
    if data is None and file is None:
        return None
    if file is None:
        text, source = data or "", "-d"
    elif file == "-":
        text, source = sys.stdin.read(), "standard input"
    else:
        try:
            text, source = Path(file).read_text(encoding="utf-8-sig"), file
        except UnicodeDecodeError:
            raise InvalidInput(f"{file} is not UTF-8 text") from None
        except OSError as error:
            raise NotFound(f"cannot read {file}: {error.strerror}") from None
    import orjson

    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{source} is not JSON: {error}") from None
    if isinstance(body, Mapping | list):
        return body
    raise InvalidInput(f"{source} must be a V2 request (an object) or a list of inputs")


async def _without_data(client: "AsyncClient", name: str) -> None:
    try:
        command = _example(await client.metadata(name))
    except ModelyardError as error:
        raise type(error)(f"infer needs a request (-d JSON or -f FILE), and none can be shown: {error}") from None
    raise InvalidInput(f"infer needs a request: -d JSON or -f FILE. For {name}, for example:\n  {command}")


def _show(answer: "JsonAnswer") -> None:
    typer.echo(f"> {answer.request_line}", err=True)
    for key, value in answer.sent.items():
        if key not in _UNSHOWN:
            typer.echo(f"> {key}: {value}", err=True)
    typer.echo(f"< {answer.status_line}", err=True)
    for key, value in answer.received.items():
        typer.echo(f"< {key}: {value}", err=True)


def _example(metadata: "ModelMetadata") -> str:
    import json
    import shlex

    from modelyard.wire.oip import example

    name = metadata.name.rpartition("_")[0] or metadata.name
    request = json.dumps(example.shortened(metadata.inputs), ensure_ascii=False)
    return f"modelyard infer {name} -d {shlex.quote(request)}"
