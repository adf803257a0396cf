"""NRRD headers: what ITK does not look at: missing spacing, units, axes that are not of space, bzip2."""

from __future__ import annotations

import bz2
import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io import expansion
from medsr.io.files import link_or_copy

SERIES = ("list", "time", "none", "???", "domain", "space", "stub", "scalar")
"""Kinds of an axis along which volumes follow each other; others are the numbers of one voxel."""
LONGEST = 1 << 20
_MILLIMETRES = {"": 1.0, "mm": 1.0, "um": 1e-3, "\N{MICRO SIGN}m": 1e-3, "\N{GREEK SMALL LETTER MU}m": 1e-3, "nm": 1e-6}
_MILLIMETRES |= {"cm": 10.0, "m": 1000.0, "in": 25.4, "inch": 25.4, "micron": 1e-3, "microns": 1e-3}
_MILLIMETRES |= {"millimeter": 1.0, "millimeters": 1.0, "micrometer": 1e-3, "micrometers": 1e-3, "meter": 1000.0}


@dataclass(frozen=True)
class Header:
    """`fields` in small letters without spaces around; `pairs`: key/value pairs; `lines`: before the voxels."""

    fields: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)
    lines: int = 0

    @property
    def kinds(self) -> list[str]:
        """Of each axis, `???` where none is stated."""
        axes = int(self.fields.get("dimension", 0))
        kinds = self.fields.get("kinds", "").split()
        return kinds if len(kinds) == axes else ["???"] * axes

    @property
    def directions(self) -> list[str]:
        """Of each axis: `none`, or numbers in brackets."""
        return re.findall(r"none|\([^)]*\)", self.fields.get("space directions", ""), re.IGNORECASE)

    @property
    def spacings(self) -> list[float]:
        """Of each axis, NaN where none is stated."""
        spacings = [float(text) for text in self.fields.get("spacings", "").split()]
        return spacings or [float("nan")] * int(self.fields.get("dimension", 0))

    @property
    def thicknesses(self) -> list[str]:
        """Of each axis of space, as the header has them; `nan` where none is stated."""
        stated = self.fields.get("thicknesses", "").split()
        return [text for n, text in enumerate(stated) if n != self.axis][:3]

    @property
    def axis(self) -> int | None:
        """The one axis of four that is not of space; None where all are, or time is the fourth coordinate."""
        if int(self.fields.get("dimension", 0)) != 4:
            return None
        if self.directions:
            outside = [n for n, direction in enumerate(self.directions) if direction.lower() == "none"]
        else:
            outside = [n for n, kind in enumerate(self.kinds) if kind.lower() not in ("domain", "space", "???")]
        return outside[0] if len(outside) == 1 else None

    @property
    def timed(self) -> bool:
        """Whether time is the fourth coordinate of its space."""
        return int(self.fields.get("dimension", 0)) == 4 and self.axis is None

    @property
    def stated(self) -> bool:
        """Whether it says how far voxels are apart."""
        if self.directions:
            return True
        inside = [step for n, step in enumerate(self.spacings) if n != self.axis][:3]
        return bool(inside) and bool(np.isfinite(inside).all())

    @property
    def units(self) -> list[str]:
        """Of its lengths, none where they are not stated."""
        stated = self.fields.get("space units") or self.fields.get("units") or ""
        units = re.findall(r'"([^"]*)"', stated) or stated.split()
        inside = [unit for n, unit in enumerate(units) if "space units" in self.fields or n != self.axis]
        return [unit.strip().lower() for unit in inside][:3]

    @property
    def signs(self) -> NDArray[np.float64]:
        """What turns its coordinates into those to right, anterior, superior."""
        space = self.fields.get("space", "").lower()
        if space.startswith("right-anterior-superior") or space in ("ras", "rast"):
            return np.array([1.0, 1.0, 1.0])
        if space.startswith("left-anterior-superior") or space in ("las", "last"):
            return np.array([-1.0, 1.0, 1.0])
        return np.array([-1.0, -1.0, 1.0])


def read_header(path: Path) -> Header:
    """The header of an .nrrd or .nhdr. Raises InputError for what medsr cannot take for volumes."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    lines = 0
    with path.open("rb") as stream:
        while stream.tell() < LONGEST and (line := stream.readline(LONGEST)):
            lines += 1
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            if not text:
                break
            key, mark, value = text.partition(":")
            if text.startswith("#") or not mark:
                continue
            if value.startswith("="):
                pairs[key] = value[1:]
            else:
                fields[_name(key)] = value.strip()
    header = Header(fields, pairs, lines)
    _check(header, path)
    return header


def _name(key: str) -> str:
    key = key.strip().lower()
    return {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "centers": "centerings"}.get(
        key, key
    )


_SEVERAL = re.compile(r"[234]-(vector|color)|(rgba?|hsv|xyz)-color|(covariant-)?vector|(3-)?(normal|gradient)|complex")
"""Kinds of NRRD's own that hold several numbers; any other text is not repeated."""


