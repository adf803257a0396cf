"""Training crops and held-out images from folders of ground truth."""

from __future__ import annotations

import fnmatch
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medsr.data import manifest
from medsr.degrade import multiscale
from medsr.errors import InputError, UsageError
from medsr.io import image as image_io
from medsr.recipe import Data, Jitter

if TYPE_CHECKING:
    import torch

DRAWS = 20
"""How often a crop that is too dark is drawn again before it is taken as it is."""


def stream(seed: int, iteration: int, purpose: int) -> np.random.Generator:
    """The random stream of one purpose in one iteration: a function of its arguments alone.

    So a run that resumes at iteration n draws what a run never interrupted draws there, whatever its workers did.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, iteration, purpose])))


@dataclass(frozen=True)
class Source:
    """One ground-truth image at one of its sizes (height, width)."""

    path: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class Split:
    """The files of a run: sources for training, held out, and those left out with the reason."""

    train: tuple[Any, ...]
    held_out: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]


def split(data: Data, smallest: int, seed: int) -> Split:
    """Look at every image below `data.train`, set the held-out ones apart, list the rest at all their sizes.

    `smallest`: shortest side that still gives a crop. Raises UsageError when nothing remains to train on.
    """
    folder = folder_of(data.train, "data.train")
    if (rows := manifest.read(folder)) is not None:
        return _prepared(rows, folder, data, smallest, seed)
    readable: list[tuple[Path, tuple[int, int]]] = []
    skipped: list[tuple[Path, str]] = []
    for path in image_io.list_images(folder, data.pattern):
        try:
            height, width = image_io.read(path).pixels.shape[:2]
        except InputError as error:
            skipped.append((path, str(error)))
            continue
        if min(height, width) < smallest:
            skipped.append((path, f"{width}x{height} is smaller than the {smallest}-pixel crop"))
        else:
            readable.append((path, (height, width)))
    if not readable:
        raise UsageError(
            f"{folder}: no image to train on ({len(skipped)} unreadable or under {smallest} pixels) among the files "
            f"that match {data.pattern!r} (--set data.pattern=...)"
        )
    held_out = held_out_of(data, folder, [path for path, _ in readable], seed)
    sources: list[Source] = []
    for path, size in readable:
        if path not in held_out:
            reductions = data.multiscale
            every = (
                multiscale.sizes(size, reductions.scales, reductions.shortest_edge, smallest) if reductions else [size]
            )
            sources += [Source(path, one) for one in every]
    if not sources:
        raise UsageError(
            f"{folder}: no image to train on ({len(skipped)} unreadable or under {smallest} pixels, "
            f"{len(held_out)} held out, pattern {data.pattern!r})"
        )
    return Split(tuple(sources), tuple(held_out), tuple(skipped))


def _prepared(rows: list[manifest.Row], folder: Path, data: Data, smallest: int, seed: int) -> Split:
    """The parts that `medsr prepare` made, at the sizes it wrote down: nothing is decoded, nothing parted again.

    Its validation part is held out, of reductions and originals the originals; without one, or where the recipe names
    another folder, as the recipe says.
    """
    images = [row for row in rows if row.file and row.role == "image"]
    small = [row for row in images if min(row.height_width) < smallest]
    usable = [row for row in images if min(row.height_width) >= smallest]
    train = [row for row in usable if row.part == "train" and fnmatch.fnmatch(Path(row.file).name, data.pattern)]
    held_out = [row for row in usable if row.part == "validation"]
    whole = [row for row in held_out if row.original] or held_out
    skipped = [(folder / row.file, f"{row.size} is smaller than the {smallest}-pixel crop") for row in small]
    if not held_out or (isinstance(data.validation, str) and Path(data.validation).is_dir()):
        first = {row.id: folder / row.file for row in reversed(train)}
        paths = held_out_of(data, folder, sorted(first.values()), seed)
        shown = {row.subject for row in train if first[row.id] in paths}
        train = [row for row in train if row.subject not in shown]
    else:
        paths = [folder / row.file for row in whole]
    if not train:
        raise UsageError(f"{folder}: the prepared data set has no image of {smallest} pixels to train on")
    scales = data.multiscale if all(row.original for row in train) else None  # else it is made already
    sources = tuple(
        Source(folder / row.file, size)
        for row in train
        for size in (
            multiscale.sizes(row.height_width, scales.scales, scales.shortest_edge, smallest)
            if scales
            else [row.height_width]
        )
    )
    return Split(sources, tuple(paths), tuple(skipped))


def folder_of(name: str | None, key: str) -> Path:
    if name is None:
        raise UsageError(f"{key}: the recipe names no folder of ground truth; give one with --data DIR")
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{key}: {folder} is not a folder")
    return folder


def held_out_of(
    data: Data, folder: Path, readable: list[Path], seed: int, wanted: Callable[[Path], bool] | None = None
) -> list[Path]:
    """The files to validate on: those named by a pattern or in another folder, or a fraction drawn at random.

    `wanted` says which files of another folder count; None: its images.
    """
    if isinstance(data.validation, str):
        if any(sign in data.validation for sign in "*?["):
            chosen = [path for path in readable if fnmatch.fnmatch(path.name, data.validation)]
            if not chosen:
                raise UsageError(
                    f"data.validation: no image in {folder} matches {data.validation!r}; give another pattern or a "
                    "fraction (--set data.validation=0.1)"
                )
            return chosen
        other = folder_of(data.validation, "data.validation")
        chosen = sorted(filter(wanted, other.rglob("*"))) if wanted else image_io.list_images(other)
        if not chosen:
            raise UsageError(f"data.validation: nothing to validate on in {data.validation}")
        return chosen
    if data.validation == 0:
        return []
    count = max(1, round(data.validation * len(readable)))
    if count >= len(readable):
        raise UsageError(
            f"data.validation: {len(readable)} image(s) in {folder} leave none to train on after holding out {count}; "
            "set data.validation=0 or give a folder"
        )
    order = stream(seed, 0, 0).permutation(len(readable))
    return sorted(readable[i] for i in order[:count])


def bright_enough(
    draw: Callable[[np.random.Generator], NDArray[np.float32]], rng: np.random.Generator, darkest: float
) -> NDArray[np.float32]:
    """A crop whose mean is at least `darkest`, or the last of DRAWS tries more."""
    crop = draw(rng)
    for _ in range(DRAWS):
        if crop.mean() >= darkest:
            break
        crop = draw(rng)
    return crop


class GroundTruthCrops:
    """A map-style dataset: (iteration, slot) -> [one ground-truth crop], float32 (channels, side, side) in [0, 1].

    Every choice (image, place, flips, quarter turns) comes from `stream(seed, iteration, slot)`.
    """

    def __init__(self, sources: tuple[Source, ...], data: Data, side: int, channels: int, seed: int) -> None:
        self.sources, self.data, self.side, self.channels, self.seed = sources, data, side, channels, seed
        self._cache: OrderedDict[Source, image_io.Image] = OrderedDict()
        self._cached_bytes = 0

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        iteration, slot = key
        rng = stream(self.seed, iteration, 1 + slot)
        crop = bright_enough(self._draw, rng, self.data.darkest_crop)
        return [torch.from_numpy(np.ascontiguousarray(np.moveaxis(crop, -1, 0)))]

    def _draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        image = self._load(self.sources[rng.integers(len(self.sources))])
        height, width = image.pixels.shape[:2]
        top, left = rng.integers(height - self.side + 1), rng.integers(width - self.side + 1)
        stored = image.pixels[top : top + self.side, left : left + self.side]
        crop = as_channels(image.window.to_unit(stored), self.channels)
        crop = turned(crop, self.data.flips, rng)
        return crop if self.data.jitter is None else jittered(crop, self.data.jitter, rng)

    def _load(self, source: Source) -> image_io.Image:
        if source in self._cache:
            self._cache.move_to_end(source)
            return self._cache[source]
        image = multiscale.reduce(image_io.read(source.path), source.size)
        self._cache[source] = image
        self._cached_bytes += image.pixels.nbytes
        while self._cached_bytes > self.data.cache_gb * 1e9 and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.pixels.nbytes
        return image


def turned(crop: NDArray[np.float32], flips: bool | float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, C) as the recipe's `data.flips` says; a view."""
    if flips is True:
        crop = np.rot90(crop, int(rng.integers(4)))
        return crop[:, ::-1] if rng.random() < 0.5 else crop
    upside_down, mirrored, quarter = rng.random(3) < float(flips)
    crop = crop[::-1] if upside_down else crop
    crop = crop[:, ::-1] if mirrored else crop
    return np.rot90(crop) if quarter else crop


