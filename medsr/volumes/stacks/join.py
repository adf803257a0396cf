"""Several scans of one body part into one volume: registered, refined, averaged, and made to agree with all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsr.core import memory
from medsr.core.errors import MemoryExhaustedError
from medsr.core.geometry import Grid
from medsr.core.types import Array, OnProgress
from medsr.io.volumes.base import Volume, slice_axis
from medsr.volumes.choose_model import ResolvedRequest
from medsr.volumes.orientation import Canonical
from medsr.volumes.stacks import grids, prepare
from medsr.volumes.stacks.acquired import StackModel
from medsr.volumes.stacks.joined import JoinedScan, JoinedStack, NamedVolume
from medsr.volumes.stacks.on_grid import interpolated, weight
from medsr.volumes.stacks.registration import angle, displacement
from medsr.volumes.stacks.request import JoinRequest
from medsr.volumes.stacks.result_grid import ResultGrid
from medsr.volumes.stacks.setup import JoinSetup, set_up
from medsr.volumes.stacks.solve import ERROR_SHARES, ROUNDS, Problem, StackTerm
from medsr.volumes.stacks.start import Start, combine, refined, slices_to_run
from medsr.volumes.stacks.summary import disagreements, summary_of, warnings_of

BYTES = 80
"""Of memory, for every voxel of the common grid."""


def join(
    scans: Sequence[NamedVolume],
    resolved: Sequence[ResolvedRequest],
    joining: JoinRequest = JoinRequest(),
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
    request = resolved[0].request
    prepare.check(scans, request)
    warnings: list[str] = []
    on_progress(0, len(scans), "scans registered")
    setup = set_up(scans, request, joining, like, motions, warnings.append)
    _check_memory(setup.common)
    models = [
        StackModel(stack, setup.common, motion)
        for stack, motion in zip(setup.stacks, setup.alignment.motions, strict=True)
    ]
    start = _start(setup, resolved, request.method.uncertainty, on_progress)
    terms = [
        StackTerm(model, _weights(model, volume), model.stack.noise)
        for model, (_, volume) in zip(models, scans, strict=True)
    ]
    problem = Problem(terms, grids.window(setup.common.shape))
    before = [term.rms(residual) for term, residual in zip(terms, problem.residuals(start.mean), strict=True)]
    rounds = 0

    def on_round() -> None:
        nonlocal rounds
        rounds += 1
        on_progress(rounds, len(ERROR_SHARES) * ROUNDS, "rounds of agreeing with all scans")

    joint = problem.solve(start.mean, on_round) if request.method.consistency else start.mean
    after = [term.rms(residual) for term, residual in zip(terms, problem.residuals(joint), strict=True)]
    _restore_constant(joint, setup)
    first = scans[0][1]
    result = ResultGrid(setup.common, setup.grid, setup.window, first, like)
    stacks = _figures(setup, scans, terms, (before, after), result)
    warnings += warnings_of(scans, resolved, start.covering[result.part], setup.grid) + disagreements(stacks)
    joined = JoinedScan(
        result.volume(joint, start.covering),
        result.counts(start.covering) if request.method.uncertainty else None,
        None if start.spread is None else result.spread(start.spread),
        stacks,
        {},
        warnings,
    )
    joined.summary = summary_of(joined, scans, resolved[0], joining, began)
    return joined


def _start(setup: JoinSetup, resolved: Sequence[ResolvedRequest], spread: bool, on_progress: OnProgress) -> Start:
    step, done = setup.common.spacing[0], 0
    total = sum(slices_to_run(stack, step) for stack in setup.stacks)

    def on_slices(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total, "slices")

    refined_stacks = (
        refined(stack, step, choice.engine, choice.request.method, on_slices)
        for stack, choice in zip(setup.stacks, resolved, strict=True)
    )
    return combine(setup.stacks, setup.alignment.motions, setup.common, refined_stacks, spread)


def _weights(model: StackModel, volume: Volume) -> Array:
    """How much each voxel of a stack counts: less near its border, and nothing where the common grid does not hold it
    whole or the header declares background."""
    weights = weight(model.stack.grid, model.stack.grid, np.eye(4))
    weights *= model.sees(grids.inner(model.common))
    if volume.background is not None:
        weights *= ~Canonical(volume).view(volume.background, 0)
    return weights


def _restore_constant(joint: Array, setup: JoinSetup) -> None:
    """Where nothing varies in any scan, nothing is to be made up: the scan's own value."""
    mask = np.ones(joint.shape, bool)
    for stack, motion in zip(setup.stacks, setup.alignment.motions, strict=True):
        mask &= prepare.constant(stack, setup.common, motion)
        if not mask.any():
            return
    for stack, motion in reversed(list(zip(setup.stacks, setup.alignment.motions, strict=True))):
        nearest, covers = prepare.nearest(stack, setup.common, motion)
        np.copyto(joint, nearest, where=mask & covers)


def _figures(
    setup: JoinSetup,
    scans: Sequence[NamedVolume],
    terms: Sequence[StackTerm],
    residuals: tuple[list[float], list[float]],
    result: ResultGrid,
) -> list[JoinedStack]:
    grid, alignment = setup.stacks[0].grid, setup.alignment
    middle = (grid.affine @ [*((n - 1) / 2 for n in grid.shape), 1.0])[:3]
    evidence = [
        float(term.weights.sum()) / max(residual, 1e-6) ** 2 for term, residual in zip(terms, residuals[1], strict=True)
    ]
    stacks = []
    for n, (stack, (name, volume)) in enumerate(zip(setup.stacks, scans, strict=True)):
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
                stack.grid.spacing[stack.through],
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


def _check_memory(common: Grid) -> None:
    needed, free = float(np.prod(common.shape)) * BYTES, memory.free()
    if needed > free:
        dims = " x ".join(map(str, common.shape))
        raise MemoryExhaustedError(
            f"putting scans together on {dims} voxels needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "ask for a coarser `spacing`"
        )
