"""The ancillary chunks of a PNG that say how its values are shown: carried from the input to the result unchanged.

PNG specification, third edition, sections 5 and 11.3. Pillow drops most of them and imagecodecs all.
"""

from __future__ import annotations

import struct
import zlib

SIGNATURE_AND_HEADER = 8 + 25
KEPT = (b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"eXIf")
PER_METRE = 1


def read(content: bytes) -> dict[bytes, bytes]:
    """The kept chunks of a PNG file, name -> data, as far as they stand before the pixels (as all of them must)."""
    found: dict[bytes, bytes] = {}
    place = 8
    while place + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if name in (b"IDAT", b"IEND"):
            break
        if name in KEPT:
            found[name] = content[place + 8 : place + 8 + length]
        place += 12 + length
    return found


def insert(content: bytes, chunks: dict[bytes, bytes]) -> bytes:
    """A PNG file with these chunks right after its header; the same chunks of its own are not expected."""
    body = b"".join(_chunk(name, data) for name, data in chunks.items())
    return content[:SIGNATURE_AND_HEADER] + body + content[SIGNATURE_AND_HEADER:]


def resolution(dpi: tuple[float, float]) -> bytes:
    """The data of a pHYs chunk."""
    across, down = (round(value / 0.0254) for value in dpi)
    return struct.pack(">IIB", across, down, PER_METRE)


def depth(chunks: dict[bytes, bytes]) -> int | None:
    """Significant bits (sBIT), where all channels agree."""
    bits = set(chunks.get(b"sBIT", b""))
    return bits.pop() if len(bits) == 1 else None


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
