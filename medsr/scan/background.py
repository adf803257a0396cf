"""Voxels that a DICOM header declares to be background: nothing rings at their edge, and they come out exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.infer.acquisition import nearest_index


def mask_of(stored: NDArray, padding: tuple[int, int] | None) -> NDArray[np.bool_] | None:
    """True where the background is; None where there is none, or nothing else."""
    if padding is None:
        return None
    mask: NDArray[np.bool_] = (stored >= padding[0]) & (stored <= padding[1])
    return mask if mask.any() and not mask.all() else None


def filled(stored: NDArray, mask: NDArray[np.bool_] | None) -> NDArray:
    """A copy (i, j, k) with the nearest voxel of its slice in place of background; in an empty slice, the least."""
    if mask is None:
        return stored
    from scipy.ndimage import distance_transform_edt

    least = stored[~mask].min()
    result = stored.copy(order="K")
    for k in range(stored.shape[2]):
        if mask[:, :, k].all():
            result[:, :, k] = least
        elif mask[:, :, k].any():
            i, j = distance_transform_edt(mask[:, :, k], return_distances=False, return_indices=True)
            result[:, :, k] = stored[i, j, k]
    return result


def restore(fine: NDArray, stored: NDArray, mask: NDArray[np.bool_] | None) -> None:
    """Put the background back, in place: a fine voxel is background where the acquired voxel around its centre is."""
    if mask is None:
        return
    i, j, k = (nearest_index(old, new) for old, new in zip(stored.shape, fine.shape, strict=True))
    for n, source in enumerate(k):
        place = np.ix_(i, j)
        empty = mask[:, :, source][place]
        fine[:, :, n][empty] = stored[:, :, source][place][empty]