def jittered(crop: NDArray[np.float32], jitter: Jitter, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, C) in [0, 1] with a gain (half of it common to all channels) and an offset drawn for every channel."""
    channels = crop.shape[2]
    common, own = rng.uniform(*jitter.gain), rng.uniform(*jitter.gain, channels)
    gain = np.sqrt(common * own)
    offset = rng.uniform(*jitter.offset, channels)
    if jitter.shuffle_channels:
        crop = crop[:, :, rng.permutation(channels)]
    changed: NDArray[np.float32] = (crop * gain + offset).clip(0, 1).astype(np.float32)
    return changed


def as_channels(unit: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """(H, W, 1 or 3) to (H, W, channels): grey is repeated, colour is averaged."""
    if unit.shape[2] == channels:
        return unit
    return np.repeat(unit, 3, axis=2) if channels == 3 else unit.mean(axis=2, keepdims=True)


class Crops(Protocol):
    """What a training run draws its ground truth from, and its low resolution where that comes from files."""

    data: Data

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]: ...


class _Keys:
    """(iteration, slot) of every batch from `first` to `last`; None: on and on."""

    def __init__(self, first: int, last: int | None, slots: range) -> None:
        self.first, self.last, self.slots = first, last, slots

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        iterations = count(self.first) if self.last is None else range(self.first, self.last + 1)
        return ([(iteration, slot) for slot in self.slots] for iteration in iterations)


def batches(crops: Crops, first: int, last: int | None, slots: range) -> Iterator[list[torch.Tensor]]:
    """These slots of the batches of iterations `first` to `last`, in order: [(slots, channels, side, side), ...].

    Several devices take different slots of one batch. Worker processes change when a batch is ready, never what is
    in it.
    """
    import torch
    from torch.utils.data import DataLoader

    workers = crops.data.workers if last is None else min(crops.data.workers, last + 1 - first)
    loader: DataLoader = DataLoader(
        crops,  # type: ignore[arg-type]
        batch_sampler=_Keys(first, last, slots),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_quiet_worker,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    """Signals go to the whole group; the parent saves first, and ends its workers itself."""
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
