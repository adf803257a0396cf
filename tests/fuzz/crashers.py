"""Files that once crashed a reader, hung it or took its memory, made here: `python -m tests.fuzz.crashers FOLDER`.

Each is the least change that still did it. What a reader must do with them now is end in one of medsr's own errors.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz.readers import READERS

METAIMAGE = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "ElementSpacing": "1 1 1",
    "DimSize": "4 6 5",
    "ElementType": "MET_SHORT",
}


def _metaimage(**changes: str) -> bytes:
    fields = METAIMAGE | changes
    fields["ElementDataFile"] = fields.pop("ElementDataFile", "LOCAL")
    return "".join(f"{key} = {value}\n" for key, value in fields.items()).encode("latin-1") + bytes(240)


def _tiff(**tags: int) -> bytes:
    """A picture of one row that claims to be otherwise."""
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((1, 10, 3), np.uint8), rowsperstrip=1, compression="zlib")
    content = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        places = {name: tiff.pages[0].tags[name].offset for name in tags}
    for name, value in tags.items():
        struct.pack_into("<HII", content, places[name] + 2, 4, 1, value)  # a number of 32 bits
    return bytes(content)


def _jpeg() -> bytes:
    """One of 10 by 12 pixels that claims 178 million, for which gigabytes would be painted grey."""
    content = bytearray(READERS["pictures"].seeds()["b.jpg"])
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 13377, 13377)
    return bytes(content)


def _zip(at: int, value: bytes) -> bytes:
    """A zip changed at `at`, counted from its central directory."""
    content = bytearray(READERS["archives"].seeds()["a.zip"])
    at += content.index(b"PK\1\2")
    content[at : at + len(value)] = value
    return bytes(content)


def _png_header() -> bytes:
    """A PNG of a few bytes that claims 400 million pixels: Pillow's DecompressionBombError is neither error of ours."""
    content = bytearray(READERS["pictures"].seeds()["a.png"])
    struct.pack_into(">II", content, 16, 20_000, 20_000)
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    return bytes(content)


def _gif() -> bytes:
    """One of 100 kB and 144 million pixels, which took 2 GB."""
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.new("P", (12_000, 12_000)).save(stream, "GIF")
    return stream.getvalue()


def _torn_zip() -> bytes:
    """Cut within: the central directory then says that it begins before the file does."""
    content = READERS["archives"].seeds()["a.zip"]
    return content[:148] + content[178:]


def _safetensors(spec: str = "", **changes: int) -> bytes:
    """The tensors of a real checkpoint, with another `spec` in its metadata or other hyperparameters there."""
    content = READERS["checkpoints"].seeds()["a.safetensors"]
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8 : 8 + length])
    stated = json.loads(header["__metadata__"]["spec"])
    stated["hyperparameters"] |= changes
    header["__metadata__"]["spec"] = spec or json.dumps(stated)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + content[8 + length :]


def _manifest(size: str) -> bytes:
    return READERS["manifests"].seeds()["manifest.csv"].replace(b"10x20", size.encode())


def _told(reader: str, file: str, **changes: object) -> bytes:
    """A JSON that medsr wrote, with other values."""
    return json.dumps(json.loads(READERS[reader].seeds()[file]) | changes).encode()


def _laughs() -> bytes:
    lists = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(["l0: &l0 x", *lists, "name: *l9", "data: *l9", "files: *l9"]).encode()


