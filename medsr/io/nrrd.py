"""NRRD: what ITK does not look at (missing spacing, units, axes that are not of space), and files written."""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medsr.errors import InputError
from medsr.io.volume_base import Volume

SERIES = ("list", "time", "none", "???", "domain", "space", "stub", "scalar")
"""Kinds of an axis along which volumes follow each other; others are the numbers of one voxel."""
TYPES = {"float32": "float", "float64": "double"}
KEPT = ("content", "sample units", "space units", "measurement frame")
"""Fields that are true of the refined grid, too."""
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


def _check(header: Header, path: Path) -> None:
    if any(step <= 0 for step in header.spacings):
        raise InputError(f"{path}: the header's spacings are {header.fields['spacings']}, expected mm above 0")
    if len(set(header.units)) > 1:
        raise InputError(f"{path}: the header gives lengths in {', '.join(header.units)}: medsr takes one unit for all")
    axis = header.axis
    if axis is not None and header.kinds[axis].lower() not in SERIES and header.fields["sizes"].split()[axis] != "1":
        size, kind = header.fields["sizes"].split()[axis], header.kinds[axis]
        raise InputError(f"{path}: {size} numbers a voxel ({kind}) are not handled, only one")


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
        notes += (f"the header gives lengths in {unit!r}, which medsr does not know: taken as mm",)
    elif scale_of(header) != 1:
        notes += (f"the header gives lengths in {unit}: converted to mm",)
    space = header.fields.get("space", "")
    if not re.match(r"(right|left)-(anterior|posterior)-superior|[rl][ap]st?$", space.lower()):
        notes += (f"the header's space is {space or 'not stated'}: axes taken as left, posterior, superior",)
    return notes


@contextmanager
def readable(path: Path, header: Header) -> Iterator[Path]:
    """The file, or a header beside it that calls the axis that is not of space `list`, as ITK wants it."""
    axis = header.axis
    if axis is None or header.kinds[axis].lower() == "list":
        yield path
        return
    data = header.fields.get("data file", "")
    if re.search(r"%|^list", data, re.IGNORECASE):
        raise InputError(f"{path}: its fourth axis is of kind {header.kinds[axis]}, in several files; call it list")
    skip = int(header.fields.get("line skip", 0)) + (0 if data else header.lines)
    file = path.parent / data if data else path
    fields = header.fields | {"data file": str(file.absolute()), "line skip": str(skip)}
    fields["kinds"] = " ".join("list" if n == axis else "domain" for n in range(4))
    with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
        plain = Path(folder, "plain.nhdr")
        plain.write_text("NRRD0005\n" + "".join(f"{key}: {value}\n" for key, value in _ordered(fields)) + "\n", "utf-8")
        yield plain


def _ordered(fields: dict[str, str]) -> list[tuple[str, str]]:
    """What says how many axes there are before what needs to know; the data file last."""
    first = ("type", "dimension", "space", "space dimension", "sizes")
    rest = [key for key in fields if key not in (*first, "data file")]
    return [(key, fields[key]) for key in (*first, *rest, "data file") if key in fields]


def write(path: Path, volume: Volume, header: Header | None, pairs: dict[str, str]) -> None:
    """Write a volume of plain values. `header`: of the file it came from, whose axes, space and units are kept."""
    series = volume.stored.ndim == 4
    axis = 3 if not series or header is None or header.axis is None else header.axis
    stored = np.moveaxis(volume.stored, -1, axis) if series else volume.stored
    timed = series and (header is None or header.axis is None)
    fields = _geometry(volume, header or Header(), axis, timed)
    if header is None:
        fields = {"space": "left-posterior-superior" + ("-time" if timed else "")} | fields
    elif "space" in header.fields:
        fields = {"space": header.fields["space"]} | fields
    else:
        fields = {"space dimension": "4" if timed else "3"} | fields
    name = stored.dtype.name
    fields |= {"type": TYPES.get(name, name), "dimension": str(stored.ndim), "sizes": " ".join(map(str, stored.shape))}
    fields |= {"endian": "little", "encoding": "gzip"}
    fields |= {key: header.fields[key] for key in KEPT if header is not None and key in header.fields}
    detached = path.suffix.lower() == ".nhdr"
    if detached:
        fields["data file"] = f"{path.stem}.raw.gz"
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in _ordered(fields))]
    lines += [f"{key}:={_escaped(value)}" for key, value in pairs.items() if ":" not in key and "\n" not in key]
    head = ("\n".join(lines) + "\n\n").encode()
    if detached:
        path.write_bytes(head)
    with (path.with_name(fields["data file"]) if detached else path).open("wb") as stream:
        if not detached:
            stream.write(head)
        _write_voxels(stream, stored)


def _geometry(volume: Volume, header: Header, axis: int, timed: bool) -> dict[str, str]:
    """Directions, origin and kinds in the header's own space and unit."""
    affine = np.diag([*(header.signs / scale_of(header)), 1.0]) @ volume.affine
    zero = (0.0,) if timed else ()
    directions = [_vector(*affine[:3, n], *zero) for n in range(3)]
    kinds = [kind for n, kind in enumerate(header.kinds) if n != axis or len(header.kinds) == 3]
    kinds = kinds if len(kinds) == 3 and "???" not in kinds else ["space" if timed else "domain"] * 3
    if volume.stored.ndim == 4:
        directions.insert(axis, _vector(0, 0, 0, volume.time_step) if timed else "none")
        kinds.insert(axis, header.kinds[axis] if len(header.kinds) == 4 else "time")
    geometry = {"space directions": " ".join(directions), "space origin": _vector(*affine[:3, 3], *zero)}
    return geometry | {"kinds": " ".join(kinds)}


def _vector(*numbers: float) -> str:
    return f"({','.join(repr(float(number) + 0.0) for number in numbers)})"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _write_voxels(stream: IO[bytes], stored: NDArray) -> None:
    """Little-endian, the first axis fastest, by slabs along the last."""
    with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0, compresslevel=6) as packed:
        for slab in np.moveaxis(stored, -1, 0):
            packed.write(slab.astype(slab.dtype.newbyteorder("<"), copy=False).tobytes(order="F"))
