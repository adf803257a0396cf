"""Whether a patient moved between two halves of a scan: odd slices first, then even ones, as scanners acquire them.

Every slice is held against the mean of its two neighbours, which are of the other half. What a rigid motion would
change in it is known to first order (Lucas and Kanade 1981): one picture for each of six freedoms. A patient who moved
between the halves moved every odd slice one way against its neighbours and every even one the other way, all by the
same amount. Anatomy does not alternate, nor does motion in between slices of one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter
from threadpoolctl import threadpool_limits

from medsr.core.types import Array
from medsr.io.volumes.base import Volume, slice_axis
from medsr.io.volumes.periodic import is_phase
from medsr.io.volumes.thickness import distance_of

PIXEL = 2.0
"""mm; slices are looked at in pixels of about this size."""
THINNEST = 1.5
"""mm; slices closer to each other than this are partitions of 3D acquisitions, which are not acquired by turns."""
FEWEST, MOST = 8, 64
"""Slices that it takes, and how many are looked at, those in the middle."""
SMALL = 12
"""Pixels along a side that a slice needs at least."""
DARK, BUSY = 0.1, 0.25
"""Unit value of air; the share of the fullest slice that a slice must show to be looked at."""
ALIKE = 0.5
"""Share of a slice that its neighbours explain, in half of the slices: of noise alone there is nothing to compare."""
ROUNDS = 3
SURE, SMALLEST = 4.5, 0.3
"""What is called motion: so many standard errors from none, and so many mm. Without motion the largest was 3.7."""
TOGETHER = 3
"""One slice that is off moves what three of them say."""
SHOWN = 2.5
"""Standard errors from which a freedom counts in the figure that is printed."""


@dataclass(frozen=True)
class Alternation:
    """How far odd slices lie from where even ones say that they should.

    `motion`: mm along rows, along columns and across the slices; then rotations, in the plane and out of it about both
    axes, as mm at the object's mean radius. `errors`: standard errors of each.
    """

    motion: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def millimetres(self) -> float:
        """The motion in one figure, 0 where it is not certain."""
        size, certainty = np.abs(self.motion), np.abs(self.motion) / self.errors
        if not ((certainty > SURE) & (size > SMALLEST)).any():
            return 0.0
        return float(np.linalg.norm(self.motion[certainty > SHOWN]))


def interleaving_warnings(volume: Volume) -> list[str]:
    """A line where odd and even slices disagree. Only the first volume of a series is looked at."""
    axis = slice_axis(volume)
    distance = distance_of(volume.grid, axis)
    if volume.modality not in ("", "MR") or distance < THINNEST or is_phase(volume):
        return []
    first = volume.stored if volume.stored.ndim == 3 else volume.stored[..., 0]
    rows, columns = (step for n, step in enumerate(volume.grid.spacing) if n != axis)
    # Values that no float32 holds say nothing here; matrices of eight columns are not worth several threads.
    with np.errstate(over="ignore", invalid="ignore"), threadpool_limits(1, "blas"):
        alternation = alternation_of(np.moveaxis(first, axis, 0), (rows, columns), distance)
    if alternation is None or not (millimetres := alternation.millimetres):
        return []
    return [
        f"odd and even slices disagree by about {millimetres:.1f} mm: the patient seems to have moved between them; "
        "the result repeats it"
    ]


def alternation_of(slices: NDArray, spacing: tuple[float, float], distance: float) -> Alternation | None:
    """Of (slices, rows, columns), pixels of `spacing` mm, one every `distance` mm; None where there is too little."""
    start = max(0, (len(slices) - MOST) // 2)
    if min(size * step for size, step in zip(slices.shape[1:], spacing, strict=True)) < SMALL * PIXEL:
        return None
    pixel, small = _shrunk(slices[start : start + MOST], spacing)
    if (small[1:] == small[:-1]).all(axis=(1, 2)).mean() > 0.2:  # slices that were doubled alternate by themselves
        return None
    bright: NDArray[np.bool_] = np.asarray(small > DARK)
    shares = bright.mean(axis=(1, 2))
    inner = np.arange(1, len(small) - 1)
    least = np.minimum.reduce([shares[inner - 1], shares[inner], shares[inner + 1]])
    usable = inner[least > BUSY * shares.max()]
    if len(usable) < FEWEST:
        return None
    frame = _Frame.around(np.logical_or.reduce(bright), pixel, distance, float(usable.mean()))
    way = np.where(usable % 2, 1.0, -1.0)
    motion = np.zeros(6)
    for _ in range(ROUNDS):
        rests = [frame.rest(small, int(index), sign * motion) for index, sign in zip(usable, way, strict=True)]
        grams = np.array([rest.gram for rest in rests])
        sides = np.array([rest.side for rest in rests]) * way[:, None]
        motion = motion + _solved(grams.sum(axis=0), sides.sum(axis=0))
    if not np.median([rest.explained for rest in rests]) > ALIKE:
        return None
    without = np.array(
        [_solved(grams.sum(axis=0) - gram, sides.sum(axis=0) - side) for gram, side in zip(grams, sides, strict=True)]
    )
    spread = (len(usable) - 1) * without.var(axis=0)  # the jackknife's
    return Alternation(motion, np.maximum(np.sqrt(TOGETHER * spread), 1e-9))


def _solved(gram: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares; what nothing tells stays 0."""
    firm = gram + np.diag(gram.diagonal() * 1e-6 + 1e-9)
    return np.asarray(np.linalg.solve(firm, side), np.float64)


