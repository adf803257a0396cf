"""No message repeats what stands in a header, whichever library or reader of ours found it wrong."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import PngImagePlugin

from medsr.core.errors import MedsrError
from medsr.io.images import image as image_io
from medsr.io.orientation import picture_as_shown
from medsr.io.volumes import volume as volume_io

SECRET = "SENTINEL"
VOXELS = np.random.default_rng(0).integers(0, 1000, (6, 7, 5)).astype(np.int16)
PIXELS = np.random.default_rng(1).integers(0, 255, (16, 19, 3)).astype(np.uint8)
NRRD = (
    *("type: int16", "dimension: 3", "space: left-posterior-superior", "sizes: 6 7 5", "space units: mm mm mm"),
    *("space directions: (1,0,0) (0,1,0) (0,0,3)", "kinds: domain domain domain", "endian: little", "encoding: raw"),
    *("space origin: (0,0,0)", "measurement frame: (1,0,0) (0,1,0) (0,0,1)", "content: x", "labels: a b c"),
    *("centers: cell cell cell", "thicknesses: nan nan 3", "min: 0", "old max: 9", "sample units: x", "number: 210"),
    *("line skip: 0", "byte skip: 0"),
)
SPACINGS = "spacings: 1 1 3"
META = (
    *("ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False"),
    *("CompressedData = False", "TransformMatrix = 1 0 0 0 1 0 0 0 1", "Offset = 0 0 0", "CenterOfRotation = 0 0 0"),
    *("AnatomicalOrientation = RAI", "ElementSpacing = 1 1 3", "ElementSize = 1 1 3", "DimSize = 6 7 5"),
    *("ElementNumberOfChannels = 1", "ElementType = MET_SHORT", "HeaderSize = 0", "ElementDataFile = LOCAL"),
)
NIFTI = ("sizeof_hdr", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter", "xyzt_units")
NIFTI += ("qform_code", "sform_code", "quatern_b", "srow_x", "intent_code", "magic", "descrip", "aux_file")


def changed(line: str, mark: str) -> Iterator[str]:
    """The line with the secret for its value, behind it, for its last word, as its key, and before a value of 0."""
    key, value = line.split(mark, 1)
    words = value.split()
    yield f"{key}{mark}{SECRET}"
    yield f"{key}{mark}{value} {SECRET}"
    yield f"{key}{mark}{' '.join([*words[:-1], SECRET])}"
    yield f"{key}{mark}{' '.join(['0', *words[1:-1], SECRET])}"
    yield f"{key}{mark}({SECRET},0,0) {value}"
    yield f'{key}{mark}"{SECRET}" \'{SECRET}'
    yield f"{key}{mark}{' '.join(SECRET for _ in words)}"
    yield f"{SECRET}{mark}{value}"


def nrrds(folder: Path) -> Iterator[Path]:
    without = [line for line in NRRD if not line.startswith("space")]
    for lines in (list(NRRD), [*without, SPACINGS]):
        for number, line in enumerate(lines):
            for other in changed(line, ": "):
                text = "\n".join(["NRRD0005", *lines[:number], other, *lines[number + 1 :]])
                yield written(folder / "a.nrrd", text.encode() + b"\n\n" + VOXELS.tobytes(order="F"))
    for text in (f"NRRD{SECRET}", f"NRRD0005\n{SECRET}"):
        yield written(folder / "a.nrrd", text.encode() + b"\n\n" + VOXELS.tobytes(order="F"))


def metaimages(folder: Path) -> Iterator[Path]:
    for number, line in enumerate(META[:-1]):  # a file of voxels is called by its name
        for other in changed(line, " = "):
            text = "\n".join([*META[:number], other, *META[number + 1 :]])
            yield written(folder / "a.mha", text.encode() + b"\n" + VOXELS.tobytes(order="F"))
            yield written(folder / "a.mhd", text.encode() + b"\n")


def niftis(folder: Path) -> Iterator[Path]:
    image = nib.Nifti1Image(VOXELS, np.diag([1, 1, 3, 1]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nib.save(image, folder / "b.nii")
    content = (folder / "b.nii").read_bytes()
    types = image.header.structarr.dtype.fields
    for name in NIFTI:
        kind, at = types[name][:2]
        yield written(
            folder / "a.nii", content[:at] + (SECRET * 12).encode()[: kind.itemsize] + content[at + kind.itemsize :]
        )
    yield written(folder / "a.nii", content[:352] + SECRET.encode() + content[360:])
    yield written(folder / "a.nii", content[:700])


def sidecars(folder: Path) -> Iterator[Path]:
    """What BIDS says beside a scan."""
    nib.save(nib.Nifti1Image(VOXELS, np.diag([1, 1, 3, 1])), folder / "sub-1_T1w.nii")
    for key in ("Modality", "SliceThickness", "RepetitionTime", "ImageType", "BodyPartExamined", "Units"):
        for value in (SECRET, [SECRET], {SECRET: 1}):
            written(folder / "sub-1_T1w.json", json.dumps({key: value}).encode())
            yield folder / "sub-1_T1w.nii"
    written(folder / "sub-1_T1w.json", f"{{{SECRET}".encode())
    yield folder / "sub-1_T1w.nii"


def pngs(folder: Path) -> Iterator[Path]:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    texts.add_text(SECRET, "x", zip=True)
    Pillow.fromarray(PIXELS).save(folder / "b.png", pnginfo=texts)
    content = (folder / "b.png").read_bytes()
    for kind in (b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"sBIT", b"IHDR", b"pHYs", b"gAMA", b"PLTE", SECRET[:4].encode()):
        for body in (SECRET.encode(), f"{SECRET}\0\0{SECRET}".encode()):
            chunk = struct.pack(">I", len(body)) + kind + body
            for sum_ in (zlib.crc32(kind + body), 1):
                yield written(folder / "a.png", content[:33] + chunk + struct.pack(">I", sum_) + content[33:])
    yield from cut(folder / "a.png", content)


def jpegs(folder: Path) -> Iterator[Path]:
    entries = Pillow.Exif()
    entries[315] = entries[270] = SECRET
    Pillow.fromarray(PIXELS).save(folder / "b.jpg", comment=SECRET.encode(), exif=entries.tobytes())
    content = (folder / "b.jpg").read_bytes()
    yield from cut(folder / "a.jpg", content)
    yield written(folder / "a.jpg", content.replace(b"JFIF", SECRET[:4].encode()))
    yield written(folder / "a.jpg", content.replace(b"MM\0*", SECRET[:4].encode()))


def tiffs(folder: Path) -> Iterator[Path]:
    tags = [(305, "s", 0, SECRET, True), (315, "s", 0, SECRET, True)]
    tifffile.imwrite(folder / "b.tif", PIXELS, photometric="rgb", description=SECRET, extratags=tags, metadata=None)
    content = (folder / "b.tif").read_bytes()
    yield from cut(folder / "a.tif", content)
    for tag in (256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 282, 296, 339):  # as text instead of a number
        at = content.find(struct.pack("<H", tag) + b"\3\0")
        if at > 0:
            value = struct.pack("<HHI", tag, 2, 9) + struct.pack("<I", content.find(SECRET.encode()))
            yield written(folder / "a.tif", content[:at] + value + content[at + 12 :])


def portable(folder: Path) -> Iterator[Path]:
    for head in (
        f"P5 # {SECRET}\n{SECRET} 4 255",
        f"P5 #{SECRET}\n4 4 {SECRET}",
        f"P5\n#{SECRET}\n4 4 70000",
        f"P{SECRET}",
    ):
        yield written(folder / "a.pgm", f"{head}\n".encode() + bytes(16))
    yield written(folder / "a.pgm", f"P2\n4 4 255\n1 2 {SECRET} 4".encode())
    yield written(folder / "a.pgm", f"P5 #{SECRET}\n4 4 255\n".encode() + bytes(3))


def gifs(folder: Path) -> Iterator[Path]:
    Pillow.fromarray(PIXELS[:, :, 0]).save(folder / "b.gif", comment=SECRET.encode())
    yield from cut(folder / "a.gif", (folder / "b.gif").read_bytes())


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path, content: bytes) -> Iterator[Path]:
    """The file, ended early or damaged at thirty places."""
    for at in range(4, len(content), max(1, len(content) // 30)):
        yield written(path, content[:at])
        yield written(path, content[:at] + SECRET.encode() + content[at + len(SECRET) :])


VOLUMES = {"nrrd": nrrds, "metaimage": metaimages, "nifti": niftis, "bids": sidecars}
IMAGES = {"png": pngs, "jpeg": jpegs, "tiff": tiffs, "pgm": portable}


def said_of(read: Callable[[Path], object], paths: Iterator[Path]) -> tuple[list[str], int]:
    """What is said of the files, and how many are refused."""
    said, refused = [], 0
    for path in paths:
        try:
            said += getattr(read(path), "notes", ())
        except (MedsrError, OSError) as error:
            refused += 1
            said.append(str(error))
    return said, refused


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*VOLUMES, *IMAGES, "gif"])
def test_no_message_repeats_the_header(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    if kind == "gif":
        said, refused = said_of(picture_as_shown, gifs(tmp_path))
    elif kind in VOLUMES:
        said, refused = said_of(volume_io.read, VOLUMES[kind](tmp_path))
    else:
        said, refused = said_of(image_io.read, IMAGES[kind](tmp_path))
    assert refused or kind == "bids"
    printed = capfd.readouterr()
    found = sorted({text for text in [*said, printed.out, printed.err] if SECRET[:4] in text})
    assert not found, "\n".join(found)
