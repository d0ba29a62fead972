"""Download one file over http(s): streamed to disk, bounded, tried again when the trouble may pass."""

import asyncio
import logging
from pathlib import Path

import httpx

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.kit import backoff
from modelyard.kit.sizes import quantity

log = logging.getLogger(__name__)

_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.5, 30.0


def client(limits: Limits) -> httpx.AsyncClient:
    timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
    return httpx.AsyncClient(timeout=timeout, follow_redirects=True, headers={"user-agent": "modelyard-agent"})


async def download(http: httpx.AsyncClient, uri: str, target: Path, limits: Limits) -> None:
    """Raises `ArtifactProblem`, or `OSError` when the disk fails."""
    waits = backoff.delays(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS)
    for tries in range(1, limits.download_tries + 1):
        try:
            await _once(http, uri, target, limits.artifact_bytes)
            return
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise ArtifactProblem(f"cannot download {uri}: {error}") from error
        except httpx.HTTPStatusError as error:
            reason = f"the server answered {error.response.status_code} {error.response.reason_phrase}".strip()
            if error.response.status_code not in _MAY_PASS:
                raise ArtifactProblem(f"cannot download {uri}: {reason}") from error
        except httpx.TimeoutException as error:
            reason = f"the server was silent for too long ({type(error).__name__})"
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
        if tries < limits.download_tries:
            wait = next(waits)
            log.warning("cannot download %s: %s; trying again in %.1f s", uri, reason, wait)
            await asyncio.sleep(wait)
    raise ArtifactProblem(f"cannot download {uri}: {reason} (tried {limits.download_tries} times)")


async def _once(http: httpx.AsyncClient, uri: str, target: Path, most_bytes: int) -> None:
    async with http.stream("GET", uri) as response:
        response.raise_for_status()
        got = 0
        with target.open("wb") as file:
            async for chunk in response.aiter_bytes(1 << 20):
                got += len(chunk)
                if got > most_bytes:
                    raise ArtifactProblem(f"cannot download {uri}: it is larger than {quantity(most_bytes)}")
                await asyncio.to_thread(file.write, chunk)
