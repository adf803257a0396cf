"""Voxels that a DICOM header declares to be background: nothing rings at their edge, and they come out exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.io.volumes.base import Volume
from medsr.volumes.acquisition import nearest_index
from medsr.volumes.orientation import Canonical


def filled(volume: Volume) -> NDArray:
    """The stored values of a scan of one volume, with the nearest voxel of the picture in place of its background."""
    if volume.background is None:
        return volume.stored
    turn = Canonical(volume)
    result = volume.stored.copy(order="K")
    turn.view(result, 0)[...] = Background(volume, turn, 0).filled()
    return result


class Background:
    """The background of one volume of a scan, its axes in canonical order."""

    def __init__(self, volume: Volume, turn: Canonical, index: int) -> None:
        mask = None if volume.background is None else turn.view(volume.background, index)
        self.mask: NDArray[np.bool_] | None = mask if mask is not None and mask.any() and not mask.all() else None
        self.stored: NDArray = turn.view(volume.stored, index)
        self.spacing = turn.steps(volume.grid.spacing)

    def filled(self) -> NDArray:
        """The stored values with the nearest voxel of the picture in place of every one of the background."""
        if self.mask is None:
            return self.stored
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(self.mask, self.spacing, return_distances=False, return_indices=True)
        result = self.stored.copy(order="K")
        result[self.mask] = self.stored[tuple(nearest[:, self.mask])]
        return result

    def restore(self, fine: NDArray) -> None:
        """Put the background back, in place: a voxel takes the value of the acquired one its centre lies in."""
        self._put(fine, self.stored)

    def silence(self, spread: NDArray) -> None:
        """Put 0 into a map of what is uncertain, in place: background is not."""
        self._put(spread, None)

    def _put(self, fine: NDArray, stored: NDArray | None) -> None:
        if self.mask is None:
            return
        i, j, k = (nearest_index(old, new) for old, new in zip(self.mask.shape, fine.shape, strict=True))
        rows_columns = np.ix_(i, j)
        for n, source in enumerate(k):
            empty = self.mask[:, :, source][rows_columns]
            fine[:, :, n][empty] = 0 if stored is None else stored[:, :, source][rows_columns][empty]
