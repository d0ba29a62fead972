"""Compile proto/ into src/modelyard/wire/_pb2/, or with --check say whether what is checked in is what it gives.

The generated modules live in a package of ours and in a descriptor pool of their own: other libraries in the same
process (tritonclient, mlserver) define `inference.*` too, and one pool cannot hold both.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).parent
OUT = PROTO.parent / "src" / "modelyard" / "wire" / "_pb2"
HAND_WRITTEN = {"__init__.py", "pool.py"}
PACKAGE = "modelyard.wire._pb2"
ROOTS = ("seldon", "inference", "modelyard")  # the first folders of our proto paths


def compile_protos(out: Path) -> dict[str, str]:
    """The generated files by their path below the output folder."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    status = protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={out}", f"--pyi_out={out}", *sources])
    if status != 0:
        sys.exit("proto/generate.py: protoc failed; see the message above")
    return {
        str(path.relative_to(out)): rehome(path.read_text(), path.name)
        for path in sorted(out.rglob("*.py*"))
        if path.suffix in {".py", ".pyi"}
    }


def rehome(text: str, name: str) -> str:
    """Move a generated module into our package and our descriptor pool."""
    text = re.sub(rf"^from ((?:{'|'.join(ROOTS)})(?:\.\w+)*) import", rf"from {PACKAGE}.\1 import", text, flags=re.M)
    if not name.endswith(".pyi"):
        text = text.replace(
            "from google.protobuf import descriptor_pool as _descriptor_pool\n",
            f"from {PACKAGE} import pool as _pool\n",
        )
        text = text.replace("_descriptor_pool.Default()", "_pool.POOL")
    return text


def packages(files: dict[str, str]) -> set[str]:
    return {f"{parent}/__init__.py" for path in files for parent in Path(path).parents if str(parent) != "."}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if what is checked in differs")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        files = compile_protos(Path(folder))
    files |= dict.fromkeys(packages(files), "")
    there = {
        str(path.relative_to(OUT)): path.read_text()
        for path in OUT.rglob("*.py*")
        if path.suffix in {".py", ".pyi"} and str(path.relative_to(OUT)) not in HAND_WRITTEN
    }
    if check:
        stale = sorted(path for path in files.keys() | there.keys() if files.get(path) != there.get(path))
        if stale:
            sys.exit(f"Generated code is stale: {', '.join(stale)}. Run `make proto` and commit the result.")
        return
    for path in there.keys() - files.keys():
        (OUT / path).unlink()
    for path, text in files.items():
        (OUT / path).parent.mkdir(parents=True, exist_ok=True)
        (OUT / path).write_text(text)


if __name__ == "__main__":
    main()
