"""Motion and gains of all stacks, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.types import Array, Notify
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.intensities import Match, match
from medsr.volumes.stacks.on_grid import weight
from medsr.volumes.stacks.registration import Registration, angle, as_stated, displacement, register
from medsr.volumes.stacks.request import JoinRequest

LEAST_SIMILAR = 0.6
"""Correlation in the shared body: other contrasts and other bodies stay below."""
LEAST_OVERLAP = 0.1
FARTHEST, WIDEST = 50.0, 30.0
"""mm and degrees: nobody moves more between two scans and stays in the coil."""
WORSE = 0.005
ANYWAY = "`force` does it anyway"


@dataclass(frozen=True, eq=False)
class Alignment:
    """How each stack lies to the first, and how bright it is beside it. The first's registration is None."""

    motions: list[NDArray[np.float64]]
    registrations: list[Registration | None]
    matches: list[Match]


def align(
    stacks: Sequence[SliceStack],
    values: Sequence[Array],
    request: JoinRequest,
    true_motions: Sequence[NDArray[np.float64]] | None,
    warn: Notify,
) -> Alignment:
    """Register every stack to the first and match its gain. `true_motions`: motions that are taken as they are.

    Raises InputError for stacks that do not overlap, do not show the same, or moved more than is plausible; with
    `force` that is a warning.
    """

    def refuse(line: str) -> None:
        if not request.force:
            raise InputError(f"{line}; {ANYWAY}")
        warn(line)

    first = stacks[0]
    motions: list[NDArray[np.float64]] = [np.eye(4)]
    registrations: list[Registration | None] = [None]
    matches = [Match()]
    for number, (stack, stack_values) in enumerate(zip(stacks[1:], values[1:], strict=True), 1):
        overlap = float((weight(stack.grid, first.grid, np.eye(4)) > 0).mean())
        if overlap == 0:
            raise InputError(f"{stack.name}: does not overlap {first.name}, by the positions in their headers")
        if overlap < LEAST_OVERLAP:
            refuse(f"{stack.name}: overlaps only {overlap:.0%} of {first.name}")
        if true_motions is not None:
            registration = as_stated(first, stack, true_motions[number])
        elif request.registration:
            registration = register(first, stack)
        else:
            registration = as_stated(first, stack, np.eye(4))
        if true_motions is None:
            _check(registration, stack, first, refuse)
        motions.append(registration.motion)
        registrations.append(registration)
        grids = (first.grid, stack.grid)
        matches.append(
            match(values[0], stack_values, grids, registration.motion) if request.match_intensities else Match()
        )
    return Alignment(motions, registrations, matches)


def _check(registration: Registration, stack: SliceStack, first: SliceStack, refuse: Notify) -> None:
    centre = (first.grid.affine @ [*((n - 1) / 2 for n in first.grid.shape), 1.0])[:3]
    shift, turn = displacement(registration.motion, centre), angle(registration.motion)
    if registration.after < LEAST_SIMILAR:
        refuse(
            f"{stack.name}: does not show the same as {first.name} (correlation {registration.after:.2f}): "
            "another contrast, or another part of the body"
        )
    if registration.after < registration.before - WORSE:
        refuse(
            f"{stack.name}: registration made it worse "
            f"(correlation {registration.before:.3f} to {registration.after:.3f}); "
            "`registration=False` takes the headers' positions"
        )
    if shift > FARTHEST or turn > WIDEST:
        refuse(f"{stack.name}: would have moved by {shift:.1f} mm and {turn:.1f} degrees, which is not plausible")
