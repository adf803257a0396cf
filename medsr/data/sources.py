"""Which images of a folder of ground truth a run trains on, and which it holds out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr.core.errors import InputError, UsageError
from medsr.core.resources import expanded
from medsr.data import manifest
from medsr.data.masks import MASK, is_mask
from medsr.data.own_outputs import part_own
from medsr.data.streams import stream
from medsr.degradation import multiscale
from medsr.io.images import image as image_io
from medsr.io.kinds import left_out
from medsr.io.wrong_kind import SCANS, holds_only_scans
from medsr.recipe import Data


@dataclass(frozen=True)
class ImageSource:
    """One ground-truth image at one of its sizes (height, width)."""

    path: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class DataSplit:
    """The files of a run: sources for training, held out, and those left out with the reason."""

    train: tuple[Any, ...]
    held_out: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]


def split(data: Data, smallest: int, seed: int, kept: Collection[Path] | None = None) -> DataSplit:
    """Look at every image below `data.train`, set the held-out ones apart, list the rest at all their sizes.

    `smallest`: shortest side that still gives a crop. `kept`: the files that were held out before, and stay so; None:
    as the recipe says. What medsr wrote itself is left out, and masks. Raises UsageError when nothing remains to train
    on.
    """
    folder = folder_of(data.train, "data.train")
    if (rows := manifest.read(folder)) is not None:
        return _prepared(rows, folder, data, smallest, seed, kept)
    readable: list[tuple[Path, tuple[int, int]]] = []
    paths, skipped = part_own(folder, image_io.list_images(folder, data.pattern))
    skipped += [(folder, line) for line in left_out(folder, data.pattern)]
    for path in paths:
        try:
            pixels = image_io.read_as_shown(path, data.bits).pixels
        except InputError as error:
            skipped.append((path, str(error)))
            continue
        height, width = pixels.shape[:2]
        if not data.keep_masks and is_mask(pixels):
            skipped.append((path, MASK))
        elif min(height, width) < smallest:
            skipped.append((path, f"{width}x{height} is smaller than the {smallest}-pixel crop"))
        else:
            readable.append((path, (height, width)))
    if not readable:
        if holds_only_scans(folder):
            raise UsageError(f"{folder}: {SCANS}a recipe that trains on scans, such as medsr finetune mri")
        raise UsageError(
            f"{folder}: no image to train on ({len(skipped)} unreadable or under {smallest} pixels) among the files "
            f"that match {data.pattern!r} (`overrides=data.pattern=...`){first_reason(skipped)}"
        )
    held_out = held_out_of(data, folder, [path for path, _ in readable], seed, kept=kept)
    held_out_paths = real(held_out)
    sources: list[ImageSource] = []
    for path, size in readable:
        if os.path.realpath(path) not in held_out_paths:
            reductions = data.multiscale
            every = (
                multiscale.sizes(size, reductions.scales, reductions.shortest_edge, smallest) if reductions else [size]
            )
            sources += [ImageSource(path, reduced) for reduced in every]
    if not sources:
        raise UsageError(
            f"{folder}: no image to train on ({len(skipped)} unreadable or under {smallest} pixels, "
            f"{len(held_out)} held out, pattern {data.pattern!r})"
        )
    return DataSplit(tuple(sources), tuple(held_out), tuple(skipped))


def _prepared(
    rows: list[manifest.ManifestRow], folder: Path, data: Data, smallest: int, seed: int, kept: Collection[Path] | None
) -> DataSplit:
    """The parts that `medsr prepare` made, at the sizes it wrote down: nothing is decoded, nothing parted again.

    Its validation part is held out, of reductions and originals the originals; without one, or where the recipe names
    another folder, as the recipe says.
    """
    images = [row for row in rows if row.file and row.role == "image"]
    small = [row for row in images if min(row.height_width) < smallest]
    usable = [row for row in images if min(row.height_width) >= smallest]
    train = [row for row in usable if row.part == "train" and image_io.matches(Path(row.file), data.pattern)]
    held_out = [row for row in usable if row.part == "validation"]
    whole = [row for row in held_out if row.original] or held_out
    skipped = [(folder / row.file, f"{row.size} is smaller than the {smallest}-pixel crop") for row in small]
    if kept is not None or not held_out or (isinstance(data.validation, str) and Path(data.validation).is_dir()):
        first = {row.id: folder / row.file for row in reversed(train)}
        paths = held_out_of(data, folder, sorted(first.values()), seed, kept=kept)
        places = real(paths)
        subjects = {row.subject for row in train if os.path.realpath(first[row.id]) in places}
        train = [row for row in train if row.subject not in subjects]
    else:
        paths = [folder / row.file for row in whole]
    if not train:
        raise UsageError(f"{folder}: the prepared data set has no image of {smallest} pixels to train on")
    scales = data.multiscale if all(row.original for row in train) else None  # else it is made already
    sources = tuple(
        ImageSource(folder / row.file, size)
        for row in train
        for size in (
            multiscale.sizes(row.height_width, scales.scales, scales.shortest_edge, smallest)
            if scales
            else [row.height_width]
        )
    )
    return DataSplit(sources, tuple(paths), tuple(skipped))


def folder_of(name: str | None, key: str) -> Path:
    if name is None:
        raise UsageError(f"{key}: the recipe names no folder of ground truth; give one with `data=DIR`")
    folder = expanded(name)
    if not folder.is_dir():
        raise UsageError(f"{key}: {folder} is not a folder")
    return folder


def real(paths: Collection[Path]) -> set[str]:
    """Where they are, however they are named: a held-out file must be known under each of its names."""
    return {os.path.realpath(path) for path in paths}


def first_reason(skipped: list[tuple[Path, str]]) -> str:
    """What an error says of files that were left out."""
    if not skipped:
        return ""
    path, reason = skipped[0]
    return f"; left out: {reason if str(path) in reason else f'{path}: {reason}'}"


def held_out_of(
    data: Data,
    folder: Path,
    readable: list[Path],
    seed: int,
    kept: Collection[Path] | None = None,
    below: Callable[[Path], list[Path]] | None = None,
) -> list[Path]:
    """The files to validate on: those named by a pattern or in another folder, or a fraction drawn at random.

    `below` lists those of another folder; None: its images, without masks. `kept`: those held out before.
    """
    if kept is not None:
        return sorted(kept)
    if isinstance(data.validation, str):
        if any(sign in data.validation for sign in "*?["):
            chosen = [path for path in readable if image_io.matches(path.relative_to(folder), data.validation)]
            if not chosen:
                raise UsageError(
                    f"data.validation: no image in {folder} matches {data.validation!r}; give another pattern or a "
                    "fraction (`overrides=data.validation=0.1`)"
                )
            return chosen
        other = folder_of(data.validation, "data.validation")
        chosen, _ = part_own(other, below(other) if below else image_io.list_images(other))
        if below is None and not data.keep_masks:
            chosen = [path for path in chosen if not is_mask(image_io.read_as_shown(path, data.bits).pixels)]
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
