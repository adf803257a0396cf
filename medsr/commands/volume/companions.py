"""Files that go with a scan (`--also`): masks and other images, brought onto its new grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from medsr.commands.volume.files import Target
from medsr.core.errors import InputError
from medsr.core.geometry import Grid
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.volumes import labels
from medsr.volumes.background import filled


def check(paths: Target, scan: Volume, companions: list[tuple[Path, Volume]]) -> None:
    """Raise InputError now for what could not be written after hours of work."""
    for path, companion in companions:
        same = _same_grid(companion, scan)
        if companion.volumes > 1 and not (same and labels.is_labels(companion)):
            raise InputError(f"{path}: `also` takes 3D volumes, this has {companion.volumes} time points")
        volume_io.check_writable(paths.companion(path), replace(companion, affine=scan.affine))


def _same_grid(companion: Volume, scan: Volume) -> bool:
    return companion.grid.shape == scan.grid.shape and np.allclose(companion.affine, scan.affine, atol=1e-3)


def resampled_to(companion: Volume, scan: Volume, grid: Grid) -> tuple[Volume, str]:
    """A companion on the scan's new grid, and how it came there."""
    is_labels = labels.is_labels(companion) or companion.wrapped
    how = "image, cubic B-spline" if not is_labels else "labels, nearest neighbour"
    if companion.wrapped:
        how = "phase, nearest neighbour"
    if is_labels and _same_grid(companion, scan):
        return companion.refined(labels.nearest(companion.stored, grid.shape)), how
    stored = companion.stored.reshape(companion.grid.shape)
    if companion.intercept:
        stored = stored * np.float32(companion.slope) + np.float32(companion.intercept)
        companion = replace(companion, slope=1.0, intercept=0.0)  # what lies outside it means 0
    companion = replace(companion, stored=stored)
    moved = labels.resampled_to(stored if is_labels else filled(companion), companion.affine, grid, is_labels)
    if companion.background is not None and not is_labels:
        mask = companion.background.reshape(stored.shape)
        empty = labels.resampled_to(mask.astype(np.uint8), companion.affine, grid, True) > 0
        moved[empty] = labels.resampled_to(stored, companion.affine, grid, True)[empty]
    return Volume(moved, grid.affine, "", companion.slope, companion.intercept), how
