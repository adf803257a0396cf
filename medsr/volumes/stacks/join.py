"""Several scans of one body part into one volume: registered, refined, averaged, and made to agree with all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import MemoryExhaustedError
from medsr.core.geometry import Grid
from medsr.core.intensity import Window
from medsr.core.types import Array, OnProgress
from medsr.io.volumes.base import Volume, slice_axis
from medsr.volumes.choose_model import ResolvedRequest
from medsr.volumes.orientation import Canonical
from medsr.volumes.stacks import grids, prepare
from medsr.volumes.stacks.acquired import Stack, StackModel
from medsr.volumes.stacks.align import Alignment, align
from medsr.volumes.stacks.joined import JoinedScan, JoinedStack, NamedVolume
from medsr.volumes.stacks.place import interpolated, weight
from medsr.volumes.stacks.registration import angle, displacement
from medsr.volumes.stacks.request import JoinRequest
from medsr.volumes.stacks.solve import BELIEVED, ROUNDS, Data, Problem
from medsr.volumes.stacks.start import Start, combine, refined, slices_to_run
from medsr.volumes.stacks.summary import summary_of, warnings_of

BYTES = 72
"""Of memory, for every voxel of the common grid."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What is put together: `stacks` in unit values of the first one, how they lie, and the grids.

    `grid`: of the result, `common`: the same with a margin. `window`: of the values that the first scan means.
    """

    stacks: list[Stack]
    alignment: Alignment
    window: Window
    grid: Grid
    common: Grid


def join(
    scans: Sequence[NamedVolume],
    resolved: Sequence[ResolvedRequest],
    request: JoinRequest = JoinRequest(),
    like: Volume | None = None,
    motions: Sequence[NDArray[np.float64]] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> JoinedScan:
    """Put scans of the same contrast together.

    `resolved`: how each is to be refined (all from one request). `like`: a volume whose grid the result gets.
    `motions`: known ones, (4, 4) mm as `JoinedStack.motion`; None: looked for as the request says.

    Raises UsageError or InputError for what does not belong together, MemoryExhaustedError for what would not fit.
    """
    began = time.monotonic()
    asked = resolved[0].request
    prepare.check(scans, asked)
    warnings: list[str] = []
    on_progress(0, len(scans), "scans registered")
    setting = _setting(scans, resolved, request, like, motions, warnings)
    _check_memory(setting.common)
    models = [
        StackModel(stack, setting.common, motion)
        for stack, motion in zip(setting.stacks, setting.alignment.motions, strict=True)
    ]
    start = _start(setting, resolved, asked.method.uncertainty, on_progress)
    data = [
        Data(model, _counts(model, volume), model.stack.noise) for model, (_, volume) in zip(models, scans, strict=True)
    ]
    problem = Problem(data, grids.window(setting.common.shape))
    before = [part.rms(residual) for part, residual in zip(data, problem.residuals(start.mean), strict=True)]
    rounds = 0

    def on_round() -> None:
        nonlocal rounds
        rounds += 1
        on_progress(rounds, len(BELIEVED) * ROUNDS, "rounds of agreeing with all scans")

    joint = problem.solve(start.mean, on_round) if asked.method.consistency else start.mean
    after = [part.rms(residual) for part, residual in zip(data, problem.residuals(joint), strict=True)]
    _restore_constant(joint, setting)
    first = scans[0][1]
    result = Result(setting, first, like)
    stacks = _figures(setting, scans, data, (before, after), result)
    warnings += warnings_of(scans, resolved, [start.covering[result.part]], setting.grid)
    joined = JoinedScan(
        result.volume(_uncovered(joint, start, setting, first)),
        result.map(start.covering.astype(np.float32), np.uint8) if asked.method.uncertainty else None,
        None if start.spread is None else result.spread(start.spread),
        stacks,
        {},
        warnings,
    )
    joined.summary = summary_of(joined, scans, resolved[0], request, began)
    return joined


def _setting(
    scans: Sequence[NamedVolume],
    resolved: Sequence[ResolvedRequest],
    request: JoinRequest,
    like: Volume | None,
    motions: Sequence[NDArray[np.float64]] | None,
    warnings: list[str],
) -> Setting:
    asked = resolved[0].request
    values = [prepare.values_of(volume) for _, volume in scans]
    own = [prepare.own_stack(name, volume, part, asked) for (name, volume), part in zip(scans, values, strict=True)]
    alignment = align(own, values, request, motions, warnings.append)
    window = Window.of_values(values[0])
    stacks = [
        prepare.in_units_of_first(stack, part, window, match)
        for stack, part, match in zip(own, values, alignment.matches, strict=True)
    ]
    if like is None:
        step = grids.step_of(asked.spacing, prepare.finest_in_plane(stacks))
        even = grids.even(stacks[0].grid, step)
        grid = grids.extended(even, [stack.grid for stack in stacks], alignment.motions, request.extent)
    else:
        reference = prepare.canonical_grid(like)
        grid = grids.even(reference, min(reference.spacing))
    return Setting(stacks, alignment, window, grid, grids.with_margin(grid))


def _start(setting: Setting, resolved: Sequence[ResolvedRequest], spread: bool, on_progress: OnProgress) -> Start:
    step, done = setting.common.spacing[0], 0
    total = sum(
        slices_to_run(stack, step, one.request.method) for stack, one in zip(setting.stacks, resolved, strict=True)
    )
    engines = {id(stack): one for stack, one in zip(setting.stacks, resolved, strict=True)}

    def on_slices(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total, "slices")

    def make(stack: Stack) -> tuple[Array, Grid]:
        one = engines[id(stack)]
        return refined(stack, step, one.engine, one.request.method, on_slices)

    return combine(setting.stacks, setting.alignment.motions, setting.common, make, spread)


def _counts(model: StackModel, volume: Volume) -> Array:
    """How much each voxel of a stack counts: less near its border, and nothing where the common grid does not hold it
    whole or the header declares background."""
    counts = weight(model.stack.grid, model.stack.grid, np.eye(4))
    counts *= model.sees(grids.inner(model.common))
    if volume.background is not None:
        counts *= ~Canonical(volume).view(volume.background, 0)
    return counts


def _restore_constant(joint: Array, setting: Setting) -> None:
    """Where nothing varies in any scan, nothing is to be made up: the scan's own value."""
    mask = np.ones(joint.shape, bool)
    for stack, motion in zip(setting.stacks, setting.alignment.motions, strict=True):
        mask &= prepare.constant(stack, setting.common, motion)
        if not mask.any():
            return
    for stack, motion in reversed(list(zip(setting.stacks, setting.alignment.motions, strict=True))):
        nearest, covers = prepare.nearest(stack, setting.common, motion)
        np.copyto(joint, nearest, where=mask & covers)


