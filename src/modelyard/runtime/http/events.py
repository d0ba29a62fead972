"""Answers as server-sent events: one for each response, as it comes.

data: {"model_name":"poet",…}

event: error
data: {"error":"a sentence"}
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace

from modelyard.runtime.http.messages import Response
from modelyard.wire.oip import rest
from modelyard.wire.oip.nouns import InferRequest, InferResponse


def as_json(wanted: InferRequest) -> InferRequest:
    """Events are text: no output is raw, whatever was asked for."""
    return replace(wanted, binary=False, outputs=tuple(replace(it, binary=False) for it in wanted.outputs))


async def events(
    first: InferResponse,
    others: AsyncGenerator[InferResponse, None],
    wanted: InferRequest,
    failure: Callable[[Exception], Response],
) -> AsyncIterator[bytes | Mapping[str, str]]:
    """An error ends the stream with an event of its own; it never raises."""
    answer: InferResponse | None = first
    try:
        while answer is not None:
            yield b"data: " + rest.encode_response(answer, wanted).content + b"\n\n"
            answer = await anext(others, None)
    except Exception as error:
        yield b"event: error\ndata: " + failure(error).body + b"\n\n"
    finally:
        await others.aclose()
