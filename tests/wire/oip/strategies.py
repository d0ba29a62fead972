"""Hypothesis strategies for tensors of every datatype."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import BYTES, DTYPES, Tensor

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DATATYPES = st.sampled_from(sorted(DTYPES))


@st.composite
def tensors(draw: st.DrawFn, *, datatypes: st.SearchStrategy[str] = DATATYPES, finite: bool = False) -> Tensor:
    datatype = draw(datatypes)
    shape = draw(SHAPES)
    if datatype == BYTES:
        count = int(np.prod(shape))
        elements = draw(st.lists(st.binary(max_size=8), min_size=count, max_size=count))
        data = raw.of_bytes(elements).reshape(shape)
    else:
        numbers = {"allow_nan": False, "allow_infinity": False} if finite and datatype.startswith("FP") else {}
        dtype = DTYPES[datatype]
        data = draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype, **numbers)))
    return Tensor(draw(NAMES), datatype, data)


def same(one: Tensor, other: Tensor) -> bool:
    """Equal in name, datatype, shape and every element; NaN is NaN."""
    return (
        (one.name, one.datatype, one.data.shape) == (other.name, other.datatype, other.data.shape)
        and one.data.dtype == other.data.dtype
        and (
            one.data.tolist() == other.data.tolist()
            if one.datatype == BYTES
            else np.array_equal(one.data, other.data, equal_nan=one.datatype.startswith("FP"))
        )
    )
