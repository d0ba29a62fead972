"""What Triton is told of a model: its folder's layout and its `config.pbtxt`. Pure.

Of protobuf's text format only as much is read as is needed to find the top-level fields; all else stays as it was
written. Problems are `LookupError` (which file) and `ValueError` (what is in it), each one sentence that goes on from
"cannot use <uri>: ".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from modelyard.agent import choose
from modelyard.agent.choose import Contents

FILE = "config.pbtxt"
# The version inside Triton: the name holds ours.
VERSION = "1"
# What a line of a config has to say where the artifact has none; Triton finds out the rest.
KINDS = {
    "python": 'backend: "python"',
    "onnx": 'backend: "onnxruntime"',
    "pytorch": 'backend: "pytorch"',
    "openvino": 'backend: "openvino"',
    "fil": 'backend: "fil"',
    "dali": 'backend: "dali"',
    "tensorflow": 'platform: "tensorflow_savedmodel"',
    "tensorrt": 'platform: "tensorrt_plan"',
}
# By the file that tells it, before the requirements: `python` stands in many of them.
_FILES = {"model.py": "python", "model.onnx": "onnx", "model.pt": "pytorch", "model.plan": "tensorrt"}
_DROPPED = ("name", "version_policy")


@dataclass(frozen=True, slots=True)
class Layout:
    """`config`: its path in the artifact, None where it has none. `links`: (path in the artifact, path for Triton)."""

    config: str | None
    links: tuple[tuple[str, str], ...]


def layout(paths: Iterable[str], wanted: int | None) -> Layout:
    """The files of the wanted version, else of the highest number, in the folder "1"; what stands beside the config
    stays beside it. Without numbered folders all files are the version's."""
    files = sorted(paths)
    root = _root([it for it in files if PurePosixPath(it).name == FILE])
    below = {it: it.removeprefix(f"{root}/" if root else "") for it in files if not root or it.startswith(f"{root}/")}
    folders = {it.partition("/")[0] for it in below.values() if "/" in it}
    chosen = choose.folder(Contents(tuple(folders)), wanted)
    config: str | None = None
    links = []
    for path, inside in below.items():
        top, _, rest = inside.partition("/")
        if inside == FILE or (top == chosen and rest == FILE):
            if config is None or top == chosen:  # that of the version itself counts before that of all
                config = path
        elif top == chosen and rest:
            links.append((path, f"{VERSION}/{rest}"))
        elif not (rest and top.isdecimal()):
            links.append((path, inside))
            if chosen is None:
                links.append((path, f"{VERSION}/{inside}"))
    return Layout(config, tuple(links))


def _root(configs: list[str]) -> str:
    """The folder that holds the numbered folders, if any: where config.pbtxt is, or the one above."""
    roots = set()
    for path in configs:
        home = PurePosixPath(path).parent
        roots.add(str(home.parent if home.name.isdecimal() else home))
    if len(roots) > 1:
        raise LookupError(f"it holds {FILE} {len(configs)} times, for more than one model: {', '.join(configs)}")
    return next(iter(roots), ".").removeprefix(".")


def minimal(name: str, requirements: frozenset[str], files: Iterable[str]) -> str:
    """A config for an artifact that has none. `files`: as Triton will see them."""
    names = {PurePosixPath(it).name for it in files}
    kind = next((kind for file, kind in _FILES.items() if file in names), None)
    if kind is None:
        kind = next((it for it in KINDS if it in requirements), None)
    if kind is None:
        said = ", ".join(sorted(requirements)) or "none"
        raise ValueError(f"it has no {FILE}, and the requirements ({said}) name none of {', '.join(KINDS)}")
    return f'name: "{name}"\n{KINDS[kind]}\n'


def rewritten(text: str, name: str) -> str:
    """The config under another name. The version policy goes too: there is one version."""
    kept, end = [], 0
    for field in fields(text):
        if field.name in _DROPPED:
            kept.append(text[end : field.start])
            end = field.end
    rest = "".join([*kept, text[end:]])
    return f'name: "{name}"\n{rest}'


