"""What ITK does not check of a MetaImage: a header it would crash on, data that are missing or damaged."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.text import reason

SIZES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "FLOAT": 4}
SIZES |= {"DOUBLE": 8, "LONG_LONG": 8, "ULONG_LONG": 8}
LONGEST_HEADER = 1 << 20


MOST_DIMENSIONS = 10
LONGEST_LINE = 4000
PER_AXIS = ("ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation")
MATRICES = ("TransformMatrix", "Orientation", "Rotation")
COUNTS = ("NDims", "HeaderSize", "CompressedDataSize", "ElementNumberOfChannels")


def check_header(path: Path) -> dict[str, str]:
    """The header's fields.

    Raises InputError where its numbers do not fit each other: ITK writes past its arrays or crashes.
    """
    with path.open("rb") as stream:
        fields = read_header(stream)
    if any(len(key) + len(value) > LONGEST_LINE for key, value in fields.items()):
        raise InputError(f"{path}: damaged: a line of its header has no end")
    try:
        counts = {key: int(fields[key]) for key in COUNTS if key in fields}
        axes = counts["NDims"]
        if not 1 <= axes <= MOST_DIMENSIONS:
            raise ValueError(f"NDims {axes}")
        sizes = [int(word) for word in fields["DimSize"].split()]
        if len(sizes) != axes or not all(0 < size < 1 << 31 for size in sizes):
            raise ValueError(f"DimSize {sizes} for {axes} axes")
        for key, expected in [*((key, axes) for key in PER_AXIS), *((key, axes * axes) for key in MATRICES)]:
            if key in fields and len([float(number) for number in fields[key].split()]) != expected:
                raise ValueError(f"{key} has not {expected} numbers")
            if key in MATRICES and key in fields and _rank(fields[key], axes) < axes:
                raise ValueError(f"the axes of {key} lie in one plane")
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: damaged or not a readable MetaImage header ({reason(error)})") from error
    return fields


def look(fields: dict[str, str], path: Path) -> tuple[bool, tuple[str, ...]]:
    """Whether the header states a voxel spacing, and what it leaves open. Raises InputError for a spacing of 0."""
    notes: tuple[str, ...] = ()
    for key in ("ElementSpacing", "ElementSize"):
        if key in fields and not all(0 < float(step) < np.inf for step in fields[key].split()):
            raise InputError(f"{path}: the header's {key} is wrong, expected mm above 0")
    spacing, size = fields.get("ElementSpacing", ""), fields.get("ElementSize", "")
    if spacing and size and not np.allclose(_numbers(spacing), _numbers(size), rtol=0.01):
        notes += (f"ElementSpacing {spacing} is taken; ElementSize {size} differs (slices overlap or leave gaps?)",)
    if scale_of(fields) != 1:
        notes += (f"the header gives lengths in {fields['DistanceUnits']}: converted to mm",)
    matrix = next((fields[key] for key in MATRICES if key in fields), "")
    letters = fields.get("AnatomicalOrientation", "").upper()
    if re.fullmatch("[RLAPSIF]{3}", letters):
        columns = np.array(_numbers(matrix)).reshape(int(fields["NDims"]), -1)[:3, :3] if matrix else np.eye(3)
        if not _agree(letters, columns):
            notes += (f"AnatomicalOrientation {letters} contradicts the directions of the header, which are taken",)
    return bool(spacing or size), notes


def thicknesses(fields: dict[str, str]) -> list[str]:
    """How large a voxel is along each axis, where that is said beside the spacing."""
    return fields["ElementSize"].split() if "ElementSpacing" in fields and "ElementSize" in fields else []


def scale_of(fields: dict[str, str]) -> float:
    """Millimetres in one unit of the header's lengths."""
    return {"um": 1e-3, "cm": 10.0}.get(fields.get("DistanceUnits", "").lower(), 1.0)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split()]


def _rank(text: str, axes: int) -> int:
    return int(np.linalg.matrix_rank(np.array(_numbers(text)).reshape(axes, axes)))


