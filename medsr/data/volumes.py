"""Training slices and held-out slices from folders of isotropic volumes (P2)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsr.data import manifest
from medsr.data.crops import bright_enough
from medsr.data.sources import Split, folder_of, held_out_of
from medsr.data.streams import stream
from medsr.errors import InputError, UsageError
from medsr.intensity import Window
from medsr.io import volume as volume_io
from medsr.recipe import Data, Jitter, Recipe

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]
ISOTROPIC_WITHIN = 1.25
"""A volume whose spacings differ by more is no ground truth for its own coarse axis."""
FOREGROUND = 0.05
"""Unit value from which a voxel counts as foreground."""
MARGIN = 8
PAIRINGS = tuple((normal, rows) for normal in range(3) for rows in range(3) if normal != rows)
"""Which axis a slice is perpendicular to, and which of its axes is made thick: P2's six."""


@dataclass(frozen=True)
class VolumeSource:
    """One ground-truth volume."""

    path: Path
    spacing: tuple[float, float, float]


def split(data: Data, side: int, seed: int) -> Split:
    """Look at every volume below `data.train`, set the held-out ones apart. Raises UsageError when none remains."""
    folder = folder_of(data.train, "data.train")
    sources: dict[Path, VolumeSource] = {}
    skipped: list[tuple[Path, str]] = []
    part = {folder / row.file: row.part for row in manifest.read(folder) or () if row.file and row.role == "image"}
    for path in sorted(folder.rglob(data.pattern)):
        if not path.is_file() or not volume_io.is_volume(path):
            continue
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
        elif min(volume.stored.shape[:3]) < side:
            skipped.append((path, f"smaller than the {side}-voxel crop"))
        else:
            sources[path] = VolumeSource(path, spacing)
    if not sources:
        reason = f" ({len(skipped)} unusable, the first: {skipped[0][1]})" if skipped else ""
        raise UsageError(f"{folder}: no isotropic volume to train on{reason}")
    set_apart = [path for path in sources if part.get(path) == "validation"]
    elsewhere = isinstance(data.validation, str) and Path(data.validation).is_dir()
    if set_apart and not elsewhere:
        held_out = set_apart
    else:
        held_out = held_out_of(data, folder, list(sources), seed, volume_io.is_volume)
    train = tuple(source for path, source in sources.items() if path not in held_out)
    if not train:
        raise UsageError(f"{folder}: all {len(held_out)} volumes are held out, none is left to train on")
    return Split(train, tuple(held_out), tuple(skipped))


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


def load(path: Path) -> Array:
    """The first volume of a file, in unit values, cut to its foreground and a margin."""
    volume = volume_io.read(path)
    return foreground(unit_of(volume.stored.reshape(*volume.stored.shape[:3], -1)[..., 0])[0])


def foreground(unit: Array, smallest: int = 100) -> Array:
    """The box around the foreground with a margin, no side shorter than `smallest` where the volume allows it."""
    from monai.transforms.utils import generate_spatial_bounding_box

    box = generate_spatial_bounding_box(unit[None], lambda values: values > FOREGROUND, margin=MARGIN)
    places = []
    for start, stop, length in zip(*box, unit.shape, strict=True):
        if start >= stop:  # nothing lies above the threshold
            start, stop = 0, length
        half, middle = max(stop - start, smallest) / 2, (start + stop) / 2
        places.append(slice(max(0, int(middle - half)), min(length, int(np.ceil(middle + half)))))
    return np.ascontiguousarray(unit[tuple(places)])


class SliceCrops:
    """A map-style dataset: (iteration, slot) -> [one crop of a slice], float32 (1, side, side), rows to be made thick.

    Every volume, pairing, place, flip and contrast comes from `stream(seed, iteration, slot)`.
    """

    def __init__(
        self,
        volumes: tuple[VolumeSource, ...] | Array,
        data: Data,
        side: int,
        seed: int,
        pairings: tuple[tuple[int, int], ...] = PAIRINGS,
    ) -> None:
        self.volumes, self.data, self.side, self.seed, self.pairings = volumes, data, side, seed, pairings
        self._cache: OrderedDict[Path, Array] = OrderedDict()

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        iteration, slot = key
        rng = stream(self.seed, iteration, 1 + slot)
        crop = bright_enough(self._draw, rng, self.data.darkest_crop)
        if self.data.jitter is not None:
            crop = recoloured(crop, self.data.jitter, rng)
        return [torch.from_numpy(np.ascontiguousarray(crop[None]))]

    def _draw(self, rng: np.random.Generator) -> Array:
        volume = self.volumes if isinstance(self.volumes, np.ndarray) else self._load(rng)
        normal, rows = self.pairings[int(rng.integers(len(self.pairings)))]
        place: list[slice | int] = []
        for axis, length in enumerate(volume.shape):
            start = int(rng.integers(length if axis == normal else length - self.side + 1))
            place.append(start if axis == normal else slice(start, start + self.side))
        crop = volume[tuple(place)]
        crop = crop.T if rows > 3 - normal - rows else crop
        if self.data.flips:  # no quarter turns: the rows are what is made thick
            kept = 0.5 if self.data.flips is True else 1 - self.data.flips
            crop = crop[:: 1 if rng.random() < kept else -1, :: 1 if rng.random() < kept else -1]
        return crop

    def _load(self, rng: np.random.Generator) -> Array:
        source = self.volumes[int(rng.integers(len(self.volumes)))]
        if source.path not in self._cache:
            self._cache[source.path] = load(source.path)
            while sum(one.nbytes for one in self._cache.values()) > self.data.cache_gb * 1e9 and len(self._cache) > 1:
                self._cache.popitem(last=False)
        self._cache.move_to_end(source.path)
        return self._cache[source.path]


def recoloured(crop: Array, jitter: Jitter, rng: np.random.Generator) -> Array:
    """(H, W) in about [0, 1] with another contrast, gain and offset. Nothing is clipped.

    The contrast is a random broken line through 4 to 8 points over the range of values: it need not rise, so that a
    T1-weighted slice may come out with the contrasts of a T2-weighted one, or of none there is.
    """
    if rng.random() < jitter.contrast:
        knots = np.linspace(0.0, 1.1, int(rng.integers(4, 9)))
        crop = np.interp(crop, knots, rng.random(len(knots))).astype(np.float32)
    changed: Array = (crop * rng.uniform(*jitter.gain) + rng.uniform(*jitter.offset)).astype(np.float32)
    return changed
