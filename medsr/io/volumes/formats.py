"""The registry of volume formats: one entry says everything about a format. Imports nothing heavy.

To add one, write its functions in a module of this folder and add an entry here. How scans are found and known, what
they are read and written by, which files they are stored in, what of a header goes along and what messages list: all of
it reads the entry. A DICOM series is not here: it is many files in a folder or a zip, and `dicom/` reads and writes it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.references import resolve

if TYPE_CHECKING:
    from medsr.io.volumes.base import GeometryChoice, Volume

NUMBERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


def is_nifti(head: bytes) -> bool:
    """Whether these bytes begin a NIfTI file that holds header and voxels."""
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def is_mgh(head: bytes) -> bool:
    """Version 1, big-endian, three axes and frames above 0, one of the four types."""
    if len(head) < 284:
        return False
    version, *shape, dtype = struct.unpack(">6i", head[:24])
    return version == 1 and all(0 < n < 1 << 16 for n in shape) and dtype in (0, 1, 3, 4)


@dataclass(frozen=True)
class VolumeFormat:
    """A format of volume files. Functions are named as "module:function"."""

    name: str
    suffixes: tuple[str, ...]
    """In lower case; the first is that of a whole file."""
    reader: str
    """(path, choice) to a `Volume` whose `kind` is `name`."""
    writer: str = ""
    """(path, volume); empty where results become NIfTI. It gets only values that the format can hold."""
    recognised: Callable[[bytes], object] | None = None
    """Whether a file with these first bytes, unpacked, has this format; None where only the name says so."""
    packed: str = ""
    """What a file that gzip packed is called; empty where the reader does not unpack it."""
    dtypes: tuple[str, ...] = NUMBERS
    """What a written file can store."""
    scaling: bool = False
    """Whether a written file can say that its stored values mean others (slope and intercept)."""
    check: str = ""
    """(path, volume): raises UsageError for what the writer would refuse, before hours of work."""
    describing: str = ""
    """(extra) without what may name a person or a place; empty: nothing of `extra` goes along."""
    headers: tuple[str, ...] = ()
    """Of `suffixes`: those of headers whose voxels lie in another file."""
    data: tuple[str, ...] = ()
    """Of `suffixes`: those of such other files, in the order of `headers`, where their names say that they belong."""
    files: str = ""
    """(path, written) to the files of a volume: header and data; empty where it is always one."""
    whole: str = ""
    """(path): raises InputError for a header without its voxels, which must not name files of this machine."""
    loses: str = ""
    """What of the header never goes along into a result. docs/images.md says the same."""

    @property
    def suffix(self) -> str:
        """What a whole file is called."""
        return self.suffixes[0]

    def read(self, path: Path, choice: GeometryChoice) -> Volume:
        """The volume of a file; the reader raises what it likes on damaged ones."""
        volume: Volume = resolve(self.reader)(path, choice)
        return volume

    def write(self, path: Path, volume: Volume) -> None:
        """Write a file of this format, by its suffix."""
        resolve(self.writer)(path, volume)

    def describe(self, extra: Any) -> Any:
        """What describes the volume alone."""
        return resolve(self.describing)(extra) if self.describing else None


FORMATS = (
    VolumeFormat(
        "NIfTI",
        (".nii", ".nii.gz"),
        "medsr.io.volumes.nibabel_io:read",
        "medsr.io.volumes.nibabel_io:write_nifti",
        recognised=is_nifti,
        packed=".nii.gz",
        scaling=True,
        describing="medsr.io.metadata:nifti",
        loses="extensions (they describe the old grid)",
    ),
    VolumeFormat(
        "MGH",
        (".mgh", ".mgz"),
        "medsr.io.volumes.nibabel_io:read",
        "medsr.io.volumes.nibabel_io:write_mgh",
        recognised=is_mgh,
        packed=".mgz",
        dtypes=("uint8", "int16", "int32", "float32"),
        describing="medsr.io.metadata:mgh",
        loses="tags (command lines)",
    ),
    VolumeFormat(
        "NRRD",
        (".nrrd", ".nhdr"),
        "medsr.io.volumes.itk:read_nrrd",
        "medsr.io.volumes.itk:write_nrrd",
        recognised=re.compile(rb"NRRD000").match,
        check="medsr.io.volumes.itk:check",
        describing="medsr.io.metadata:nrrd",
        headers=(".nhdr",),
        files="medsr.io.volumes.detached:nrrd_files",
        whole="medsr.io.volumes.detached:check_nrrd",
    ),
    VolumeFormat(
        "MetaImage",
        (".mha", ".mhd"),
        "medsr.io.volumes.itk:read_metaimage",
        "medsr.io.volumes.itk:write_metaimage",
        recognised=re.compile(rb"\s*(ObjectType|NDims|Comment)\s*[=:]").match,
        check="medsr.io.volumes.itk:check",
        describing="medsr.io.metadata:metaimage",
        headers=(".mhd",),
        files="medsr.io.volumes.detached:metaimage_files",
        whole="medsr.io.volumes.detached:check_metaimage",
        loses="`Comment` and `Name`",
    ),
    VolumeFormat(
        "Analyze",
        (".hdr", ".img", ".hdr.gz", ".img.gz"),
        "medsr.io.volumes.nibabel_io:read",
        "medsr.io.volumes.nibabel_io:write_pair",
        scaling=True,
        describing="medsr.io.metadata:analyze",
        headers=(".hdr", ".hdr.gz"),
        data=(".img", ".img.gz"),
        files="medsr.io.volumes.detached:pair_files",
    ),
)
BY_NAME = {entry.name: entry for entry in FORMATS}
SUFFIXES = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
WRITABLE = {suffix: entry for suffix, entry in SUFFIXES.items() if entry.writer}
RECOGNISED = tuple(entry for entry in FORMATS if entry.recognised is not None)
HEADERS = tuple(suffix for entry in FORMATS for suffix in entry.headers)
HEADER_OF = {data: header for entry in FORMATS for header, data in zip(entry.headers, entry.data, strict=False)}
"""Of data whose header has the same name: the suffix of data to that of its header."""
UNREAD = {".mnc": "MINC", ".par": "PAR/REC", ".rec": "PAR/REC", ".mif": "MIF", ".npy": "NumPy"}
"""Volumes that are not read, and are named as such."""


def format_of(head: bytes) -> VolumeFormat | None:
    """The format of a file that begins with these bytes once it is unpacked."""
    return next((entry for entry in RECOGNISED if entry.recognised and entry.recognised(head)), None)
