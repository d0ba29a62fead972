"""The docs of a model over HTTP: pages that are served, and commands that work when they are pasted."""

import httpx
import pytest
from openapi_spec_validator import validate

from tests.runtime.docs.pasted import command, pasted

LOADED = ("iris-onnx", "iris", "iris-named", "iris-zipmap", "scaler", "diabetes")


@pytest.mark.parametrize("name", LOADED)
def test_the_command_on_the_page_works_when_it_is_pasted(client: httpx.Client, name: str):
    assert pasted(f"{str(client.base_url).rstrip('/')}/v2/models/{name}")["model_name"] == name


def test_the_openapi_document_is_one(client: httpx.Client):
    document = client.get("/v2/models/iris/docs/openapi.json").json()
    validate(document)
    assert document["servers"] == [{"url": str(client.base_url).rstrip("/")}]


def test_behind_a_gateway_names_and_address_are_those_that_the_client_used(client: httpx.Client):
    """As the gateway forwards it: the internal name is in a header, the host is that of the client's request."""
    headers = {"seldon-model": "flowers", "seldon-internal-model": "iris", "host": "models.example:9000"}
    page = client.get("/v2/models/flowers/docs", headers=headers).text
    assert "http://models.example:9000/v2/models/flowers/infer" in command(page)
    assert "flowers" in page
    document = client.get("/v2/models/flowers/docs/openapi.json", headers=headers).json()
    assert "/v2/models/flowers/infer" in document["paths"]


def test_what_is_not_there_is_said(client: httpx.Client):
    assert client.get("/v2/models/nobody/docs").status_code == 404
    gone = client.get("/v2/models/iris/docs/swagger.json")
    assert gone.status_code == 404
    assert "/v2/models/iris/docs/openapi.json" in gone.json()["error"]
    assert client.post("/v2/models/iris/docs").status_code == 405
    head = client.head("/v2/models/iris/docs")
    assert (head.status_code, head.content) == (200, b"")