def _uncovered(joint: Array, start: Start, setting: Setting, first: Volume) -> Array:
    """What no scan shows means 0, or the least that the data type can hold."""
    outside = start.covering == 0
    if outside.any():
        joint[outside] = setting.window.to_unit(np.zeros(1))[0]
    return joint


def _figures(
    setting: Setting,
    scans: Sequence[NamedVolume],
    data: Sequence[Data],
    residuals: tuple[list[float], list[float]],
    result: Result,
) -> list[JoinedStack]:
    grid, alignment = setting.stacks[0].grid, setting.alignment
    middle = (grid.affine @ [*((n - 1) / 2 for n in grid.shape), 1.0])[:3]
    evidence = [
        float(part.counts.sum()) / max(residual, 1e-6) ** 2 for part, residual in zip(data, residuals[1], strict=True)
    ]
    stacks = []
    for n, (stack, (name, volume)) in enumerate(zip(setting.stacks, scans, strict=True)):
        motion, registration, match = alignment.motions[n], alignment.registrations[n], alignment.matches[n]
        stacks.append(
            JoinedStack(
                name,
                motion,
                displacement(motion, middle),
                angle(motion),
                None if registration is None else registration.before,
                None if registration is None else registration.after,
                match.gain,
                match.offset,
                stack.thickness,
                volume.grid.spacing,
                volume.grid.planes[slice_axis(volume)],
                100 * residuals[0][n],
                100 * residuals[1][n],
                100 * stack.noise,
                evidence[n] / max(sum(evidence), 1e-12),
                result.stored(interpolated(stack.values, stack.grid, result.grid, motion)),
            )
        )
    return stacks


class Result:
    """Turns arrays on the common grid into volumes like the first scan, in the order of its axes, or of `like`'s."""

    def __init__(self, setting: Setting, first: Volume, like: Volume | None) -> None:
        self.first, self.window, self.like = first, setting.window, like
        self.turn = Canonical(first if like is None else like)
        self.part = tuple(slice(grids.MARGIN, grids.MARGIN + n) for n in setting.grid.shape)
        self.grid = setting.grid
        self.model: StackModel | None = None
        if like is not None:
            target = prepare.canonical_grid(like)
            through = int(np.argmax(target.spacing))
            stack = Stack("", np.empty(0, np.float32), target, through, target.spacing[through])
            self.model = StackModel(stack, setting.grid, np.eye(4))
            self.grid = target

    def volume(self, joint: Array) -> Volume:
        """Unit values on the common grid, as stored values."""
        limits = prepare.limits_of(self.first.stored.dtype)
        low, high = ((value - self.first.intercept) / self.first.slope for value in (self.window.low, self.window.high))
        stored = Window(low, high, *limits).to_stored(self._cut(joint), self.first.stored.dtype)
        return replace(self._bare(stored), slope=self.first.slope, intercept=self.first.intercept)

    def stored(self, unit: Array) -> Array:
        """Unit values on the result's grid as the first scan's stored values, float32 and not rounded."""
        meaning = unit * np.float32(self.window.high - self.window.low) + np.float32(self.window.low)
        return self.turn.back((meaning - np.float32(self.first.intercept)) / np.float32(self.first.slope))

    def spread(self, spread: Array) -> Volume:
        """A deviation in unit values, in the first scan's own units."""
        return self._bare(self._cut(spread) * np.float32(self.window.high - self.window.low))

    def map(self, values: Array, dtype: type) -> Volume:
        """A map of whole numbers."""
        return self._bare(np.rint(self._cut(values)).astype(dtype))

    def _cut(self, values: Array) -> Array:
        inner = np.ascontiguousarray(values[self.part])
        return inner if self.model is None else self.model.acquire(inner)

    def _bare(self, canonical: NDArray) -> Volume:
        """A volume on the result's grid, in the axes' order of its file."""
        stored = np.asfortranarray(self.turn.back(canonical))
        return replace(
            self.first,
            stored=stored,
            affine=prepare.affine_in_order(self.grid, self.turn),
            slope=1.0,
            intercept=0.0,
            background=None,
        )


def _check_memory(common: Grid) -> None:
    import psutil

    needed, free = float(np.prod(common.shape)) * BYTES, psutil.virtual_memory().available
    if needed > free:
        dims = " x ".join(map(str, common.shape))
        raise MemoryExhaustedError(
            f"putting scans together on {dims} voxels needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "ask for a coarser `spacing`"
        )
