"""YAML and JSON text to plain values, each with the line that it came from; what could blow up is refused first.

Anchors, aliases and merge keys work. Keys given twice, cyclic aliases, aliases that multiply, deep nesting and huge
texts do not. Nothing but text, numbers, booleans, null, lists and mappings comes out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from modelyard.kit.errors import InvalidInput

Path: TypeAlias = tuple[str | int, ...]
MAX_CHARACTERS = 32 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text: its number from 1, its value, and the line of every path in it (None: not known)."""

    number: int
    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict[Path, int])

    def line(self, path: Path) -> int | None:
        """The line of a path or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


def read_documents(text: str) -> Iterator[Document]:
    """The documents that are not empty. Raises `InvalidInput`, saying the line."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"more than {MAX_CHARACTERS // 1024**2} MiB of text: split it")
    if text.lstrip().startswith(("{", "[")):
        try:
            yield Document(1, json.loads(text, object_pairs_hook=_without_duplicates))
            return
        except json.JSONDecodeError:
            pass  # YAML may begin with a bracket as well
        except RecursionError:
            raise InvalidInput(f"nested more than {MAX_DEPTH} deep") from None
    yield from _read_yaml(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise InvalidInput(f"{key!r} is given twice in one mapping")
        seen[key] = value
    return seen


# The C parser is ten times faster and comes with nearly every build of PyYAML.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # which base is known at run time only
    """YAML's safe types, but dates stay text, as in Kubernetes."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the name and the form are PyYAML's
        first: [it for it in resolvers if it[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read_yaml(text: str) -> Iterator[Document]:
    loader = None
    try:
        _refuse_deep_nesting(text)
        loader = _Loader(text)
        number = 0
        while loader.check_node():
            node = loader.get_node()
            number += 1
            _refuse_bombs(node)
            lines: dict[Path, int] = {}
            value = _Converter(loader, lines).convert(node, ())
            if value is not None:
                yield Document(number, value, lines)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InvalidInput(f"{line}not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"not valid YAML: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_deep_nesting(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else "?"
                raise InvalidInput(f"line {line}: nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_bombs(root: yaml.Node) -> None:
    """Count what the document holds once its aliases are written out, without writing them out."""
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> None:
        key = id(node)
        if key in sizes:
            return
        if key in open_nodes:
            raise InvalidInput(f"line {node.start_mark.line + 1}: an alias stands inside what it names")
        open_nodes.add(key)
        children = _children(node)
        for child in children:
            measure(child)
        open_nodes.discard(key)
        sizes[key] = 1 + sum(sizes[id(child)] for child in children)
        depths[key] = 1 + max((depths[id(child)] for child in children), default=0)

    try:
        measure(root)
    except RecursionError:
        depths[id(root)] = MAX_DEPTH + 1
        sizes[id(root)] = 0
    if depths[id(root)] > MAX_DEPTH + 1:
        raise InvalidInput(f"nested more than {MAX_DEPTH} deep")
    if sizes[id(root)] > MAX_VALUES:
        raise InvalidInput(f"its aliases stand for more than {MAX_VALUES} values: write out what is really meant")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [it for pair in node.value for it in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


class _Converter:
    """Nodes to values, noting lines on the way."""

    def __init__(self, loader: Any, lines: dict[Path, int]) -> None:
        self._loader = loader
        self._lines = lines
        self._checked: set[int] = set()

    def convert(self, node: yaml.Node, path: Path) -> Any:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise InvalidInput(f"line {node.start_mark.line + 1}: the tag {node.tag!r} is not known here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_duplicates(node)
        self._loader.flatten_mapping(node)  # merge keys: what is merged comes first, so that its own keys win
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node)
            if not isinstance(key, str):
                raise InvalidInput(f"line {key_node.start_mark.line + 1}: the key {key!r} must be text")
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.convert(value_node, (*path, key))
        return values

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        """Before merging, and once for each node: an alias brings a merged one here again."""
        if id(node) in self._checked:
            return
        self._checked.add(id(node))
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    line = key_node.start_mark.line + 1
                    raise InvalidInput(f"line {line}: {key_node.value!r} is given twice in one mapping")
                seen.add(key_node.value)

    def _scalar(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise InvalidInput(f"line {node.start_mark.line + 1}: a key must be text, not a list or a mapping")
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:
            raise InvalidInput(f"line {node.start_mark.line + 1}: {node.value!r} cannot be read: {error}") from error
