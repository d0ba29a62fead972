"""Credentials go where they are needed and nowhere else: planted ones are looked for in all that is written or said."""

import asyncio
import base64
import json

import pytest

from modelyard.wire import grpc_server, models, servers, service, statuses
from tests import storages
from tests.e2e.test_storages import keep_secret, train
from tests.e2e.yard import Yard, until

pytestmark = pytest.mark.e2e

PLANTED = "planted"


def load(yard: Yard, name: str, uri: str, config: object = None) -> None:
    """As a client of the reference's does, with credentials inline."""

    async def ask() -> None:
        message = models.ModelMessage()
        message.meta.name = name
        message.modelSpec.uri = uri
        message.modelSpec.requirements.append("sklearn")
        message.modelSpec.memoryBytes = 1 << 20
        message.deploymentSpec.replicas = 1
        if config is not None:
            message.modelSpec.storageConfig.storageRcloneConfig = json.dumps(config)
        async with grpc_server.channel(yard.system().scheduler) as channel:
            await service.Stub(channel, service.SCHEDULER).LoadModel(
                servers.LoadModelRequest(model=message), timeout=30
            )

    asyncio.run(ask())


def all_statuses(yard: Yard) -> str:
    async def ask() -> str:
        async with grpc_server.channel(yard.system().scheduler) as channel:
            request = statuses.ModelStatusRequest(subscriberName="test", allVersions=True)
            return "".join(
                [str(it) async for it in service.Stub(channel, service.SCHEDULER).ModelStatus(request, timeout=30)]
            )

    return asyncio.run(ask())


def test_credentials_are_in_no_answer_no_log_and_no_file_that_others_can_read(yard: Yard) -> None:
    with storages.s3(yard.home) as storage:
        storage.fill("models", {"iris/model.joblib": train(yard.home)})
        # moto takes any key: these are looked for afterwards.
        config = {"type": "s3", "name": "s3", "parameters": {**storage.config["parameters"]}}  # type: ignore[dict-item]
        config["parameters"] |= {"access_key_id": f"{PLANTED}-1", "secret_access_key": f"{PLANTED}-2"}  # type: ignore[operator]
        keep_secret(yard.home / "secrets", "mine", config)
        yard.up("--replicas", "1", "--secrets", str(yard.home / "secrets"))
        load(yard, "inline", "s3://models/iris", config)
        load(yard, "wrong", "s3://models/nothing", config)
        load(yard, "odd", "s3://models/iris", {"type": "s3", "parameters": {"strange": f"{PLANTED}-4"}})
        load(yard, "secretive", f"s3://{PLANTED}-id:{PLANTED}-key@models/iris")
        signed = f"{storage.url}/models/iris/nothing.joblib?X-Amz-Signature={PLANTED}-5"
        load(yard, "signed", signed.replace("http://", f"http://user:{PLANTED}-6@"))
        load(yard, "string", f"s3,secret_access_key={PLANTED}-7:models/iris")
        with yard.client() as client:
            client.wait("inline", timeout_seconds=60)
        failed = ("wrong", "odd", "secretive", "signed", "string")
        until(lambda: all("LoadFailed" in yard.do("describe", "model", name) for name in failed), "all others failed")

        said = all_statuses(yard)
        for name in ("inline", *failed):
            said += yard.do("describe", "model", name) + yard.do("describe", "model", name, "-o", "yaml")
        said += yard.do("explain", "inline")
        for output in ("json", "yaml", "wide"):
            said += yard.do("get", "models", "-o", output)
        said += yard.do("status", "-o", "json")
        assert "nothing is there" in said
        assert "the parameter 'strange' of s3 is not supported" in said
        assert PLANTED not in said

        yard.kill("scheduler")  # a restart reads the journal, and logs what it does
        with yard.client() as client:
            yard.until_whole(client, 1)
        written = [path for path in yard.state_dir.rglob("*") if path.is_file()]
        holding = {path for path in written if holds(path.read_bytes())}
        assert {path.suffix for path in holding} <= {".db", ".db-wal", ".json"}, holding
        assert any("journal.db" in path.name for path in holding)
        assert [path for path in holding if path.stat().st_mode & 0o077] == []
        assert not [path for path in holding if path.suffix == ".json" and path.parent.name != "state"]


def holds(content: bytes) -> bool:
    """As it is, or as an agent's state files have it."""
    if PLANTED.encode() in content:
        return True
    try:
        return PLANTED.encode() in base64.b64decode(json.loads(content)["model_version"])
    except (ValueError, KeyError, TypeError):
        return False
