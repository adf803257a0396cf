"""Types that many modules share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
"""Pixels or voxels as the networks see them."""
Notify = Callable[[str], None]
"""What takes a line to be shown to the user."""
OnProgress = Callable[[float, float, str], None]
"""Takes how far a task is: (done, total, what is being done)."""
Distance = Callable[[Array, Array], float]
"""How far a result is from its ground truth, both (H, W, C) in [0, 1]; 0 for equal images."""
