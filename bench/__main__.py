"""Run every bench module (or those named) and print one table for each.

A bench module has `TITLE: str` and `run() -> Iterable[Row]`, and nothing else that this file needs to know.
"""

import importlib
import pkgutil
import sys

import bench
from bench.table import show


def main() -> int:
    found = [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]
    wanted = sys.argv[1:] or found
    for name in wanted:
        if name not in found:
            sys.stderr.write(f"there is no bench {name!r}; there are {', '.join(found)}\n")
            return 2
        module = importlib.import_module(f"bench.{name}")
        if hasattr(module, "run"):
            show(module.TITLE, module.run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
