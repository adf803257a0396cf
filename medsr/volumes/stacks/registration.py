"""Where each stack shows the body: rigid registration to the first one, by SimpleITK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import LPS, Grid
from medsr.core.types import Array
from medsr.volumes.stacks.acquired import SliceStack

FOREGROUND = 0.1
"""Unit values above this are of the body."""
COARSEST, MOST_VOXELS = 1.0, 200
"""Registration looks at voxels of at least so many mm, and at most so many of them along a side."""
LEVELS = ((4, 3.0), (2, 1.5), (1, 0.0))
"""Of each resolution: how many voxels become one, and the blur before, in mm."""
BINS, SAMPLES = 48, 100_000
"""Of each resolution: bins of the joint histogram, and the most voxels that are looked at."""
STEPS, LEAST_STEP = 150, 1e-4
DIGITS = 5
"""Of radians and mm: what lies beyond is another processor's rounding."""


@dataclass(frozen=True, eq=False)
class Registration:
    """`motion`: (4, 4) mm, RAS, from a point of the first stack's space to where this one shows it.

    `before` and `after`: correlation of the two in the body they share, as the headers say and as registered.
    """

    motion: NDArray[np.float64]
    before: float
    after: float


def register(fixed: SliceStack, moving: SliceStack) -> Registration:
    """Find the motion by mutual information, from coarse to fine, from where the headers say.

    The same scans give the same motion, whatever computes it.
    """
    import SimpleITK as sitk

    step = _step(fixed, moving)
    fixed_image, moving_image = _image(_even(fixed, step)), _image(_even(moving, step))
    mask = _body(fixed_image)
    with _one_thread():
        transform = sitk.Euler3DTransform()
        transform.SetCenter(_centre(mask))
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricFixedMask(mask)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(1.0, SAMPLES / np.prod(fixed_image.GetSize())), seed=1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, LEAST_STEP, STEPS, 0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([shrink for shrink, _ in LEVELS])
        method.SetSmoothingSigmasPerLevel([sigma for _, sigma in LEVELS])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(fixed_image, moving_image)
    transform.SetParameters([round(value, DIGITS) for value in transform.GetParameters()])
    motion = _matrix(transform)
    return _compared(fixed_image, moving_image, motion)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """With more, SimpleITK's sums come in another order each time."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def as_stated(fixed: SliceStack, moving: SliceStack, motion: NDArray[np.float64]) -> Registration:
    """A motion that is known: nothing is looked for."""
    step = _step(fixed, moving)
    fixed_image, moving_image = _image(_even(fixed, step)), _image(_even(moving, step))
    return _compared(fixed_image, moving_image, motion)


def _compared(fixed: Any, moving: Any, motion: NDArray[np.float64]) -> Registration:
    return Registration(motion, similarity(fixed, moving, np.eye(4)), similarity(fixed, moving, motion))


def similarity(fixed: Any, moving: Any, motion: NDArray[np.float64]) -> float:
    """Correlation of two SimpleITK images in the body of the first that the second shows; 0 where there is none."""
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    turned = LPS @ motion @ LPS
    transform.SetMatrix(turned[:3, :3].ravel().tolist())
    transform.SetTranslation(turned[:3, 3].tolist())
    moved = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1000.0))
    still = sitk.GetArrayFromImage(fixed)
    shared = ((still > FOREGROUND) | (moved > FOREGROUND)) & (moved > -999)
    if np.count_nonzero(shared) < 100 or np.ptp(still[shared]) == 0 or np.ptp(moved[shared]) == 0:
        return 0.0
    return float(np.corrcoef(still[shared], moved[shared])[0, 1])


def angle(motion: NDArray[np.float64]) -> float:
    """Of its rotation, in degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1))))


def displacement(motion: NDArray[np.float64], point: NDArray[np.float64]) -> float:
    """Of a point (3,), in mm."""
    moved = motion @ [*point, 1.0]
    return float(np.linalg.norm(moved[:3] - point))


def _step(fixed: SliceStack, moving: SliceStack) -> float:
    """mm of the voxels to register on."""
    longest = float((np.array(fixed.grid.shape) * fixed.grid.spacing).max())
    return max(COARSEST, min(*fixed.grid.spacing, *moving.grid.spacing), longest / MOST_VOXELS)


def _even(stack: SliceStack, step: float) -> tuple[Array, Grid]:
    """A stack on voxels of about `step` mm: averaged where it is finer, a cubic B-spline where it is coarser."""
    from medsr.core.resample import bspline_matrix
    from medsr.degradation.slice_profile import matrix

    values, grid = stack.values, stack.grid
    i, j, k = (max(2, round(n * spacing / step)) for n, spacing in zip(grid.shape, grid.spacing, strict=True))
    for axis, count in enumerate((i, j, k)):
        length = values.shape[axis]
        operator = matrix(length, count) if count < length else bspline_matrix(length, count)
        values = np.moveaxis(np.tensordot(operator.astype(np.float32), values, (1, axis)), 0, axis)
    return np.ascontiguousarray(values), grid.on((i, j, k))


def _image(even: tuple[Array, Grid]) -> Any:
    import SimpleITK as sitk

    values, grid = even
    affine = LPS @ grid.affine
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / grid.spacing).ravel().tolist())
    return image


def _body(image: Any) -> Any:
    """A mask of what is brighter than air, and a little around it."""
    import SimpleITK as sitk

    mask = sitk.BinaryDilate(sitk.Cast(image > FOREGROUND, sitk.sitkUInt8), [2, 2, 2])
    return mask if sitk.GetArrayViewFromImage(mask).any() else sitk.Cast(image > -1e30, sitk.sitkUInt8)


def _centre(mask: Any) -> list[float]:
    import SimpleITK as sitk

    places = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1].mean(axis=0)
    return list(mask.TransformContinuousIndexToPhysicalPoint(places.tolist()))


def _matrix(transform: Any) -> NDArray[np.float64]:
    """(4, 4) RAS of a SimpleITK transform."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, 3] = origin
    result: NDArray[np.float64] = LPS @ matrix @ LPS
    return result
