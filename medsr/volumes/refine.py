"""A scan through a 2D network, plane by plane, fused and made consistent with what was acquired (P2, generalised)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from medsr.core.errors import UsageError
from medsr.core.geometry import PLANES, Plane, Shape
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.degradation.slice_profile import Profile
from medsr.volumes import fusion
from medsr.volumes.acquisition import Acquisition, ConstantRegion, slabs, upsampled
from medsr.volumes.back_projection import ResidualStats, back_project, residual
from medsr.volumes.noise import eased, gain, input_operators
from medsr.volumes.plane import FLIPS, PlaneRun
from medsr.volumes.slice_models import InterpolatedSlices, SliceModel

OnSlices = Callable[[int], None]


@dataclass(frozen=True)
class Method:
    """How to refine a volume. `planes` None: those that contain an axis to be refined. `fuse`: one of `fusion.Fuse`, or
    the name or file of a fusion network.

    `profile` and `width` (in slice spacings) say how the scan was acquired across its slices, which is along the axis
    `through` (see `Acquisition`); `noise`, its standard deviation in stored values, None: measured. `uncertainty`: also
    run every slice flipped, and give the spread over planes and flips.
    """

    planes: tuple[Plane, ...] | None = None
    fuse: str = "mean"
    consistency: bool = True
    profile: Profile = "box"
    width: float = 1.0
    uncertainty: bool = False
    through: int | None = None
    noise: float | None = None


@dataclass
class Refined:
    """One refined volume. `stored`: the stored dtype. `spread`: (same shape) float32 in stored units, or None.

    `before` and `after`: what acquiring the result again leaves of the scan unexplained, in stored units: of the
    fused planes, and of what is written; `difference` is the latter voxel by voxel, (coarse shape) float32.
    `clipped`: voxels beyond what the dtype can hold. `noise`: of the scan, its standard deviation in stored units.
    `gain` and `exact_gain`: how many times stronger white noise comes out of the spline that agrees with the scan, and
    of one that would agree exactly.
    """

    stored: NDArray
    before: ResidualStats
    after: ResidualStats
    difference: Array
    spread: Array | None = None
    window: Window | None = field(default=None, repr=False)
    clipped: int = 0
    noise: float = 0.0
    gain: float = 1.0
    exact_gain: float = 1.0


def planes_for(acquisition: Acquisition, method: Method) -> tuple[Plane, ...]:
    """The planes to run, given a volume in canonical order (axes to right, anterior, superior)."""
    if method.planes is not None:
        return method.planes
    return tuple(plane for axis, plane in enumerate(PLANES) if any(a != axis for a in acquisition.refined))


def slices_to_run(acquisition: Acquisition, method: Method) -> int:
    """How many slices the network will see."""
    flips = 4 if method.uncertainty else 1
    return flips * sum(acquisition.fine[PLANES.index(plane)] for plane in planes_for(acquisition, method))


def refine(
    stored: NDArray,
    fine: Shape,
    model: SliceModel | None,
    method: Method,
    on_slices: OnSlices = lambda _: None,
    out: NDArray | None = None,
) -> Refined:
    """Super-resolve one volume, (i, j, k) in canonical order and stored values, onto `fine` voxels over its box.

    `model` None: plain cubic B-spline. An axis that gets fewer voxels is averaged first. The result is equivariant:
    a scan times two plus ten comes out times two plus ten, but for rounding to the stored dtype. `out`: where to put
    it, (fine) of the stored dtype, so that a series needs no copy.
    """
    with _blas().limit(limits=1, user_api="blas"):  # it adds in another order with every number of threads
        return _refine(stored, fine, model, method, on_slices, out)


@lru_cache(1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _refine(
    stored: NDArray, fine: Shape, model: SliceModel | None, method: Method, on_slices: OnSlices, out: NDArray | None
) -> Refined:
    stored = reduced(stored, fine)
    coarse: Shape = stored.shape  # type: ignore[assignment]
    exact = Acquisition(coarse, fine, method.profile, method.width, method.through)
    window = Window.of_values(stored)
    normalised = np.empty(coarse, np.float32)
    for part in slabs(coarse):
        normalised[part] = window.to_unit(stored[part])
    intensity_range = window.high - window.low
    acquisition, noise = eased(exact, normalised, stored, intensity_range, method.noise)
    constant = ConstantRegion(stored, acquisition)
    spread = fusion.UncertaintyAccumulator(fine) if method.uncertainty and model is not None else None
    if model is None:
        fused = _interpolated(normalised, acquisition)
    else:
        # Weighing asks how well a plane agrees around a voxel, constant ones included: nothing is left out for it.
        skip_mask = None if method.fuse == "weighted" else constant
        fused = _through_planes(normalised, acquisition, model, method, spread, on_slices, skip_mask)
    deviation = spread.deviation() if spread else None
    del spread
    for part in slabs(fine):
        constant.restore(fused[part], normalised, part)
    if model is not None and method.consistency:
        before = back_project(fused, normalised, acquisition, constant).times(intensity_range)
    else:
        before = ResidualStats.of(residual(fused, normalised, acquisition), intensity_range)
    del normalised
    result = np.empty(fine, stored.dtype) if out is None else out
    clipped = _store(fused, window, stored, constant, result)
    del fused
    difference = residual(result, stored, acquisition, window)
    after = ResidualStats.of(difference, intensity_range)
    difference *= np.float32(intensity_range)
    if deviation is not None:
        deviation *= np.float32(intensity_range)
        for part in slabs(fine):
            constant.silence(deviation[part], part)
    gains = (1.0, 1.0) if model is None else (gain(acquisition)[0], gain(exact)[0])
    return Refined(result, before, after, difference, deviation, window, clipped, noise.level * intensity_range, *gains)


def _through_planes(
    normalised: Array,
    acquisition: Acquisition,
    model: SliceModel,
    method: Method,
    spread: fusion.UncertaintyAccumulator | None,
    on_slices: OnSlices,
    skip_mask: ConstantRegion | None,
) -> Array:
    # Planes that no network has touched are alike: there is nothing to be learned from what they differ in.
    if isinstance(model, InterpolatedSlices):
        fused = fusion.make("mean", normalised, acquisition)
    else:
        engine = "torch" if model.engine_name == "torch" else "auto"
        fused = fusion.make(method.fuse, normalised, acquisition, engine)
    corrected = method.consistency and not isinstance(model, InterpolatedSlices)
    operators = input_operators(acquisition) if corrected else acquisition.consistent()
    for plane in planes_for(acquisition, method):
        for slices in PlaneRun(plane, normalised, acquisition, operators, model, skip_mask, spread is not None).run():
            if spread:
                spread.add(slices.index, slices.samples)
            fused.add(slices.index, slices.samples[0])  # the flips only tell: asking for uncertainty changes no voxel
            on_slices((slices.part.stop - slices.part.start) * len(slices.samples))
        fused.end_plane()
        if spread:
            spread.end_plane(len(FLIPS))
    result: Array = fused.result()
    return result


def _interpolated(normalised: Array, acquisition: Acquisition) -> Array:
    fused, operators = np.empty(acquisition.fine, np.float32), acquisition.plain()
    for part in slabs(acquisition.fine):
        fused[part] = upsampled(normalised, operators, part)
    return fused


def _store(fused: Array, window: Window, stored: NDArray, constant: ConstantRegion, result: NDArray) -> int:
    """Fill `result` with stored values; returns how many were clipped."""
    clipped = 0
    half = (0.5 if stored.dtype.kind in "iu" else 0.0) / (window.high - window.low)
    with np.errstate(over="ignore"):  # of a float's own limits infinity is made: nothing lies beyond
        limits = window.to_unit(np.array([window.store_low, window.store_high])) + np.array([-half, half], np.float32)
    for part in slabs(fused.shape):
        clipped += int(np.count_nonzero((fused[part] < limits[0]) | (fused[part] > limits[1])))
        result[part] = window.to_stored(fused[part], stored.dtype)
        constant.restore(result[part], stored, part)
    return clipped


def reduced(stored: NDArray, fine: Shape) -> NDArray:
    """Axes that get fewer voxels than they have, averaged to that many: what is fine enough is not refined."""
    from medsr.degradation.slice_profile import matrix

    result: NDArray = stored
    for axis in range(3):
        if fine[axis] < stored.shape[axis]:
            operator = matrix(stored.shape[axis], fine[axis]).astype(np.float32)
            moved = np.tensordot(operator, result.astype(np.float32), (1, axis))
            result = np.moveaxis(moved, 0, axis)
    if result is stored:
        return stored
    return np.rint(result).astype(stored.dtype) if stored.dtype.kind in "iu" else result.astype(stored.dtype)


def check_fusion(method: Method, acquisition: Acquisition) -> None:
    """Raise UsageError where a fusion network is asked for, and there are not two planes through one thick axis."""
    if method.fuse in get_args(fusion.Fuse)[:-1]:
        return
    axes = len(acquisition.refined)
    if axes != 1:
        raise UsageError(f"`fuse={method.fuse}`: is for scans that are thick along one axis; {axes} are refined here")
    if set(planes_for(acquisition, method)) != set(planes_for(acquisition, Method())):
        raise UsageError(f"`fuse={method.fuse}`: takes both planes that hold the thick axis; leave `planes` out")


def check_planes(planes: tuple[Plane, ...] | None, acquisition: Acquisition) -> None:
    """Raise UsageError when none of the planes asked for contains an axis that is refined."""
    if planes is None:
        return
    useful = planes_for(acquisition, Method())
    if not set(planes) & set(useful):
        raise UsageError(f"`planes={','.join(planes)}`: holds no axis to be refined; of use here: {', '.join(useful)}")
