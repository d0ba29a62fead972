"""Import a model's own modules so that two models may each have a `model.py`.

The files of a folder are imported below a package that nobody else names. What they import is looked for in their
folder first: each of them has builtins of its own, whose `__import__` does that, also for imports inside functions.
"""

import builtins
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "_modelyard_model_"
_numbers = count(1)


def package(folder: Path) -> str:
    """A new package whose modules are the files of `folder`, none of them imported yet; its name."""
    if not any(isinstance(it, _Finder) for it in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    name = f"{_PREFIX}{next(_numbers)}"
    made = ModuleType(name)
    made.__path__ = [str(folder)]
    sys.modules[name] = made
    return name


def import_from(package: str, module: str) -> ModuleType:
    """The module of that folder, or else the installed one of that name. Raises whatever importing it raises."""
    return importlib.import_module(f"{package}.{module}" if _has(package, module) else module)


def forget(package: str) -> None:
    """Nothing is imported from it any more; what was lives on with those who hold it."""
    for name in [it for it in sys.modules if it == package or it.startswith(f"{package}.")]:
        del sys.modules[name]


def _has(package: str, module: str) -> bool:
    folder = Path(sys.modules[package].__path__[0])
    top = folder / module.partition(".")[0]
    return top.with_name(f"{top.name}.py").is_file() or (top / "__init__.py").is_file()


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        own = _import_of(module.__name__.partition(".")[0])
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": own}
        super().exec_module(module)

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """No __pycache__ among a model's files, which others share."""


def _import_of(package: str) -> Callable[..., ModuleType]:
    def own_import(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or package not in sys.modules or not _has(package, name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        full = f"{package}.{name}"
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist)
        importlib.import_module(full)
        return sys.modules[f"{package}.{name.partition('.')[0]}"]

    return own_import