CRASHERS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    # SimpleITK died of a segmentation fault, or of a corrupted heap some files later
    "metaimage-dimensions-huge": ("metaimage", "x.mha", lambda: _metaimage(NDims="9" * 30)),
    "metaimage-dimensions-11": ("metaimage", "x.mha", lambda: _metaimage(NDims="11", DimSize=" ".join(["2"] * 11))),
    "metaimage-matrix-short": ("metaimage", "x.mha", lambda: _metaimage(TransformMatrix="1 0 0 1")),
    "metaimage-spacing-short": ("metaimage", "x.mha", lambda: _metaimage(ElementSpacing="1")),
    "metaimage-size-short": ("metaimage", "x.mha", lambda: _metaimage(DimSize="4 6")),
    "metaimage-size-huge": ("metaimage", "x.mha", lambda: _metaimage(DimSize="4 6 99999999999")),
    "metaimage-line-long": ("metaimage", "x.mha", lambda: _metaimage(Comment="x" * 5000)),
    # the pattern went to sprintf
    "metaimage-pattern-nonsense": ("metaimage", "x.mha", lambda: _metaimage(ElementDataFile="LO\x90%s%n%\xd1")),
    "metaimage-pattern-string": ("metaimage", "x.mha", lambda: _metaimage(ElementDataFile="a%s.raw 1 5 1")),
    "metaimage-pattern-twice": ("metaimage", "x.mha", lambda: _metaimage(ElementDataFile="a%d%d.raw 1 5 1")),
    "metaimage-pattern-absent": ("metaimage", "x.mha", lambda: _metaimage(ElementDataFile="a%03d.raw 1 5 1")),
    # struct.error of tifffile, which only looks for the orientation of a mask
    "mask-tiff-torn": ("masks", "tiff-l.png", lambda: b"II*\0"),
    # minutes, and gigabytes
    "tiff-million-strips": ("pictures", "x.tif", lambda: _tiff(ImageLength=14_811_148)),
    "tiff-many-channels": (
        "pictures",
        "x.tif",
        lambda: _tiff(ImageLength=65_000, RowsPerStrip=65_000, ImageWidth=60, SamplesPerPixel=60_000),
    ),
    "jpeg-many-pixels": ("pictures", "x.jpg", _jpeg),
    "tiff-many-rows": ("pictures", "x.tif", lambda: _tiff(ImageLength=4_000_000_000)),
    "gif-of-nothing": ("pictures", "x.gif", _gif),
    "png-many-pixels": ("pictures", "x.png", _png_header),
    "mask-many-pixels": ("masks", "x.png", _png_header),
    # OSError, which passed for an error of the disk
    "zip-torn": ("archives", "x.zip", _torn_zip),
    "zip-bzip2-that-is-none": ("archives", "x.zip", lambda: _zip(10, b"\x0c")),
    # JSONDecodeError, MemoryError, a network of terabytes
    "safetensors-metadata-torn": ("checkpoints", "x.safetensors", lambda: _safetensors('{"architecture":')),
    "safetensors-metadata-deep": ("checkpoints", "x.safetensors", lambda: _safetensors('{"a":' * 99_999)),
    "safetensors-blocks": ("checkpoints", "x.safetensors", lambda: _safetensors(blocks=10**9)),
    "safetensors-features": ("checkpoints", "x.safetensors", lambda: _safetensors(features=10**6)),
    # RecursionError
    "recipe-deep": ("recipes", "x.yml", lambda: b"[" * 99_999),
    "card-deep": ("cards", "x.yml", lambda: b"a: " + b"{b: " * 99_999),
    # a thousand million values in ten lines
    "recipe-laughs": ("recipes", "x.yml", _laughs),
    "recipe-in-itself": ("recipes", "x.yml", lambda: b"name: &a [*a]"),
    "card-laughs": ("cards", "x.yml", _laughs),
    # KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError in what medsr had written itself
    "sidecar-deep": ("sidecars", "scan.json", lambda: b"[" * 99_999),
    "sidecar-results-list": ("sidecars", "upscale.json", lambda: _told("sidecars", "upscale.json", results=[{}])),
    "sidecar-without-kind": ("sidecars", "scan.json", lambda: _told("sidecars", "scan.json", parameters={"scale": 2})),
    "sidecar-file-long": ("sidecars", "scan.json", lambda: _told("sidecars", "scan.json", input_file="x" * 3000)),
    "sidecar-file-disk": ("sidecars", "scan.json", lambda: _told("sidecars", "scan.json", input_file="/")),
    "plan-options-none": ("plans", "volume.json", lambda: _told("plans", "volume.json", options={"scale": "x"})),
    "plan-options-other": ("plans", "upscale.json", lambda: _told("plans", "upscale.json", options={"x": 1})),
    "plan-bids-absent": ("plans", "volume.json", lambda: _told("plans", "volume.json", bids="/nowhere\0")),
    "records-without-own": ("records", "recorded.json", lambda: b'{"hashes": {}}'),
    "records-own-list": ("records", "recorded.json", lambda: b'{"hashes": {}, "own": {"mine": []}}'),
    "records-deep": ("records", "recorded.json", lambda: b"[" * 99_999),
    "journal-made-nothing": ("journals", "journal.jsonl", lambda: b'["make a", {"of": 1, "made": [{"file": 1}]}]\n'),
    "journal-name-long": ("journals", "journal.jsonl", lambda: b'["begin a", {"folders": ["' + b"x" * 300 + b'"]}]\n'),
    "manifest-size-negative": ("manifests", "manifest.csv", lambda: _manifest("10x-20")),
    "manifest-size-nonsense": ("manifests", "manifest.csv", lambda: _manifest("10x20x" + "9" * 5000)),
}
"""Name -> reader, file name, content."""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, file, content) in CRASHERS.items():
        (folder / f"{name}{Path(file).suffix}").write_bytes(content())


if __name__ == "__main__":
    main()
