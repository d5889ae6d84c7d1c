"""Numbers of which few differ, as codes of a dictionary: what the store would make of them itself, at five times the
price, for it hashes each.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_FAR = 1 << 22
"""Up to here codes are looked up by the number; a table of more would take longer than sorting does."""


def coded(values: NDArray[np.uint32]) -> pa.DictionaryArray:
    """The same numbers; those of the dictionary ascend."""
    most = int(values.max(initial=0))
    distinct, codes = _looked_up(values, most) if most < _FAR else np.unique(values, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(distinct.astype(np.uint32)))


def _looked_up(values: NDArray[np.uint32], most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    places = values.astype(np.intp)
    there = np.zeros(most + 1, np.bool_)
    there[places] = True
    distinct = np.flatnonzero(there)
    code_of = np.empty(most + 1, np.int32)
    code_of[distinct] = np.arange(len(distinct))
    return distinct, code_of[places]
