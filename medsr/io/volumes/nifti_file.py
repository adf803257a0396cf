"""NIfTI, Analyze and MGH files: opened by their content, and looked at before nibabel repairs what is wrong."""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.text import reason
from medsr.io import expansion
from medsr.io.volumes.formats import is_mgh, is_nifti

_MOST_GZIP = 1040
"""No gzip file expands to more than this many times its size (deflate's limit is 1032)."""
_HEAD = 1024
MOST_EXTENSIONS = 1 << 26
"""Bytes of header extensions: a whole DICOM header or a surface in XML stays far below."""
MOST_COUNT = 10_000
MGH_BYTES = {0: 1, 1: 4, 3: 4, 4: 2}
"""Of a voxel, by MGH's number of its type."""
LONG = {1: "1-bit", 1536: "float128", 2048: "complex256"}
"""NIfTI's codes of types that nibabel does not read on every machine."""


@dataclass(frozen=True)
class Opened:
    """`image`: nibabel's, its voxels not read yet. `raw`: the header as the file has it, nothing repaired.

    `placed`: False for an MGH file that says its geometry is not good (goodRASFlag).
    """

    image: Any
    raw: Any
    notes: tuple[str, ...] = ()
    placed: bool = True

    @property
    def steps(self) -> NDArray[np.float64]:
        """The three voxel sizes as the file has them: nibabel replaces wrong ones by guesses."""
        steps = self.raw["delta"] if "delta" in self.raw else self.raw["pixdim"][1:4]
        return np.asarray(steps, float)[:3]


def open_file(path: Path) -> Opened:
    """The image in a file. Raises InputError for a header whose data cannot be found by it."""
    nib = nibabel()
    header = _header_of(path)
    with _stream(header) as stream:
        head = stream.read(_HEAD)
    notes: tuple[str, ...] = ()
    raw = _raw_nifti(nib, head, path)
    if raw is not None:
        _check_extensions(raw, header)
    elif is_mgh(head):  # nibabel unpacks all of it for what stands behind the voxels
        voxels = float(np.prod(np.frombuffer(head[4:20], ">i4").astype(float)))
        expansion.check(voxels * MGH_BYTES[head[23]], header.stat().st_size, str(path))
    if _named_compressed(path) == _is_compressed(path) or header != path:
        image = nib.load(path)
    else:
        image = _by_content(nib, path, head)
        notes += (f"the file is {'' if _is_compressed(path) else 'not '}compressed, unlike its name says",)
    if raw is None:
        names = {key: holder.filename for key, holder in image.file_map.items() if holder.filename}
        with _stream(Path(names.get("header", names.get("image", path)))) as stream:
            raw = type(image.header).from_fileobj(stream, check=False)
        good = not isinstance(image, nib.MGHImage) or int.from_bytes(head[28:30], "big", signed=True) > 0
        return Opened(image, raw, notes, good)
    image, more = _placed(nib, image, raw, head)
    qfac = float(raw["pixdim"][0])
    if qfac not in (-1, 0, 1) and int(raw["qform_code"]) > 0 >= int(raw["sform_code"]):
        more += (f"pixdim[0] is {qfac:g}, neither 1 nor -1: taken as 1 (left and right may be exchanged)",)
    return Opened(image, raw, notes + more)


def check_size(opened: Opened, shape: tuple[int, ...], path: Path) -> None:
    """Compare what the header promises with what the file can hold, and verify a compressed file to its end."""
    image = opened.image
    data = Path(image.file_map["image"].filename or path)
    begin = max(0, int(getattr(image.dataobj, "offset", 0)))
    voxels = float(np.prod([float(n) for n in shape])) * image.header.get_data_dtype().itemsize
    compressed = _is_compressed(data)
    size = data.stat().st_size
    if voxels > size * (_MOST_GZIP if compressed else 1):
        dims = " x ".join(map(str, shape))
        raise InputError(f"{path}: the header promises {dims} voxels ({voxels / 1e9:.3g} GB), the file holds less")
    if compressed:
        expansion.check(begin + voxels, size, str(path))
    held = _verify_gzip(data, begin + int(voxels)) if compressed else size
    if held < begin + voxels:
        raise InputError(f"{path}: truncated: {held} bytes where the header promises {begin + int(voxels)}")
    times = _left_out(opened.raw)
    if times > 1 and held >= begin + times * voxels:
        raise InputError(f"{path}: dim[0] says {len(shape)} axes, but the file holds {times} times as much; correct it")


def _left_out(raw: Any) -> int:
    """How many times the voxels that dim[0] counts there are, by the numbers behind."""
    if "dim" not in raw:
        return 1
    dims = [int(n) for n in raw["dim"]]
    return int(np.prod([max(1, n) for n in dims[dims[0] + 1 :]])) if 1 <= dims[0] < 7 else 1


def _header_of(path: Path) -> Path:
    """Of a pair, the header."""
    lower = path.name.lower()
    for ending in (".img", ".img.gz"):
        if lower.endswith(ending):
            stem = path.name[: -len(ending)]
            names = (stem + change(ending.replace("img", "hdr")) for change in (str, str.upper))
            return next((path.with_name(name) for name in names if path.with_name(name).is_file()), path)
    return path


def _stream(path: Path) -> Any:
    return gzip.open(path) if _is_compressed(path) else path.open("rb")


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _named_compressed(path: Path) -> bool:
    return path.suffix.lower() in (".gz", ".mgz")


