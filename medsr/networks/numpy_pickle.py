"""NumPy arrays in a pickle, and nothing else that a pickle may hold.

Unpickling runs what the file says. This unpickler knows the names with which an array is made, and refuses every other.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import WeightsError
from medsr.core.text import reason

Arrays = dict[str, NDArray[np.float32]]
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_NAMES = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # as NumPy 2 calls it
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return _NAMES[module, name]


def read(content: bytes) -> Arrays:
    """The float32 arrays of a pickle of nested dictionaries, by their path: `Conv_0/kernel`.

    Raises WeightsError for anything else in it, without doing what it says, and for a damaged one.
    """
    try:
        tree = _ArrayUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # a damaged pickle raises a dozen types
        raise WeightsError(f"damaged, or holds more than arrays of numbers ({reason(error)})") from error
    arrays: Arrays = {}
    _collect(tree, "", arrays)
    if not arrays:
        raise WeightsError("holds no arrays of numbers")
    return arrays


def _collect(tree: Any, path: str, arrays: Arrays) -> None:
    if isinstance(tree, dict):
        for key, branch in tree.items():
            _collect(branch, f"{path}/{key}" if path else str(key), arrays)
    elif isinstance(tree, np.ndarray) and tree.dtype == np.float32:
        arrays[path] = tree
    else:
        raise WeightsError("holds something else than arrays of float32")
