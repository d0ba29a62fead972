"""Manifests: YAML or JSON text to models and servers, or every reason why not.

    text ──documents──▶ plain values with lines ──manifest_schema──▶ checked fields ──▶ domain Model | ServerManifest

Nothing is read from disk and nothing is sent: a caller checks everything before it changes anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError

from modelyard.domain.model import Model
from modelyard.domain.names import name_problem
from modelyard.domain.server import ServerManifest
from modelyard.kit.errors import InvalidInput, ModelyardError, NotSupported
from modelyard.wire import manifest_schema as schema
from modelyard.wire.documents import Document, Path, read_documents
from modelyard.wire.manifest_problems import did_you_mean, sentence, written
from modelyard.wire.manifest_values import model_from, server_from

Item: TypeAlias = Model | ServerManifest
MOST_PROBLEMS_SHOWN = 20

_KINDS: Mapping[str, type[schema.ModelManifest | schema.ServerManifest]] = {
    "Model": schema.ModelManifest,
    "Server": schema.ServerManifest,
}
_LISTS = ("List", "ModelList", "ServerList")
_NOT_YET = ("Pipeline", "Experiment", "ServerConfig", "SeldonRuntime", "SeldonConfig")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a manifest file. `origin` says where it stands; `notes` are what a user should know of it."""

    item: Item
    origin: str
    notes: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """`model/iris`, `server/local`."""
        return f"{'model' if isinstance(self.item, Model) else 'server'}/{self.item.name}"


@dataclass(frozen=True, slots=True)
class _Problem:
    origin: str
    text: str
    unsupported: bool = False


class _Reader:
    """Reads one text and gathers its manifests and its problems."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.manifests: list[Manifest] = []
        self.problems: list[_Problem] = []

    def read(self, text: str) -> None:
        try:
            for document in read_documents(text):
                self._take(document, document.value, ())
        except InvalidInput as error:
            self.problems.append(_Problem(self.source, str(error)))

    def _take(self, document: Document, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            self._refuse(document, path, f"{written(path)} must be a mapping with apiVersion, kind, metadata and spec")
            return
        kind = value.get("kind")
        if kind in _LISTS:
            self._take_list(document, value, path)
        elif isinstance(kind, str) and kind in _KINDS:
            self._take_one(document, value, path, kind)
        elif kind in _NOT_YET:
            self._refuse(document, (*path, "kind"), f"kind {kind} is not supported yet", unsupported=True)
        elif kind is None:
            self._refuse(document, path, f"{written((*path, 'kind'))} is missing: {' or '.join(_KINDS)}")
        else:
            hint = did_you_mean(str(kind), (*_KINDS, *_NOT_YET))
            self._refuse(document, (*path, "kind"), f"there is no kind {kind!r}{hint}")

    def _take_list(self, document: Document, value: dict[str, Any], path: Path) -> None:
        items = value.get("items")
        if not isinstance(items, list):
            self._refuse(document, path, f"{written((*path, 'items'))} must be a list of manifests")
            return
        for index, item in enumerate(items):
            self._take(document, item, (*path, "items", index))

    def _take_one(self, document: Document, value: dict[str, Any], path: Path, kind: str) -> None:
        api_version = value.get("apiVersion")
        if isinstance(api_version, str) and api_version != schema.API_VERSION:
            text = f"apiVersion {api_version!r} is not known for a {kind}: use {schema.API_VERSION}"
            self._refuse(document, (*path, "apiVersion"), text)
            return
        try:
            checked = _KINDS[kind].model_validate(value)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                where, text = sentence(details, _KINDS[kind], kind)
                self._refuse(document, (*path, *where), text)
            return
        made, problems = model_from(checked) if isinstance(checked, schema.ModelManifest) else server_from(checked)
        for field, problem in problems:
            self._refuse(document, (*path, *field), f"{written(field)}: {problem}")
        if not problems:
            origin = self._origin(document, path)
            self.manifests.append(Manifest(made.item, origin, made.notes))

    def _refuse(self, document: Document, path: Path, text: str, *, unsupported: bool = False) -> None:
        self.problems.append(_Problem(self._origin(document, path), text, unsupported))

    def _origin(self, document: Document, path: Path) -> str:
        item = f", {written(path[:2])}" if path[:1] == ("items",) else ""
        line = document.line(path)
        return f"{self.source}: document {document.number}{item}{f', line {line}' if line else ''}"


def parse_manifests(texts: Iterable[tuple[str, str]]) -> tuple[Manifest, ...]:
    """The manifests of (source, text) pairs, in order.

    Raises `InvalidInput` with every problem, one a line, or `NotSupported` where other kinds are the only problem.
    """
    manifests: list[Manifest] = []
    problems: list[_Problem] = []
    for source, text in texts:
        reader = _Reader(source)
        reader.read(text)
        manifests += reader.manifests
        problems += reader.problems
    problems += _duplicates(manifests)
    if problems:
        raise _error(problems)
    return tuple(manifests)


def parse_manifest(text: str, source: str = "-") -> tuple[Manifest, ...]:
    """The manifests of one text."""
    return parse_manifests([(source, text)])


def check_name(name: str) -> str:
    """The name, if a model or a server may have it; else `InvalidInput`."""
    if problem := name_problem(name):
        raise InvalidInput(problem)
    return name


def _duplicates(manifests: Iterable[Manifest]) -> list[_Problem]:
    first: dict[str, Manifest] = {}
    problems = []
    for it in manifests:
        earlier = first.setdefault(it.subject, it)
        if earlier is not it:
            problems.append(_Problem(it.origin, f"{it.subject} is given twice: first in {earlier.origin}"))
    return problems


def _error(problems: list[_Problem]) -> ModelyardError:
    lines = [f"{it.origin}: {it.text}" for it in problems[:MOST_PROBLEMS_SHOWN]]
    if len(problems) > MOST_PROBLEMS_SHOWN:
        lines.append(f"… and {len(problems) - MOST_PROBLEMS_SHOWN} more")
    kind = NotSupported if all(it.unsupported for it in problems) else InvalidInput
    return kind("\n".join(lines))