def cpu_instances(text: str) -> int | None:
    """How many instances it has on the CPU; None where it does not say."""
    counts = [
        int(_scalar(group, "count") or 1)
        for field in fields(text)
        if field.name == "instance_group"
        for group in field.values
        if not isinstance(group, str) and _scalar(group, "kind") == "KIND_CPU"
    ]
    return sum(counts) if counts else None


def _scalar(message: "tuple[Field, ...]", name: str) -> str | None:
    return next((v for it in message if it.name == name for v in it.values if isinstance(v, str)), None)


# Protobuf's text format ----------------------------------------------------------------------------------------------

Value: TypeAlias = "str | tuple[Field, ...]"


@dataclass(frozen=True, slots=True)
class Field:
    """`values`: one, or those of a list; strings keep their quotes. It stands in the text from `start` to `end`."""

    name: str
    values: tuple[Value, ...]
    start: int
    end: int


_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<word>[-+\w./]+)|(?P<mark>[][{}<>:;,])"""
)
_CLOSING = {"{": "}", "<": ">"}
MOST_DEPTH = 100


def fields(text: str) -> tuple[Field, ...]:
    """The top-level fields. Raises `ValueError` with the line where it is not text format."""
    return _Reader(text).message(None, 0)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens: list[tuple[str, str, int, int]] = []  # kind, text, start, end
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ValueError(
                    f"{FILE}, line {self._line(position)}: {text[position : position + 20]!r} is not known"
                )
            if found.lastgroup != "skip":
                self._tokens.append((str(found.lastgroup), found.group(), found.start(), found.end()))
            position = found.end()

    def message(self, closing: str | None, depth: int) -> tuple[Field, ...]:
        """Up to the closing mark, which is taken; None: up to the end."""
        if depth > MOST_DEPTH:
            raise ValueError(f"{FILE} is nested more than {MOST_DEPTH} deep")
        found = []
        while self._next() != closing:
            found.append(self._field(depth))
        if closing is not None:
            self._take()
        return tuple(found)

    def _field(self, depth: int) -> Field:
        name, start = self._name()
        colon = self._next() == ":"
        if colon:
            self._take()
        values = self._list(depth) if self._next() == "[" else (self._value(colon, depth),)
        end = self._tokens[self._at - 1][3]
        if self._next() in (",", ";"):
            end = self._tokens[self._at][3]
            self._take()
        return Field(name, values, start, end)

    def _name(self) -> tuple[str, int]:
        kind, name, start, _ = self._take()
        if name == "[":  # an extension
            while (part := self._take()[1]) != "]":
                name += part
        elif kind != "word":
            raise self._wrong(f"a field's name was expected, not {name}")
        return name, start

    def _list(self, depth: int) -> tuple[Value, ...]:
        self._take()
        values: list[Value] = []
        while self._next() != "]":
            if values:
                if self._next() != ",":
                    raise self._wrong("a comma or ] was expected")
                self._take()
            values.append(self._value(True, depth))
        self._take()
        return tuple(values)

    def _value(self, scalar: bool, depth: int) -> Value:
        kind, token, _, _ = self._take()
        if token in _CLOSING:
            return self.message(_CLOSING[token], depth + 1)
        if kind == "mark" or not scalar:
            raise self._wrong(f"a value was expected, not {token}")
        while kind == "string" and self._at < len(self._tokens) and self._tokens[self._at][0] == "string":
            token += self._take()[1]  # adjacent strings are one
        return token

    def _next(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _take(self) -> tuple[str, str, int, int]:
        if self._at >= len(self._tokens):
            raise ValueError(f"{FILE} ends within a field")
        self._at += 1
        return self._tokens[self._at - 1]

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{FILE}, line {self._line(self._tokens[self._at - 1][2])}: {what}")

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1