def _shrunk(slices: NDArray, spacing: tuple[float, float]) -> tuple[tuple[float, float], Array]:
    """The size of larger pixels, and the slices in them, smoothed, in unit values."""
    rows, columns = (max(1, round(PIXEL / step)) for step in spacing)
    height, width = slices.shape[1] // rows, slices.shape[2] // columns
    pixel = rows * spacing[0], columns * spacing[1]
    small = np.empty((len(slices), height, width), np.float32)
    for index, whole in enumerate(slices):
        blocks = whole[: height * rows, : width * columns].astype(np.float32).reshape(height, rows, width, columns)
        small[index] = gaussian_filter(blocks.mean(axis=(1, 3)), (PIXEL / pixel[0], PIXEL / pixel[1]))
    low, high = np.percentile(small, (1, 99.5))
    return pixel, (small - low) / np.float32(max(high - low, np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class _Rest:
    """Normal equations of the six freedoms in one slice, and the share of its variance that its neighbours explain."""

    gram: NDArray[np.float64]
    side: NDArray[np.float64]
    explained: float


@dataclass(frozen=True)
class _Frame:
    """Where pixels lie: `x` and `y`, mm from the `centre` of the object (mm from that of the slice), and the number of
    the slice through it (`middle`)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    centre: NDArray[np.float64]
    radius: float
    pixel: tuple[float, float]
    distance: float
    middle: float

    @classmethod
    def around(cls, bright: NDArray[np.bool_], pixel: tuple[float, float], distance: float, middle: float) -> _Frame:
        height, width = bright.shape
        x = np.broadcast_to((np.arange(height)[:, None] - (height - 1) / 2) * pixel[0], bright.shape)
        y = np.broadcast_to((np.arange(width) - (width - 1) / 2) * pixel[1], bright.shape)
        centre = np.array([x[bright].mean(), y[bright].mean()])
        x, y = x - centre[0], y - centre[1]
        radius = float(np.sqrt((x[bright] ** 2 + y[bright] ** 2).mean()))
        return cls(x, y, centre, max(radius, pixel[0]), pixel, distance, middle)

    def rest(self, slices: Array, index: int, motion: NDArray[np.float64]) -> _Rest:
        """What motion a slice shows against its neighbours beside `motion`.

        Contrast may differ, too. A slice counts by how well its neighbours explain it.
        """
        before, seen, after = slices[index - 1 : index + 2]
        x, y, z = self.x / self.radius, self.y / self.radius, (index - self.middle) * self.distance / self.radius
        slope = (after - before) / (2 * self.distance)
        expected = (before + after) / 2 + slope * (motion[2] + motion[4] * x + motion[5] * y)
        expected = self._moved(expected, motion[:2] + motion[4:] * z, motion[3] / self.radius)
        by_row, by_column = np.gradient(expected, *self.pixel)
        pictures = [-by_row, -by_column, slope, y * by_row - x * by_column]
        pictures += [slope * x - z * by_row, slope * y - z * by_column]  # out of the plane: what is above moves along
        design = np.stack([picture.ravel() for picture in pictures], axis=1).astype(np.float64)
        other = np.stack([expected.ravel(), np.ones(expected.size)], axis=1).astype(np.float64)
        rest = (seen - expected).ravel().astype(np.float64)
        inverse = np.linalg.inv(other.T @ other + 1e-9 * np.eye(2))
        design -= other @ (inverse @ (other.T @ design))
        rest -= other @ (inverse @ (other.T @ rest))
        left = rest - design @ _solved(design.T @ design, design.T @ rest)
        weight = 1 / max(float(left @ left), 1e-9)
        whole = max(float(np.var(seen, dtype=np.float64)) * seen.size, 1e-9)
        return _Rest(weight * (design.T @ design), weight * (design.T @ rest), 1 - float(left @ left) / whole)

    def _moved(self, picture: Array, shift: NDArray[np.float64], angle: float) -> Array:
        """Shifted within its plane by so many mm, and turned about the object's centre."""
        if not shift.any() and not angle:
            return picture
        size = np.array(self.pixel)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * size / size[:, None]
        middle = (np.array(picture.shape) - 1) / 2 + self.centre / size
        moved: Array = affine_transform(picture, turn, middle - turn @ middle - shift / size, order=1, mode="nearest")
        return moved
