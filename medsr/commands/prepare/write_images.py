"""The ground-truth files of one item: the original, its reductions, its crops, and what belongs to it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medsr.commands.prepare.inspect_images import SIZE
from medsr.core.errors import InputError
from medsr.core.intensity import Window
from medsr.core.text import reason
from medsr.data import manifest
from medsr.data.cards import IMAGE, GroundTruth
from medsr.degradation import multiscale
from medsr.io.files import atomic_path, sha256
from medsr.io.images import image as image_io
from medsr.io.images.base import PNG, TIFF, Image
from medsr.io.orientation import picture_as_shown
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LEAST = 16
"""Shortest side in pixels of a reduction worth keeping."""


@dataclass(frozen=True)
class Task:
    """One item and where it goes. `files`: by role; `split`: the folder."""

    id: str
    split: str
    kind: str
    files: dict[str, Path]
    ground_truth: GroundTruth


@dataclass(frozen=True)
class OutputFile:
    """A file written: its place below the data set's folder, with `/` between names. `bits`: as in the manifest."""

    file: str
    role: str
    size: str
    original: bool
    sha256: str
    bits: str = ""


def restored_files(record: object) -> list[OutputFile]:
    """The files of an item as a journal has them. Raises ValueError where it is damaged."""
    files = _adapter().validate_python(record)
    for file in files:
        if not re.fullmatch(SIZE, file.size):
            raise ValueError(f"{file.size!r} is not a size")
        if not manifest.is_depth(file.bits):
            raise ValueError(f"{file.bits!r} is not a number of bits")
    return files


@lru_cache(1)
def _adapter() -> TypeAdapter[list[OutputFile]]:
    from pydantic import TypeAdapter

    return TypeAdapter(list[OutputFile])


def write_item(task: Task, out: Path) -> list[OutputFile]:
    """Write everything one item gives, or nothing. Raises InputError for a file that cannot be used."""
    outputs: list[OutputFile] = []
    try:
        for output in _write(task, out):
            outputs.append(output)
    except BaseException:
        for output in outputs:
            (out / output.file).unlink(missing_ok=True)
        raise
    return outputs


def _write(task: Task, out: Path) -> Iterator[OutputFile]:
    if task.kind == "volumes":
        for role, path in task.files.items():
            yield _copied(task, role, path, out)
        return
    whole = plain(image_io.read_as_shown(task.files[IMAGE], task.ground_truth.bits), task.ground_truth.grey)
    for image, name, original in _images(task, whole):
        yield _image(image, name, original, task, out)
    for role, path in task.files.items():
        if role != IMAGE:
            yield _companion(task, role, path, out, whole.pixels.shape[:2])


def plain(image: Image, grey: bool = False) -> Image:
    """An image as ground truth is kept: bright is high, unsigned, no transparency; the values as stored.

    8 and 16 bits become PNG, depths in between that the file declares become TIFF, which can say so. `grey`: one
    channel, the mean of three (exact where they are equal).
    """
    pixels, window = image.pixels, image.window
    if window.inverted or pixels.dtype.kind == "i":
        wide = pixels.astype(np.int64)
        wide = int(window.high) - wide if window.inverted else wide - int(window.low)
        unsigned = np.uint8 if pixels.dtype.itemsize == 1 else np.uint16
        pixels = wide.clip(0, np.iinfo(unsigned).max).astype(unsigned)
        window = Window.of_bits(int(window.high - window.low).bit_length())
    if grey and pixels.shape[2] == 3:
        pixels = np.rint(pixels.mean(axis=2, keepdims=True)).astype(pixels.dtype)
    declared = image.extra.get("declared") if pixels.dtype == np.uint16 else None
    declared = declared if declared and declared < 16 else None
    extra = {"declared": declared} if declared else {}
    return Image(np.ascontiguousarray(pixels), window, TIFF if declared else PNG, extra=extra)


def crops(size: tuple[int, int], side: int, stride: int) -> Iterator[tuple[int, int]]:
    """(top, left) of every crop: one every `stride`, the last ones flush with the border, so that no pixel is lost."""
    height, width = size
    for top in _starts(height, side, stride):
        for left in _starts(width, side, stride):
            yield top, left


def _starts(length: int, side: int, stride: int) -> list[int]:
    starts = list(range(0, length - side + 1, stride))
    return starts if not starts or starts[-1] == length - side else [*starts, length - side]


def _images(task: Task, whole: Image) -> Iterator[tuple[Image, str, bool]]:
    """(image, name without suffix, whether it is the whole original)."""
    settings = task.ground_truth
    own: tuple[int, int] = whole.pixels.shape[:2]
    reductions = settings.multiscale
    smallest = settings.crop or LEAST
    sizes = [own]
    if reductions:
        sizes = multiscale.sizes(own, reductions.scales, reductions.shortest_edge, smallest)
    if settings.crop and min(own) < settings.crop:
        raise InputError(
            f"{task.files[IMAGE]}: {own[1]}x{own[0]} pixels are smaller than the {settings.crop}-pixel crop"
        )
    for size in sizes:
        image = multiscale.reduce(whole, size)
        name = task.id if size == own else f"{task.id}@{size[1]}x{size[0]}"
        if not settings.crop:
            yield image, name, size == own
            continue
        for top, left in crops(size, settings.crop, settings.stride or settings.crop):
            piece = image.pixels[top : top + settings.crop, left : left + settings.crop]
            yield replace(image, pixels=np.ascontiguousarray(piece)), f"{name}@y{top:04d}_x{left:04d}", False


def _image(image: Image, name: str, original: bool, task: Task, out: Path) -> OutputFile:
    file = f"{task.split}/{name}{'.tif' if image.kind == TIFF else '.png'}"
    image_io.write(out / file, image)
    height, width = image.pixels.shape[:2]
    undeclared = image.pixels.dtype == np.uint16 and not image.extra.get("declared")
    bits = str(int(image.window.high).bit_length()) if undeclared else ""
    return OutputFile(file, IMAGE, f"{width}x{height}", original, sha256(out / file), bits)


MASKS = ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")


def _companion(task: Task, role: str, path: Path, out: Path, shown: tuple[int, ...]) -> OutputFile:
    """A mask or annotation as PNG, as it is shown, its values as they are: indices stay indices, with their palette."""
    file = f"{role}/{task.id}.png"
    try:
        picture = picture_as_shown(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: damaged or not a readable {role} ({reason(error, path)})") from error
    if picture.mode not in MASKS:
        raise InputError(f"{path}: a {role} of mode {picture.mode} is not handled, only {', '.join(MASKS)}")
    if picture.size == tuple(shown) and picture.width != picture.height:  # (width, height), and (height, width)
        raise InputError(
            f"{path}: {picture.width}x{picture.height}, but its image is shown as {shown[1]}x{shown[0]}: "
            f"turn the {role} by 90 degrees"
        )
    with atomic_path(out / file) as temporary:
        picture.save(temporary, "PNG")
    return OutputFile(file, role, f"{picture.width}x{picture.height}", True, sha256(out / file))


def _copied(task: Task, role: str, path: Path, out: Path) -> OutputFile:
    """A volume, byte for byte."""
    stem = task.id.removesuffix(volume_files.split_suffix(Path(task.id))[1])
    folder = task.split if role == IMAGE else role
    file = f"{folder}/{stem}{volume_files.split_suffix(path)[1]}"
    with atomic_path(out / file) as temporary:
        shutil.copyfile(path, temporary)
    shape = volume_io.read(out / file).stored.shape
    return OutputFile(file, role, "x".join(map(str, shape)), True, sha256(out / file))
