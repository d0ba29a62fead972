"""Real object stores on this machine, each a process of its own: S3, Azure Blob Storage, Google Cloud Storage.

S3       moto's server, from PyPI
Azure    azurite, from npm: `npm install --prefix .azurite azurite`, or MODELYARD_AZURITE=<its azurite-blob>
GCS      fake-gcs-server, a Go module: MODELYARD_FAKE_GCS=<its binary>, or on the PATH
"""

import base64
import email.utils
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import obstore
import pytest
from obstore.store import AzureStore, S3Store

from tests.agent.peers import free_port

DEADLINE_SECONDS = 60.0
ROOT = Path(__file__).resolve().parents[1]
# Azurite's published account: no secret of anybody's, but a key by its form.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
MOTO_ENVIRONMENT = {"INITIAL_NO_AUTH_ACTION_COUNT": "inf"}  # no key is checked; 0: none is known
S3_ID, S3_KEY = "PLANTEDKEYID", "planted-secret-access-key"


@dataclass(frozen=True)
class Storage:
    """A running store. `config`: rclone's, with the credentials that it takes. `put(bucket, key, content)`."""

    scheme: str
    url: str
    config: Mapping[str, object]
    make: Callable[[str], object]
    put: Callable[[str, str, bytes], object]

    def fill(self, bucket: str, files: Mapping[str, bytes]) -> None:
        self.make(bucket)
        for key, content in files.items():
            self.put(bucket, key, content)


@contextmanager
def s3(folder: Path) -> Iterator[Storage]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = {"endpoint": url, "region": "us-east-1", "access_key_id": S3_ID, "secret_access_key": S3_KEY}

    def put(bucket: str, key: str, content: bytes) -> object:
        store = S3Store(bucket, client_options={"allow_http": True}, config=options)  # type: ignore[arg-type]
        return obstore.put(store, key, content, use_multipart=False)

    arguments = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with _running(arguments, f"{url}/moto-api/", folder / "moto.log", MOTO_ENVIRONMENT):
        parameters = {
            "provider": "Other", "endpoint": url, "access_key_id": S3_ID, "secret_access_key": S3_KEY,
        }  # fmt: skip
        yield Storage(
            "s3", url, {"type": "s3", "name": "s3", "parameters": parameters}, lambda it: httpx.put(f"{url}/{it}"), put
        )


@contextmanager
def azure(folder: Path) -> Iterator[Storage]:
    found = os.environ.get("MODELYARD_AZURITE") or shutil.which("azurite-blob")
    program = Path(found) if found else ROOT / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        pytest.skip("azurite is not installed: `make storages`, where npm is")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    endpoint = f"{url}/{AZURE_ACCOUNT}"

    def make(container: str) -> object:
        return httpx.put(f"{endpoint}/{container}?restype=container", headers=_signed(container)).raise_for_status()

    def put(container: str, key: str, content: bytes) -> object:
        store = AzureStore(
            container,
            client_options={"allow_http": True},
            endpoint=endpoint,
            account_name=AZURE_ACCOUNT,
            account_key=AZURE_KEY,
        )
        return obstore.put(store, key, content, use_multipart=False)

    arguments = (
        str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "azurite"),
        "--skipApiVersionCheck", "--disableTelemetry",
    )  # fmt: skip
    with _running(arguments, url, folder / "azurite.log"):
        parameters = {"account": AZURE_ACCOUNT, "key": AZURE_KEY, "endpoint": endpoint}
        yield Storage("az", url, {"type": "azureblob", "name": "az", "parameters": parameters}, make, put)


def _signed(container: str) -> dict[str, str]:
    """Azure's Shared Key of a request that makes a container."""
    date = email.utils.formatdate(usegmt=True)
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    text += f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{container}\nrestype:container"
    signature = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    key = base64.b64encode(signature).decode()
    return {"x-ms-date": date, "x-ms-version": "2021-08-06", "authorization": f"SharedKey {AZURE_ACCOUNT}:{key}"}


@contextmanager
def gcs(folder: Path) -> Iterator[Storage]:
    found = os.environ.get("MODELYARD_FAKE_GCS") or shutil.which("fake-gcs-server")
    program = Path(found) if found else ROOT / ".fake-gcs" / "fake-gcs-server"
    if not program.exists():
        pytest.skip("fake-gcs-server is not installed: `make storages`, where go is")
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def make(bucket: str) -> object:
        return httpx.post(f"{url}/storage/v1/b?project=test", json={"name": bucket}).raise_for_status()

    def put(bucket: str, key: str, content: bytes) -> object:
        where = f"{url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        return httpx.post(where, content=content).raise_for_status()

    arguments = (
        str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory",
        "-public-host", f"127.0.0.1:{port}",
    )  # fmt: skip
    with _running(arguments, f"{url}/storage/v1/b?project=test", folder / "gcs.log"):
        parameters = {"anonymous": True, "endpoint": url}
        yield Storage("gs", url, {"type": "gcs", "name": "gs", "parameters": parameters}, make, put)


STORAGES = {"s3": s3, "az": azure, "gs": gcs}


@contextmanager
def _running(
    arguments: tuple[str, ...], probe: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                httpx.get(probe, timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{arguments[0]} does not answer: {log.read_text()}"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)