def _agree(letters: str, rows: NDArray[np.float64]) -> bool:
    """Whether letters name the sides where the axes begin, or, as some programs write them, where they end."""
    axes = np.abs(rows).argmax(axis=1)
    ends = "".join(("RL", "AP", "IS")[axis][int(row[axis] > 0)] for axis, row in zip(axes, rows, strict=True))
    begins = ends.translate(str.maketrans("RLAPIS", "LRPASI"))
    return letters.replace("F", "I") in (ends, begins)


def verify(path: Path) -> None:
    """Raise InputError when the data are missing, too short, or their compressed stream is damaged.

    ITK prints a line and goes on with whatever was in the memory.
    """
    with path.open("rb") as stream:
        fields = read_header(stream)
        name = fields.get("ElementDataFile", "LOCAL")
        kind = fields.get("ElementType", "").removeprefix("MET_")
        if name.upper().startswith("LIST") or "%" in name:
            _check_several(path, name, stream.read(LONGEST_HEADER).decode("latin-1"))
            return
        if kind not in SIZES or not _true(fields.get("BinaryData", "True")):
            return  # numbers as text: left to ITK
        promised = int(np.prod([int(n) for n in fields["DimSize"].split()])) * SIZES[kind]
        if name.upper() == "LOCAL":
            _check(stream, fields, promised, path)
            return
    data = path.parent / name
    if not data.is_file():
        raise InputError(f"{path}: its data file {data.name} is not there")
    with data.open("rb") as stream:
        _check(stream, fields, promised, path)


def _check_several(path: Path, name: str, rest: str) -> None:
    """Every slice's file must be there; a pattern goes to C's sprintf, so it may hold one plain number and no more."""
    if name.upper().startswith("LIST"):
        files = [line.strip() for line in rest.splitlines() if line.strip()]
    else:
        pattern, *numbers = name.split()
        if not re.fullmatch(r"[^%\x00-\x1f\x7f-\x9f]*%0?[0-9]?d[^%\x00-\x1f\x7f-\x9f]*", pattern):
            raise InputError(f"{path}: its ElementDataFile {name[:60]!a} is not a pattern of file names")
        if not 2 <= len(numbers) <= 3 or not all(re.fullmatch("[0-9]{1,6}", number) for number in numbers):
            raise InputError(f"{path}: its ElementDataFile {name[:60]!a} names no first and last slice")
        first, last, step = (*map(int, numbers), 1)[:3]
        files = [pattern % number for number in range(first, last + 1, max(1, step))]
    missing = [file for file in files if not (path.parent / file).is_file()]
    if missing or not files:
        raise InputError(f"{path}: its data file {(missing or ['?'])[0][:60]!a} is not there")


def read_header(stream: IO[bytes]) -> dict[str, str]:
    """The header's fields; the stream is left where local data begin."""
    fields: dict[str, str] = {}
    while stream.tell() < LONGEST_HEADER and (line := stream.readline(4096)):
        key, _, value = line.decode("latin-1").partition("=")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    return fields


def _check(stream: IO[bytes], fields: dict[str, str], promised: int, path: Path) -> None:
    local = fields.get("ElementDataFile", "").upper() == "LOCAL"
    if not _true(fields.get("CompressedData", "False")):
        begin = stream.tell()
        held = stream.seek(0, 2) - begin - (0 if local else max(0, int(fields.get("HeaderSize", 0))))
        if held < promised:
            raise InputError(f"{path}: truncated: {held} bytes where the header promises {promised}")
        return
    if local and int(fields.get("CompressedDataSize", 0)) <= 0:  # ITK would read whatever is in the memory
        raise InputError(f"{path}: compressed, but its header states no CompressedDataSize; write it again")
    unpack, held = zlib.decompressobj(wbits=47), 0
    try:
        while (block := stream.read(1 << 20)) and not unpack.eof and held <= promised:
            while block and held <= promised:  # a MB may unpack to a GB
                held += len(unpack.decompress(block, 1 << 22))
                block = unpack.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{path}: its compressed data are damaged ({reason(error)})") from error
    if held < promised or not unpack.eof:
        raise InputError(f"{path}: its compressed data are damaged or truncated")


def _true(value: str) -> bool:
    """As ITK reads it: by the first letter."""
    return value[:1] in ("T", "t", "1")
