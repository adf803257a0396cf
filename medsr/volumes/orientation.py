"""A volume's axes in one order, whatever their order in the file."""

from __future__ import annotations

from numpy.typing import NDArray

from medsr.core.geometry import Shape
from medsr.io.volumes.volume import Volume


class Canonical:
    """Views of a volume with its axes towards right, anterior and superior, whatever their order in the file.

    So the network sees a scan the same way round in all 48 orientations, and the result is the same.
    """

    def __init__(self, volume: Volume) -> None:
        from nibabel.orientations import io_orientation

        self.orientation = io_orientation(volume.affine)
        self.order = [int(axis) for axis in self.orientation[:, 0]]

    def view(self, stored: NDArray, index: int) -> NDArray:
        """One volume of (i, j, k[, t]), as a view."""
        from nibabel.orientations import apply_orientation

        return apply_orientation(stored if stored.ndim == 3 else stored[..., index], self.orientation)

    def back(self, canonical: NDArray) -> NDArray:
        """A canonical volume in the file's order of axes."""
        from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform

        identity = axcodes2ornt(("R", "A", "S"))
        return apply_orientation(canonical, ornt_transform(identity, self.orientation))

    def shape(self, shape: Shape) -> Shape:
        """A shape's numbers in canonical order."""
        reordered = [0, 0, 0]
        for axis, length in zip(self.order, shape, strict=True):
            reordered[axis] = length
        return reordered[0], reordered[1], reordered[2]

    def steps(self, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        """Spacings in canonical order."""
        reordered = [0.0, 0.0, 0.0]
        for axis, step in zip(self.order, spacing, strict=True):
            reordered[axis] = step
        return reordered[0], reordered[1], reordered[2]
