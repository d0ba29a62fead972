"""Whether a LightGBM file is whole: its header tells the size of every tree. Pure.

LightGBM itself takes a file that ends too early, or whose line ends were changed, and then reads beyond it: it crashes
at once, later, or never and predicts nonsense.
"""

import re

_SIZES = re.compile(rb"^tree_sizes=([\d ]*)\r?$", re.MULTILINE)
_OBJECTIVE = re.compile(rb"^objective=(\w+)", re.MULTILINE)
_FIRST_TREE = re.compile(rb"^Tree=0\r?$", re.MULTILINE)
_TREE = b"Tree="
_END = b"end of trees"
_PARAMETERS = b"\nparameters:"
_END_OF_PARAMETERS = b"\nend of parameters"


def problem(content: bytes) -> str | None:
    """What is wrong, as the end of a sentence about the file; None where nothing is, or an old header does not tell."""
    sizes = _SIZES.search(content)
    if sizes is None:
        return None
    place = found.start() if (found := _FIRST_TREE.search(content, sizes.end())) else content.find(_END, sizes.end())
    listed = [int(it) for it in sizes[1].split()]
    for number, size in enumerate(listed):
        if not content.startswith(_TREE, place):
            return f"tree {number + 1} of {len(listed)} is not where its header says"
        place += size
    if len(content) < place + len(_END):
        return f"it ends before its {len(listed)} trees do"
    if not content.startswith(_END, place):
        return f"its {len(listed)} trees have not the sizes that its header says"
    if _PARAMETERS in content[place:] and _END_OF_PARAMETERS not in content[place:]:
        return "it ends before its parameters do"
    return None


def objective(content: bytes) -> str:
    """What it was trained for, such as `binary`; empty where it does not say."""
    end = found.start() if (found := _FIRST_TREE.search(content)) else len(content)
    return said[1].decode() if (said := _OBJECTIVE.search(content, 0, end)) else ""
