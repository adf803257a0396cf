"""NRRD files written, with the space, units, axes and keys of the file they came from."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medsr.io.volumes.base import Volume
from medsr.io.volumes.nrrd import Header, ordered, scale_of

TYPES = {"float32": "float", "float64": "double"}
KEPT = ("content", "sample units", "space units", "measurement frame")
"""Fields that are true of the refined grid, too."""


def write(path: Path, volume: Volume, header: Header | None, pairs: dict[str, str]) -> None:
    """Write a volume of plain values. `header`: of the file it came from, whose axes, space and units are kept."""
    series = volume.stored.ndim == 4
    axis = 3 if not series or header is None or header.axis is None else header.axis
    stored = np.moveaxis(volume.stored, -1, axis) if series else volume.stored
    timed = series and (header is None or header.timed)
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
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in ordered(fields))]
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
