"""Manifest files: a file, a folder with everything below it, or `-` for standard input."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from modelyard.domain.model import Model
from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.wire.documents import MAX_CHARACTERS
from modelyard.wire.manifests import Manifest, parse_manifests

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"


def read_manifests(sources: Iterable[str]) -> tuple[Manifest, ...]:
    """Every manifest of every source, all of them checked. Raises `InvalidInput` or `NotFound`."""
    folders: dict[str, Path] = {}
    texts = []
    for source in sources:
        for name, text, folder in _texts(source):
            folders[name] = folder
            texts.append((name, text))
    manifests = parse_manifests(texts)
    if not manifests:
        raise InvalidInput("there is no manifest in " + ", ".join(name for name, _ in texts))
    return tuple(_with_absolute_path(it, folders) for it in manifests)


def _texts(source: str) -> Iterable[tuple[str, str, Path]]:
    if source == STANDARD_INPUT:
        yield "standard input", sys.stdin.read(MAX_CHARACTERS + 1), Path.cwd()
        return
    path = Path(source)
    if path.is_dir():
        files = sorted(it for it in path.rglob("*") if it.suffix in SUFFIXES and it.is_file() and not _hidden(it, path))
        if not files:
            raise NotFound(f"no {', '.join(SUFFIXES)} file in {source} or below it")
    elif path.is_file() or path.is_fifo() or path.is_char_device():
        files = [path]
    else:
        raise NotFound(f"no such file or folder: {source}")
    for file in files:
        try:
            with file.open(encoding="utf-8-sig") as stream:
                # A pipe, such as <(…) or /dev/stdin, lies nowhere. One character more: then it is refused.
                folder = file.parent if file.is_file() else Path.cwd()
                yield str(file), stream.read(MAX_CHARACTERS + 1), folder
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        except OSError as error:
            raise NotFound(f"cannot read {file}: {error.strerror}") from None


def _hidden(file: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(below).parts)


def absolute_uri(uri: str, folder: Path) -> str:
    """`./models/iris` and `../models/iris` become absolute: agents do not run where the manifest lies."""
    return str((folder / uri).resolve()) if uri.startswith(("./", "../")) or uri in (".", "..") else uri


def _with_absolute_path(manifest: Manifest, folders: dict[str, Path]) -> Manifest:
    it = manifest.item
    if not isinstance(it, Model):
        return manifest
    folder = folders[manifest.origin.rsplit(": document ", 1)[0]]
    artifact = replace(it.spec.artifact, uri=absolute_uri(it.spec.artifact.uri, folder))
    return replace(manifest, item=replace(it, spec=replace(it.spec, artifact=artifact)))
