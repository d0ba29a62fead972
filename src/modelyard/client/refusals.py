"""What a gateway's refusal means to who asked: HTTP and gRPC statuses to our errors, in one line."""

import json

import grpc
import grpc.aio

from modelyard.kit import errors

_MOST_CHARACTERS = 500


def from_http(status: int, body: bytes, model: str) -> errors.ModelyardError:
    """The error class by the status, the sentence from the V2 error body or the plain text."""
    said = _said(body)
    kind = next((it for it in errors.KINDS if it.http_status == status), None)
    if kind is None:
        kind = errors.InvalidInput if status < 500 else errors.Unavailable if status in (502, 503) else None
    if kind is errors.NotFound and not said:
        said = _no_route(model)
    return (kind or errors.ModelyardError)(f"{model}: {said or 'the gateway gave no reason'} (HTTP {status})")


def from_rpc(error: grpc.aio.AioRpcError, model: str, gateway: str) -> errors.ModelyardError:
    code, said = error.code(), _one_line(error.details() or "")
    if code is grpc.StatusCode.UNAVAILABLE and "connect" in said.lower():
        return errors.Unavailable(f"cannot reach the gateway at {gateway}: {said}")
    if code is grpc.StatusCode.UNIMPLEMENTED:  # so a gateway says it: every server has the RPC itself
        return errors.NotFound(f"{model}: {said or _no_route(model)} (gRPC UNIMPLEMENTED)")
    return errors.for_grpc_status(code.name)(f"{model}: {said or 'the gateway gave no reason'} (gRPC {code.name})")


def _no_route(model: str) -> str:
    return f"the gateway has no route to it: is it loaded and Available? Ask `modelyard describe model {model}`"


def _said(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        message = json.loads(text)
    except ValueError:
        return _one_line(text)
    if isinstance(message, dict):
        return _one_line(str(message.get("error") or message.get("detail") or ""))
    return _one_line(text)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else line[:_MOST_CHARACTERS] + "…"
