"""`GET /v2/models/<m>/docs` and what is below it."""

from collections.abc import Sequence

from modelyard.runtime.docs import openapi, subject
from modelyard.runtime.docs.page import page
from modelyard.runtime.docs.subject import Subject
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.http.messages import Request, Response, error_response, json_response

HTML = "text/html; charset=utf-8"


def answer(loaded: LoadedModel, name: str, rest: Sequence[str], request: Request) -> Response:
    """`name`: of the path; `rest`: the path below `docs`. Names and addresses in it are those that the client used."""
    headers = request.headers
    it = Subject(
        name=subject.called(name, headers),
        origin=subject.origin(headers, "localhost"),
        version=loaded.version,
        signature=loaded.model.signature,
        note=loaded.note,
        example=loaded.example,
    )
    match rest:
        case []:
            return Response(200, page(it).encode(), HTML)
        case ["openapi.json"]:
            return json_response(openapi.document(it))
    return error_response(404, f"there is nothing there: the page is {it.path}/docs, and {it.path}/docs/openapi.json")
