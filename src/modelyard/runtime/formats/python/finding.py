"""Which class of a model's files is the model."""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats.python import modules
from modelyard.runtime.formats.settings import OURS

METHODS = ("predict", "predict_stream")
USUAL = "Model"
_MLSERVER = "is written for MLServer: give it to an MLServer server (requirements: [mlserver])"


def find(package: str, file: Path, implementation: str | None) -> type[Any]:
    """`implementation` (`module.Class`), else the class in `file`. Raises `InvalidInput`."""
    if implementation is None:
        return _only_class(_imported(package, file.stem), file.name)
    module, _, name = implementation.rpartition(".")
    if not module:
        raise InvalidInput(f"its implementation '{implementation}' must be a module and a class, as module.Class")
    if module.partition(".")[0].startswith("mlserver"):
        raise InvalidInput(
            f"its implementation {implementation} is MLServer's, and this server has nothing like it: give it to an "
            f"MLServer server (requirements: [mlserver])"
        )
    found = getattr(_imported(package, module), name, None)
    if not isinstance(found, type):
        raise InvalidInput(f"its implementation '{implementation}' names no class: {module} has no class {name}")
    return _checked(found, implementation)


def _imported(package: str, module: str) -> ModuleType:
    try:
        return modules.import_from(package, module)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        name = str(error.name)
        if name.partition(".")[0] == "mlserver":
            raise InvalidInput(f"{module}.py {_MLSERVER}") from None
        if name == module:
            raise InvalidInput(f"there is no module {module} in its folder, nor is one installed") from None
        raise InvalidInput(f"{module} needs the Python package '{name}', which is not installed") from None
    except BaseException as error:  # also SystemExit, which would end the event loop that waits for this
        raise InvalidInput(f"{module} cannot be imported: {type(error).__name__}: {first_line(error)}") from None


def _only_class(module: ModuleType, file: str) -> type[Any]:
    own = [it for _, it in inspect.getmembers(module, inspect.isclass) if it.__module__ == module.__name__]
    fitting = [it for it in own if _fits(it) and not it.__name__.startswith("_") and not inspect.isabstract(it)]
    # A class that others here extend is not the model itself.
    fitting = [it for it in fitting if not any(it in other.__mro__[1:] for other in fitting)]
    usual = [it for it in fitting if it.__name__ == USUAL]
    if len(fitting) > 1 and not usual:
        names = ", ".join(it.__name__ for it in fitting)
        raise InvalidInput(
            f"{file} has several classes that could be the model ({names}); name one in {OURS}: "
            f'{{"implementation": "{file.removesuffix(".py")}.{fitting[0].__name__}"}}'
        )
    if not fitting:
        raise InvalidInput(f"{file} has no class with a method 'predict' or 'predict_stream'")
    return _checked((usual or fitting)[0], file)


def _checked(found: type[Any], where: str) -> type[Any]:
    if any(it.__module__.partition(".")[0] == "mlserver" for it in found.__mro__):
        raise InvalidInput(f"{where} {_MLSERVER}")
    if not _fits(found):
        raise InvalidInput(f"{where} has no method 'predict' or 'predict_stream'")
    return found


def _fits(found: type[Any]) -> bool:
    return any(callable(getattr(found, name, None)) for name in METHODS)
