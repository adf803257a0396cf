"""Where in a ground truth a lesion could be."""

from __future__ import annotations

from medsr.core.errors import InputError
from medsr.core.types import Array
from medsr.lesions.coarse import Mask
from medsr.lesions.kinds import Kind
from medsr.lesions.lung_fields import lung_fields
from medsr.lesions.retina import retina
from medsr.lesions.white_matter import white_matter

LEAST = {"mri": 2000.0, "cxr": 1000.0, "fundus": 2000.0}
"""Smallest place, in cubic mm, square mm and pixels: what is smaller was not recognised."""
NOT_FOUND = {
    "mri": "no white matter was found; lesions are drawn into scans of the brain. Leave this scan out",
    "cxr": "no lung was found; nodules are drawn into frontal chest radiographs, air dark. Leave this image out",
    "fundus": "no retina was found; lesions are drawn into fundus photographs. Leave this image out",
}


def allowed(kind: Kind, truth: Array, step: float) -> Mask:
    """Where tissue is that such lesions lie in.

    Args:
        kind: `mri`: white matter. `cxr`: lung fields. `fundus`: retina without vessels, disc and edge.
        truth: (H, W, C) in [0, 1], or for `mri` (I, J, K) with axes to right, anterior and superior; isotropic.
        step: From one pixel or voxel to the next, in mm; 1 for `fundus`.

    Returns:
        (H, W) or (I, J, K).

    Raises:
        InputError: there is no such place. The message does not name the file.
    """
    if kind == "mri":
        mask = white_matter(truth, step)
    elif kind == "cxr":
        mask = lung_fields(truth, step)
    else:
        mask = retina(truth)
    if mask.sum() * step**mask.ndim < LEAST[kind]:
        raise InputError(NOT_FOUND[kind])
    return mask
