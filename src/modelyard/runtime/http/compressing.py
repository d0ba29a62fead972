"""Answers compressed for clients who ask for it, where that is worth it."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping

from modelyard.runtime.http.messages import Answer, Response, later

# Below this an answer fits a few packets anyway; up to QUICK_BYTES compressing takes well below a millisecond.
WORTH_BYTES = 4 << 10
QUICK_BYTES = 32 << 10
# What does not become smaller than this part of itself goes as it is: the client would pay for nothing.
WORTH_RATIO = 0.9


def compressed(answer: Response, headers: Mapping[str, str]) -> Answer:
    """The answer as the client who sent these headers wants it."""
    if len(answer.body) < WORTH_BYTES or (coding := _accepted(headers.get("accept-encoding", ""))) is None:
        return answer
    if len(answer.body) <= QUICK_BYTES:
        return _packed(answer, coding)
    return later(asyncio.to_thread(_packed, answer, coding))


async def compressed_later(answer: Response, headers: Mapping[str, str]) -> Response:
    if len(answer.body) < WORTH_BYTES or (coding := _accepted(headers.get("accept-encoding", ""))) is None:
        return answer
    return await asyncio.to_thread(_packed, answer, coding)


def _accepted(text: str) -> str | None:
    wishes: dict[str, bool] = {}
    for it in text.lower().split(","):
        coding, _, weight = it.partition(";")
        wishes[coding.strip()] = weight.replace(" ", "").rstrip("0").rstrip(".") not in ("q=", "q=0")
    return next((coding for coding in ("gzip", "deflate") if wishes.get(coding, wishes.get("*", False))), None)


def _packed(answer: Response, coding: str) -> Response:
    body = gzip.compress(answer.body, 1, mtime=0) if coding == "gzip" else zlib.compress(answer.body, 1)
    if len(body) > WORTH_RATIO * len(answer.body):
        return answer
    return Response(answer.status, body, answer.content_type, {**answer.headers, "content-encoding": coding})
