"""Ground truth and low resolution from a folder: what int8 is calibrated and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import InputError, MedsrError
from medsr.core.types import Notify
from medsr.data.depth import SettledDepth, depth_of
from medsr.io import scans
from medsr.io.images import image as image_io
from medsr.io.kinds import list_images
from medsr.networks.architectures import kind_of
from medsr.recipe import ValidationProtocol
from medsr.training import validation
from medsr.training.validation import ValidationSample

MOST, SIDE = 16, 512
"""Files that are used, and the side of the middle of an image that is."""
BLURS = (0.0, 1.0, 0.5, 1.5)
"""Of the low resolution, in its pixels, in turn: what is sharp reaches further than what is blurred. Calibration takes
all, the measurement the first two."""


@dataclass(frozen=True)
class Kind:
    """What a network takes: images, or `slices` of volumes; of these with the `maps` a refiner wants, or alone.

    `bits`: of 16-bit images that do not declare how many they hold.
    """

    scale: int
    channels: int
    slices: bool = False
    maps: bool = False
    bits: int | None = None


@dataclass(frozen=True)
class Samples:
    """What int8 is calibrated on, and in each folder measured on. `slices`: of volumes. `bits`: see `Kind`."""

    calibration: list[ValidationSample]
    tests: list[list[ValidationSample]]
    slices: bool
    bits: int | None

    @classmethod
    def of(cls, card: dict[str, Any], folders: Sequence[Path], bits: int | None, notify: Notify) -> Samples:
        """From the folders, for the network that an exported model's card describes."""
        spec = card["spec"]
        refiner = kind_of(spec["architecture"]) == "slice"
        slices = refiner or (spec["scale"] == 1 and bool(card.get("training", {}).get("domain")))
        paths = [] if slices else [path for folder in folders for path in list_images(folder)]
        depth = SettledDepth(None) if slices else depth_of(bits, folders[0], paths)
        if depth.line:
            notify(depth.line)
        kind = Kind(spec["scale"], spec["channels"], slices, refiner, depth.bits)
        halves = [pairs_in(folder, kind, notify) for folder in folders]
        for folder, (calibration, test) in zip(folders, halves, strict=True):
            notify(f"{folder}: {len(calibration)} samples to calibrate int8, {len(test)} to measure on")
        in_turn = zip_longest(*(calibration for calibration, _ in halves))
        calibration = [pair for pairs in in_turn for pair in pairs if pair is not None]
        return cls(calibration, [test for _, test in halves], slices, depth.bits)


def pairs_in(folder: Path, kind: Kind, notify: Notify) -> tuple[list[ValidationSample], list[ValidationSample]]:
    """Pairs to calibrate on, and pairs of other files to measure on, from the images or volumes below a folder.

    What cannot be used is passed over, and said. Raises InputError where fewer than two are left.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths, left_out = scans.paths_below(folder) if kind.slices else (list_images(folder), "")
    if left_out:
        notify(left_out)
    read = partial(_slices if kind.slices else _image, kind=kind)
    pairs_of_files: list[list[ValidationSample]] = []
    for index in np.random.default_rng(0).permutation(len(paths)):  # from all over the folder
        path = paths[index]
        try:
            pairs_of_files.append(read(path))
        except (MedsrError, ValueError) as error:
            notify(f"left out: {error if str(path) in str(error) else f'{path}: {error}'}")
            continue
        if len(pairs_of_files) == MOST:
            break
    if len(pairs_of_files) < 2:
        what = "volumes" if kind.slices else "images"
        raise InputError(
            f"{folder}: {len(pairs_of_files)} {what} that can be used; at least two are needed, better twenty"
        )
    tests = pairs_of_files[1::2]
    if not kind.slices:  # sharp and blurred in turn
        tests = [[pairs[index % 2]] for index, pairs in enumerate(tests)]
    return [pair for pairs in pairs_of_files[::2] for pair in pairs], [pair for pairs in tests for pair in pairs]


def _image(path: Path, kind: Kind) -> list[ValidationSample]:
    unit = image_io.read_as_shown(path, kind.bits).to_unit().clip(0, 1)
    if min(unit.shape[:2]) < 32 * kind.scale:
        raise InputError(f"{path}: too small")
    top, left = (max(0, (length - SIDE) // 2) for length in unit.shape[:2])
    middle = unit[top : top + SIDE, left : left + SIDE]
    return [validation.one_image(path, middle, kind.scale, kind.channels, sigma) for sigma in BLURS]


def _slices(path: Path, kind: Kind) -> list[ValidationSample]:
    return validation.slices_of(path, ValidationProtocol().factors, kind.maps)[::4]