def _check(header: Header, path: Path) -> None:
    placed = [direction for direction in header.directions if direction.lower() != "none"]
    if header.directions and len(placed) < 3 <= len(header.directions):
        raise InputError(f"{path}: the header's space directions are for {len(placed)} axes only; correct the header")
    if any(step <= 0 for step in header.spacings):
        raise InputError(f"{path}: the header's spacings are wrong, expected mm above 0")
    if len(set(header.units)) > 1:
        raise InputError(f"{path}: the header gives lengths in several units: medsr takes one unit for all")
    axis = header.axis
    if axis is not None and header.kinds[axis].lower() not in SERIES and header.fields["sizes"].split()[axis] != "1":
        size, kind = header.fields["sizes"].split()[axis], header.kinds[axis]
        message = f" ({kind})" if _SEVERAL.fullmatch(kind.lower()) else ""
        raise InputError(f"{path}: {size} numbers a voxel{message} are not handled, only one")


def scale_of(header: Header) -> float:
    """Millimetres in one unit of its lengths."""
    return _MILLIMETRES.get(header.units[0] if header.units else "", 1.0)


def time_step(header: Header, itk: float) -> float:
    """Seconds from volume to volume, where the header says. `itk`: where time is the fourth coordinate."""
    axis = header.axis
    if axis is None:
        return itk
    step = header.spacings[axis] if len(header.spacings) == 4 else float("nan")
    return step if np.isfinite(step) else 1.0


def notes_of(header: Header) -> tuple[str, ...]:
    """What the header leaves open, and how it was taken."""
    notes: tuple[str, ...] = ()
    unit = header.units[0] if header.units else ""
    if unit not in _MILLIMETRES:
        notes += ("the header gives lengths in a unit that medsr does not know: taken as mm",)
    elif scale_of(header) != 1:
        notes += (f"the header gives lengths in {unit}: converted to mm",)
    space = header.fields.get("space", "")
    if not re.match(r"(right|left)-(anterior|posterior)-superior|[rl][ap]st?$", space.lower()):
        message = "another" if space else "not stated"
        notes += (f"the header's space is {message}: axes taken as left, posterior, superior",)
    return notes


@contextmanager
def readable(path: Path, header: Header) -> Iterator[Path]:
    """The file, or one that ITK can read: an axis that is not of space is called `list`, bzip2 is unpacked."""
    axis, packed = header.axis, header.fields.get("encoding", "").lower() in ("bzip2", "bz2")
    if not packed and (axis is None or header.kinds[axis].lower() == "list"):
        yield path
        return
    data = header.fields.get("data file", "")
    if re.search(r"%|^list", data, re.IGNORECASE):
        raise InputError(f"{path}: its voxels are in several files, packed or along an axis not called list")
    skip = int(header.fields.get("line skip", 0)) + (0 if data else header.lines)
    file = path.parent / data if data else path
    fields = header.fields | {"data file": "data", "line skip": str(skip)}
    if axis is not None:
        fields["kinds"] = " ".join("list" if n == axis else "domain" for n in range(4))
    with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
        if packed:
            raw = Path(folder, "plain.raw")
            voxels, size = math.prod(map(int, header.fields["sizes"].split())), file.stat().st_size
            expansion.check(voxels, size, str(path))  # a byte each at least
            most = 8 * voxels + int(header.fields.get("byte skip", 0))
            _unpack(file, skip, raw, min(most, expansion.most_bytes(size) + 1))
            expansion.check(raw.stat().st_size, size, str(path))
            fields |= {"data file": raw.name, "line skip": "0", "encoding": "raw"}
        else:
            link_or_copy(Path(folder, "data"), file)
        plain = Path(folder, "plain.nhdr")
        plain.write_text("NRRD0005\n" + "".join(f"{key}: {value}\n" for key, value in ordered(fields)) + "\n", "utf-8")
        yield plain


def _unpack(file: Path, skip: int, target: Path, most: int) -> None:
    """What bzip2 packed behind so many lines, no more than the header can promise."""
    with file.open("rb") as stream:
        for _ in range(skip):
            stream.readline()
        with bz2.open(stream) as source, target.open("wb") as plain:
            while most > 0 and (block := source.read(min(most, 1 << 22))):
                most -= plain.write(block)


def ordered(fields: dict[str, str]) -> list[tuple[str, str]]:
    """What says how many axes there are before what needs to know; the data file last."""
    first = ("type", "dimension", "space", "space dimension", "sizes")
    rest = [key for key in fields if key not in (*first, "data file")]
    return [(key, fields[key]) for key in (*first, *rest, "data file") if key in fields]
