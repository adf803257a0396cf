"""The ancillary chunks of a PNG that say how its values are shown: carried from the input to the result unchanged.

PNG specification, third edition, sections 5 and 11.3. Pillow drops most of them and imagecodecs all.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE_AND_HEADER = 8 + 25
KEPT = (b"cHRM", b"gAMA", b"iCCP", b"cICP", b"sBIT", b"sRGB", b"eXIf")
PER_METRE = 1
RAW_EXIF, XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"
"""Keywords of texts: EXIF as ImageMagick wrote it before PNG had a chunk for it, and Adobe's metadata."""
MOST_TEXT = 1 << 24
"""Bytes of a text that are unpacked."""


def read(content: bytes) -> dict[bytes, bytes]:
    """The kept chunks of a PNG file, name -> data. EXIF may stand behind the pixels, or in a text."""
    chunks: dict[bytes, bytes] = {}
    for name, data in _chunks(content):
        if name in KEPT:
            chunks.setdefault(name, data)
    if b"eXIf" not in chunks and (exif := _raw_profile(text(content, RAW_EXIF))):
        chunks[b"eXIf"] = exif
    return chunks


def text(content: bytes, keyword: bytes) -> bytes:
    """The text of that keyword; nothing where there is none, or a damaged one."""
    for name, data in _chunks(content):
        word, mark, rest = data.partition(b"\0")
        if name not in (b"tEXt", b"zTXt", b"iTXt") or not mark or word != keyword:
            continue
        packed = name == b"zTXt"
        if name == b"iTXt" and len(rest) > 2:
            packed = rest[0] == 1
            rest = rest[2:].split(b"\0", 2)[-1]
        elif name == b"zTXt":
            rest = rest[1:]
        try:
            return zlib.decompressobj().decompress(rest, MOST_TEXT) if packed else rest
        except zlib.error:
            return b""
    return b""


def frames(content: bytes) -> int:
    """How many pictures an animated PNG holds; 1 for a usual one."""
    return next((int.from_bytes(data[:4], "big") for name, data in _chunks(content) if name == b"acTL"), 1)


def with_chunks(content: bytes | bytearray, chunks: dict[bytes, bytes]) -> Iterator[bytes | memoryview]:
    """A PNG file, in parts, with these chunks right after its header; the same chunks of its own are not expected."""
    whole = memoryview(content)
    yield whole[:SIGNATURE_AND_HEADER]
    yield from (_chunk(name, data) for name, data in chunks.items())
    yield whole[SIGNATURE_AND_HEADER:]


def resolution(dpi: tuple[float, float]) -> bytes:
    """The data of a pHYs chunk."""
    across, down = (round(value / 0.0254) for value in dpi)
    return struct.pack(">IIB", across, down, PER_METRE)


def depth(chunks: dict[bytes, bytes]) -> int | None:
    """Significant bits (sBIT), where all channels agree."""
    bits = set(chunks.get(b"sBIT", b""))
    return bits.pop() if len(bits) == 1 else None


def _raw_profile(written: bytes) -> bytes:
    """A name and a length, a line each, then the bytes in hexadecimal."""
    try:
        return bytes.fromhex("".join(written.decode("ascii").split("\n")[3:]))
    except ValueError:
        return b""


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 8
    while offset + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[offset : offset + 8])
        if name == b"IEND":
            return
        yield name, content[offset + 8 : offset + 8 + length] if name != b"IDAT" else b""
        offset += 12 + length


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
