"""Requests to paste into a shell. Pure."""

import json
import shlex

from modelyard.runtime.docs.subject import Subject
from modelyard.wire.oip import example
from modelyard.wire.oip.nouns import TensorMetadata


def infer(it: Subject) -> str:
    """Long data is made by a line of Python, so that it works all the same."""
    post = f"curl -sS {shlex.quote(it.url + '/infer')} \\\n  -H 'content-type: application/json'"
    inputs = it.signature.inputs
    if not example.is_long(inputs):
        return f"{post} \\\n  -d {shlex.quote(json.dumps(example.request(inputs, it.example)))}"
    program = f'import json; print(json.dumps({{"inputs": [{", ".join(_python(each) for each in inputs)}]}}))'
    return f"python3 -c {shlex.quote(program)} |\n  {post} \\\n  -d @-"


def metadata(it: Subject) -> str:
    return f"curl -sS {shlex.quote(it.url)}"


def _python(it: TensorMetadata) -> str:
    shape = example.shape(it)
    count = " * ".join(map(str, shape))
    return (
        f'{{"name": {json.dumps(it.name)}, "shape": {shape}, "datatype": "{it.datatype}", '
        f'"data": [{example.zero(it.datatype)!r}] * ({count})}}'
    )
