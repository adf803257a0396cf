"""The two grids of a NIfTI header, sform and qform: whether they agree, and which of them is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io.volumes.base import REPAIR, Form

WITHIN = 0.01
"""Voxel sizes and directions (of unit vectors) that differ by no more count as equal."""
POSITION_WITHIN = 0.1
"""Origins may lie so far apart, in voxels: half a voxel is the usual mistake."""
LARGEST_VOXEL = 100.0
"""mm: no scan has coarser voxels, so metres were meant to be something else."""
_METRES = {"meter": 1000.0, "micron": 0.001}


@dataclass(frozen=True, eq=False)
class Forms:
    """What is taken of a header. `header`: with the form that was not asked for marked as not valid.

    `affine`: (4, 4), index to mm. `notes`: what the user should know.
    """

    header: Any
    affine: NDArray[np.float64]
    notes: tuple[str, ...]


def resolve(header: Any, pixdim: NDArray[np.float64], form: Form | None) -> Forms:
    """Choose between sform and qform. `pixdim`: the three voxel sizes as the file has them, `form`: which is right.

    The sform is taken where both agree; a shear, which no qform can hold, is no disagreement, nor is another position
    in another space (scanner and template: the codes differ). Raises InputError where they disagree and `form` is None.
    """
    qcode, scode = int(header["qform_code"]), int(header["sform_code"])
    notes: tuple[str, ...] = ()
    chosen = header.copy()
    sform = np.asarray(header.get_sform(), float)
    qform = _qform(header) if qcode > 0 else None
    if scode <= 0:
        trouble = "" if is_singular(sform) else _trouble(sform, qform, pixdim, same_space=True)
        if form == "sform" and trouble:
            raise InputError(
                "the header marks its sform as not valid (code 0), and it differs; leave `affine=sform` out"
            )
        if qcode > 0:
            notes += (f"the sform is marked as not valid (code 0): the qform is taken; {trouble}",) if trouble else ()
        else:
            notes += ("the header states no orientation (qform and sform code 0): taken as left, anterior, superior",)
        if qcode > 0 and qform is None:
            raise InputError("the quaternion of its qform is damaged; correct the header")
        return Forms(chosen, _scaled(header, chosen.get_best_affine()), notes + _unit_note(header))
    if qcode > 0 and qform is None:
        trouble = "the quaternion of the qform is damaged"
    else:
        trouble = _trouble(sform, qform, pixdim, same_space=qcode == scode)
    if not trouble:
        if qform is not None and (difference := _difference(sform, qform)):
            notes += (f"sform and qform lie in different spaces ({difference}): the sform is taken",)
        if is_sheared(sform):
            notes += ("the sform is sheared, which a qform cannot hold: the sform is taken",)
    elif form is None:
        raise InputError(f"{trouble}{REPAIR}say which is right by `affine=sform` or `affine=qform`")
    if form == "qform" and (trouble or (qform is not None and _difference(sform, qform))):
        if not _positive(pixdim) or (qcode > 0 and qform is None):
            raise InputError("its qform gives no voxel size or direction; only `affine=sform` is possible")
        chosen["sform_code"] = 0
        notes = (f"the qform is taken as asked for; the sform is marked as not valid (code 0); {trouble}".rstrip("; "),)
        if qcode <= 0:
            notes += ("no qform states the orientation (code 0): axes taken as left, anterior, superior",)
    elif form == "sform" and trouble:
        if is_singular(sform):
            raise InputError("its sform is singular: its axes lie in one plane; only `affine=qform` is possible")
        chosen["qform_code"] = 0
        chosen["pixdim"][1:4] = _steps(sform)
        notes = (f"the sform is taken as asked for; the qform is marked as not valid (code 0); {trouble}",)
    return Forms(chosen, _scaled(header, chosen.get_best_affine()), notes + _unit_note(header))


def unit_scale(header: Any) -> float:
    """Millimetres in one unit of the header's lengths."""
    return _METRES.get(_unit(header), 1.0)


def is_singular(affine: NDArray[np.float64]) -> bool:
    """Whether it gives voxels no place: not finite, a size of 0, axes in one plane."""
    steps = _steps(affine)
    if not np.isfinite(affine).all() or steps.min() <= 0:
        return True
    return bool(abs(np.linalg.det(affine[:3, :3] / steps)) < 1e-3)


def is_sheared(affine: NDArray[np.float64]) -> bool:
    """Whether its axes are not perpendicular, which no qform can hold."""
    directions = affine[:3, :3] / _steps(affine)
    return not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)


def _unit(header: Any) -> str:
    code = int(header["xyzt_units"]) & 7
    return {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}.get(code, f"unit {code}")


def _unit_note(header: Any) -> tuple[str, ...]:
    unit = _unit(header)
    if unit in ("mm", "unknown"):
        return ()
    if unit in _METRES:
        return (f"the header gives lengths in {unit}s: converted to mm",)
    return (f"the header gives lengths in {unit}, which NIfTI does not define: taken as mm",)


def _scaled(header: Any, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = unit_scale(header)
    scaled = np.diag([scale, scale, scale, 1.0]) @ np.asarray(affine, float)
    if scale > 1 and _steps(scaled).max() > LARGEST_VOXEL:
        raise InputError(f"the header gives voxels of {_text(_steps(scaled))} mm in metres; correct its xyzt_units")
    return scaled


def _qform(header: Any) -> NDArray[np.float64] | None:
    """(4, 4), or None for a quaternion that is not one."""
    from nibabel.spatialimages import HeaderDataError

    try:
        qform = np.asarray(header.get_qform(), float)
    except (HeaderDataError, ValueError):
        return None
    return qform if np.isfinite(qform).all() else None


def _trouble(
    sform: NDArray[np.float64], qform: NDArray[np.float64] | None, pixdim: NDArray[np.float64], same_space: bool
) -> str:
    """What cannot be right in words, or nothing. `qform`: None where the header states only voxel sizes."""
    if is_singular(sform):
        return "the sform is singular: its axes lie in one plane or have no length"
    steps = _steps(sform)
    if not _positive(pixdim) or np.abs(steps / pixdim - 1).max() > WITHIN:
        return f"sform and qform (pixdim) disagree: voxel sizes {_text(steps)} and {_text(pixdim)}"
    if qform is None:
        return ""
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        return "sform and qform disagree: one is the mirror image of the other (left and right)"
    difference = _difference(sform, qform)
    return f"sform and qform disagree: {difference}" if same_space and difference else ""


def _difference(sform: NDArray[np.float64], qform: NDArray[np.float64]) -> str:
    """How directions or origins differ, in words. A qform may be the rotation nearest to a sheared sform."""
    sform_axes, qform_axes = sform[:3, :3] / _steps(sform), qform[:3, :3] / _steps(qform)
    left, _, right = np.linalg.svd(sform_axes)
    off = min(float(np.sqrt(((axes - qform_axes) ** 2).sum(axis=0)).max()) for axes in (sform_axes, left @ right))
    if off > WITHIN:
        return f"their axes differ by up to {np.degrees(2 * np.arcsin(min(1.0, off / 2))):.3g} degrees"
    apart = float(np.linalg.norm(sform[:3, 3] - qform[:3, 3]))
    return f"their origins lie {apart:.3g} mm apart" if apart > POSITION_WITHIN * _steps(qform).min() else ""


def _positive(pixdim: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(pixdim).all() and pixdim.min() > 0)


def _steps(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))


def _text(steps: NDArray[np.float64]) -> str:
    return " x ".join(f"{step:.4g}" for step in steps)
