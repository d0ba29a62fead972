"""One file of a web server, by HTTP ranges where it has them.

The first answer tells both: what the file is (size, ETag, checksum), and its first bytes. So a server without ranges is
asked once, and one with them once for each part.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncGenerator

import httpx

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.agent.storage.failures import MAY_PASS
from modelyard.agent.storage.remote import Changed, Checksum, RemoteFile, TryAgain
from modelyard.agent.storage.uris import WebFile
from modelyard.kit import redact

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_WRONG = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects)


def client(limits: Limits) -> httpx.AsyncClient:
    timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
    return httpx.AsyncClient(timeout=timeout, follow_redirects=True, headers={"user-agent": "modelyard-agent"})


class Website:
    folder = False

    def __init__(self, http: httpx.AsyncClient, place: WebFile, limits: Limits) -> None:
        self.identity = f"http\n{hashlib.sha256(place.url.encode('utf-8', 'surrogatepass')).hexdigest()}"
        self._http, self._place, self._limits = http, place, limits
        self._first: httpx.Response | None = None
        self._modified = ""  # as the first answer says

    async def close(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            await first.aclose()

    async def files(self) -> tuple[RemoteFile, ...]:
        await self.close()
        response = await self._ask({"range": f"bytes=0-{self._limits.part_bytes - 1}"})
        if response.status_code == 416 or (response.status_code == 206 and not _dividable(response)):
            await response.aclose()  # an empty file, or parts that might be of different files: take it whole
            response = await self._ask({})
        self._first, self._modified = response, response.headers.get("last-modified", "")
        return (_described(self._place.name, response),)

    async def read(self, file: RemoteFile, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        response = await self._answer(file, start, end)
        left = None if end is None else end - start
        try:
            async for chunk in response.aiter_bytes():  # as they come: gathered ones would be lost with the connection
                if left is not None and len(chunk) >= left:
                    yield chunk[:left]  # the first answer may hold more than this part
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        except httpx.HTTPError as error:
            raise self._trouble(error) from error
        finally:
            await response.aclose()

    async def _answer(self, file: RemoteFile, start: int, end: int | None) -> httpx.Response:
        first, self._first = self._first, None
        if first is not None and start == 0:
            return first
        if first is not None:
            await first.aclose()
        if not file.ranges:
            response = await self._ask({})
            if (again := _described(file.path, response)).size != file.size or again.etag != file.etag:
                await response.aclose()
                raise Changed
            return response
        headers = {"range": f"bytes={start}-{'' if end is None else end - 1}"}
        response = await self._ask(headers | ({"if-match": file.etag} if file.etag else {}))
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        same = _etag(response) == file.etag and response.headers.get("last-modified", "") == self._modified
        if response.status_code != 206 or not found or (int(found[1]), int(found[3])) != (start, file.size) or not same:
            await response.aclose()
            raise Changed
        return response

    async def _ask(self, headers: dict[str, str]) -> httpx.Response:
        """An open response of 200, 206 or 416."""
        try:
            request = self._http.build_request(
                "GET", self._place.url, headers={"accept-encoding": "identity", **headers}
            )
            response = await self._http.send(request, stream=True)
        except (*_WRONG, httpx.HTTPError, ValueError) as error:
            raise self._trouble(error) from error
        code = response.status_code
        if code in (200, 206, 416):
            return response
        await response.aclose()
        if code == 412:
            raise Changed
        reason = f"the server answered {code} {response.reason_phrase}".strip()
        if code in MAY_PASS:
            raise TryAgain(reason)
        raise ArtifactProblem(reason)

    def _trouble(self, error: Exception) -> ArtifactProblem | TryAgain:
        if not isinstance(error, httpx.HTTPError) or isinstance(error, _WRONG):
            return ArtifactProblem(
                str(error).replace(self._place.url, redact.uri(self._place.url)) or type(error).__name__
            )
        if isinstance(error, httpx.TimeoutException):
            return TryAgain(f"the server was silent for too long ({type(error).__name__})")
        return TryAgain(str(error) or type(error).__name__)


def _dividable(response: httpx.Response) -> bool:
    """Whether another part can be told to be of the same file."""
    return not _coded(response) and bool(_etag(response) or response.headers.get("last-modified"))


def _coded(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-encoding", "identity").lower() != "identity")


def _etag(response: httpx.Response) -> str:
    """Only a strong one: a weak one is of "the same", not of the same bytes."""
    etag: str = response.headers.get("etag", "")
    return "" if etag.startswith("W/") else etag


def _described(name: str, response: httpx.Response) -> RemoteFile:
    if response.status_code == 206 and (found := _RANGE.fullmatch(response.headers.get("content-range", ""))):
        return RemoteFile(name, int(found[3]), _etag(response), True, _checksum(response))
    if response.status_code != 200:
        raise ArtifactProblem(f"the server answered {response.status_code} without saying which part it sends")
    length = response.headers.get("content-length", "")
    known = length.isascii() and length.isdecimal() and not _coded(response)
    checksum = None if _coded(response) else _checksum(response)
    return RemoteFile(name, int(length) if known else None, _etag(response), False, checksum)


def _checksum(response: httpx.Response) -> Checksum | None:
    """Of the whole file, where a header gives one: RFC 9530, RFC 3230, RFC 1864, and Google's own."""
    headers = response.headers
    whole = response.status_code == 200
    given: dict[str, str] = {}
    for name in ("repr-digest", "digest", *(("content-digest",) if whole else ())):
        for item in headers.get(name, "").split(","):
            algorithm, _, value = item.strip().partition("=")
            given.setdefault(algorithm.lower(), value.strip(":"))
    for item in headers.get("x-goog-hash", "").split(","):
        algorithm, _, value = item.strip().partition("=")
        given.setdefault(algorithm.lower(), value)
    if whole:
        given.setdefault("md5", headers.get("content-md5", ""))
    for theirs, ours, size in (("sha-256", "sha256", 32), ("md5", "md5", 16)):
        try:
            digest = base64.b64decode(given.get(theirs, ""), validate=True)
        except binascii.Error:
            continue
        if len(digest) == size:
            return Checksum(ours, digest.hex())
    return None