def _by_content(nib: Any, path: Path, head: bytes) -> Any:
    """A single file whose name says compressed where it is not, or the other way round."""
    if is_mgh(head):
        klass = nib.MGHImage
    elif is_nifti(head):
        klass = nib.Nifti2Image if head[4:8] == b"n+2\0" else nib.Nifti1Image
    else:
        raise InputError(f"{path}: neither NIfTI nor MGH by its content")
    return klass.from_file_map({"image": nib.FileHolder(fileobj=_stream(path))})


def _raw_nifti(nib: Any, head: bytes, path: Path) -> Any:
    """A NIfTI header as it is, in the byte order its length says; None for another format. Raises InputError."""
    second = head[4:8] in (b"n+2\0", b"ni2\0")
    klass = nib.Nifti2Header if second else nib.Nifti1Header
    if not second and head[344:348] not in (b"n+1\0", b"ni1\0"):
        return None
    order = ">" if int.from_bytes(head[:4], "big") == klass.sizeof_hdr else "<"
    raw = klass(head[: klass.sizeof_hdr], order, check=False)
    axes, slope, intercept = int(raw["dim"][0]), float(raw["scl_slope"]), float(raw["scl_inter"])
    if not 1 <= axes <= 7:
        raise InputError(f"{path}: the header's dim[0] is {axes}, expected the number of axes, 1 to 7")
    if np.isinf(slope):
        raise InputError(f"{path}: the header's scl_slope is infinite; correct it")
    if np.isfinite(slope) and slope != 0 and not np.isfinite(intercept):
        raise InputError(f"{path}: the header's scl_slope is {slope:g}, but its scl_inter is not a number; correct it")
    if (code := int(raw["datatype"])) not in raw._data_type_codes.value_set():
        raise InputError(f"{path}: the header's datatype is {code}, which NIfTI does not define; correct it")
    if code in LONG:
        raise InputError(f"{path}: {LONG[code]} voxels are not handled, only integers, float32 and float64")
    offset = float(raw["vox_offset"])
    single = klass.sizeof_hdr + 4 if bytes(raw["magic"].item())[:2] in (b"n+",) else 0
    if offset != int(offset if np.isfinite(offset) else 0) or 0 != offset < single:
        raise InputError(f"{path}: the header's vox_offset is {offset:g}, expected whole bytes from {single}")
    return raw


def _check_extensions(raw: Any, header: Path) -> None:
    """Raise InputError for extensions that nobody writes, before nibabel reads all of them into memory.

    In one file they reach to the voxels; beside a file of voxels, to the end.
    """
    begin = raw.sizeof_hdr + 4
    single = bytes(raw["magic"].item()).startswith(b"n+")
    end = max(begin, int(raw["vox_offset"])) if single else begin + MOST_EXTENSIONS + 1
    with _stream(header) as stream:
        at = begin if stream.read(begin)[-4:-3] not in (b"", b"\0") else end
        for count in range(MOST_COUNT + 1):
            part = stream.read(8) if at + 16 <= end else b""
            if len(part) < 8:
                break
            size = int.from_bytes(part[:4], "big" if raw.endianness == ">" else "little", signed=True)
            if not 8 <= size <= end - at or at + size > begin + MOST_EXTENSIONS or count == MOST_COUNT:
                raise InputError(
                    f"{header}: damaged: its header extensions are of {size} bytes or in all more than "
                    f"{MOST_EXTENSIONS >> 20} MB; save it anew without them"
                )
            stream.read(size - 8)
            at += size
    if single and end > begin + MOST_EXTENSIONS:
        raise InputError(f"{header}: damaged: the header's vox_offset is {end}, far behind the header; correct it")


def _placed(nib: Any, image: Any, raw: Any, head: bytes) -> tuple[Any, tuple[str, ...]]:
    """The image with its voxels behind the header, where vox_offset says they begin with it: nobody means that."""
    begin = raw.sizeof_hdr + 4
    if float(raw["vox_offset"]) != 0 or not bytes(raw["magic"].item()).startswith(b"n+"):
        return image, ()
    if head[raw.sizeof_hdr : raw.sizeof_hdr + 1] not in (b"", b"\0"):
        raise InputError("the header's vox_offset is 0 and extensions follow it: where the voxels begin is not stated")
    header = image.header.copy()
    header.set_data_offset(begin)
    holder = image.file_map["image"]
    source = holder.filename if holder.fileobj is None else holder.fileobj
    placed = type(image)(nib.arrayproxy.ArrayProxy(source, header), None, header, file_map=image.file_map)
    return placed, (f"the header's vox_offset is 0: the voxels are taken from byte {begin}",)


def _verify_gzip(data: Path, promised: int) -> int:
    """Bytes it holds. Read to the end for the checksum; far beyond the promised voxels it is not read for ever."""
    try:
        with gzip.open(data) as stream:
            read = 0
            while block := stream.read(1 << 22):
                read += len(block)
                if read > promised + (1 << 28):
                    break
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{data}: truncated or damaged gzip file ({reason(error)})") from error
    return read


def nibabel() -> Any:
    """The library, silenced: it reports what it repairs; we refuse instead."""
    import nibabel as nib
    from nibabel import imageglobals

    imageglobals.logger.setLevel(logging.CRITICAL)
    return nib


def as_from_file(image: Any) -> Any:
    """The image as if read back: nibabel applies slope and intercept only to what came from a file."""
    files = image.make_file_map({kind: io.BytesIO() for kind, _ in image.files_types})
    image.to_file_map(files)
    return type(image).from_file_map(files)
