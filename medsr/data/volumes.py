"""Training slices and held-out slices from folders of isotropic volumes (P2)."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.data import manifest
from medsr.data.masks import MASK, is_mask
from medsr.data.own_outputs import part_own
from medsr.data.sources import DataSplit, folder_of, held_out_of, real
from medsr.io import scans
from medsr.io.volumes import volume as volume_io
from medsr.io.wrong_kind import IMAGES, holds_images
from medsr.recipe import Data, Recipe

ISOTROPIC_WITHIN = 1.25
"""A volume whose spacings differ by more is no ground truth for its own coarse axis."""
FOREGROUND = 0.05
"""Unit value from which a voxel counts as foreground."""
MARGIN = 8


@dataclass(frozen=True)
class VolumeSource:
    """One ground-truth volume."""

    path: Path
    spacing: tuple[float, float, float]


def split(data: Data, side: int, seed: int, kept: Collection[Path] | None = None) -> DataSplit:
    """Look at every volume below `data.train`, set the held-out ones apart, as `sources.split` does with images.

    Raises UsageError when none remains.
    """
    folder = folder_of(data.train, "data.train")
    sources: dict[Path, VolumeSource] = {}
    part = {folder / row.file: row.part for row in manifest.read(folder) or () if row.file and row.role == "image"}
    paths, left_out = scans.paths_below(folder, data.pattern, results=True)
    skipped: list[tuple[Path, str]] = [(folder, left_out)] if left_out else []
    if not part:
        paths, outputs = part_own(folder, paths)
        skipped += outputs
    for path in paths:
        if part and part.get(path, "test") == "test":  # a prepared set: neither its test part nor its masks
            continue
        try:
            volume = volume_io.read(path)
        except InputError as error:
            skipped.append((path, str(error)))
            continue
        spacing = volume.grid.spacing
        if max(spacing) / min(spacing) > ISOTROPIC_WITHIN:
            skipped.append((path, "its voxels are not isotropic: " + " x ".join(f"{s:.3g}" for s in spacing) + " mm"))
        elif not part and not data.keep_masks and is_mask(_first(volume.stored)):
            skipped.append((path, MASK))
        elif min(volume.stored.shape[:3]) < side:
            skipped.append((path, f"smaller than the {side}-voxel crop"))
        else:
            sources[path] = VolumeSource(path, spacing)
    if not sources:
        if not paths and holds_images(folder):
            raise UsageError(f"{folder}: {IMAGES}a recipe that trains on images, such as medsr finetune retina_compact")
        reason = f" ({len(skipped)} unusable, the first: {skipped[0][1]})" if skipped else ""
        raise UsageError(f"{folder}: no isotropic volume to train on{reason}")
    set_apart = [path for path in sources if part.get(path) == "validation"]
    elsewhere = isinstance(data.validation, str) and Path(data.validation).is_dir()
    if set_apart and not elsewhere and kept is None:
        held_out = set_apart
    else:
        held_out = held_out_of(data, folder, list(sources), seed, kept, lambda other: scans.paths_below(other)[0])
    held_out_paths = real(held_out)
    train = tuple(source for path, source in sources.items() if os.path.realpath(path) not in held_out_paths)
    if not train:
        raise UsageError(f"{folder}: all {len(held_out)} volumes are held out, none is left to train on")
    return DataSplit(train, tuple(held_out), tuple(skipped))


def _first(stored: NDArray) -> NDArray:
    return stored.reshape(*stored.shape[:3], -1)[..., 0]


def domain(recipe: Recipe, train: tuple[VolumeSource, ...]) -> dict[str, Any]:
    """What a network trained by that recipe on these volumes is made for."""
    spacings = [step for source in train for step in source.spacing]
    factors = recipe.thick_slices.factors if recipe.thick_slices else ()
    fine = [round(min(spacings), 3), round(max(spacings), 3)]
    return {"modality": recipe.data.modality, "spacing": fine, "factors": list(factors)}


def unit_of(stored: NDArray) -> tuple[Array, Window]:
    """A volume's stored values to float32, its 0.5 and 99.5 percentiles to 0 and 1; and the window that did it."""
    window = Window.of_values(stored)
    return window.to_unit(stored), window


def load(path: Path, smallest: int = 100) -> Array:
    """The first volume of a file, in unit values, cut as by `foreground`."""
    volume = volume_io.read(path)
    return foreground(unit_of(_first(volume.stored))[0], smallest)


def foreground(unit: Array, smallest: int = 100) -> Array:
    """The box around the foreground with a margin, no side shorter than `smallest` where the volume allows it."""
    from monai.transforms.utils import generate_spatial_bounding_box

    box = generate_spatial_bounding_box(unit[None], lambda values: values > FOREGROUND, margin=MARGIN)
    places = []
    for start, stop, length in zip(*box, unit.shape, strict=True):
        if start >= stop:  # nothing lies above the threshold
            start, stop = 0, length
        half, middle = max(stop - start, smallest) / 2, (start + stop) / 2
        first, last = int(middle - half), int(np.ceil(middle + half))
        first, last = first + max(0, -first), last + max(0, -first)  # what lies at an edge grows away from it
        first, last = first - max(0, last - length), last - max(0, last - length)
        places.append(slice(max(0, first), last))
    return np.ascontiguousarray(unit[tuple(places)])
