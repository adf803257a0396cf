"""What is changed in files: bytes, elements of a DICOM header, compressed pictures in it, what is inside a packing."""

from __future__ import annotations

import gzip
import io
import pickletools
import random
import re
import zipfile
import zlib

NUMBERS = (
    0,
    1,
    2,
    2**7 - 1,
    2**7,
    2**8 - 1,
    2**15 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (b"-1", b"1e999", b"nan", b"9" * 30, b"\xff\xfe", b"\0" * 9, b"../", b"%s", b"[[[[")
VALUES = (b"", b"0", b"-1", b"1e999", b"nan", b"1\\2", b"\\" * 30, b"9" * 40, b"x" * 300, b"RGB", b"YBR_FULL", b"1.2")
VRS = (b"US", b"OW", b"OB", b"SQ", b"UN", b"DS", b"IS", b"UI", b"AT", b"FD", b"UL", b"zz")
ELEMENT = re.compile(
    rb"[\x02\x08\x10\x18\x20\x28\x40\x54]\0..(AE|AS|CS|DA|DS|IS|LO|OB|OW|PN|SH|SQ|TM|UI|UL|US|SS|UN|UT)"
)
PICTURE = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51")
"""Where a JPEG, JPEG-LS or JPEG 2000 stream begins."""
META = 144
"""Bytes of a DICOM file up to the end of the length of its meta information."""


def changed_bytes(file: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Of a compressed file mostly what is inside is changed: else its checksum catches everything."""
    if file.endswith((".gz", ".mgz")) and rng.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), others, rng), 1)
    return mutated(content, others, rng)


def mutated(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to eight changes: bytes, numbers of any width, cuts, repeats, pieces of other files; headers most of all."""
    data = bytearray(content)
    for _ in range(1 << rng.randrange(4)):
        if not data:
            data = bytearray(rng.randbytes(8))
        reach = len(data) if rng.random() < 0.4 else min(len(data), 400)
        at = rng.randrange(reach)
        kind = rng.randrange(8)
        if kind <= 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            width = rng.choice((1, 2, 4, 8))
            data[at : at + width] = _number(rng, width)
        elif kind == 4:
            del data[at : at + rng.randrange(1, 40)]
        elif kind == 5:
            data[at:at] = data[at : at + rng.randrange(1, 60)]
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at : at + 32] = other[start : start + 32]
        elif rng.random() < 0.5:
            del data[at:]
        else:
            data[at:at] = rng.choice(WORDS)
    return bytes(data)


def changed_dicom(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Elements of the header, the compressed picture, both, or any bytes."""
    kind = rng.random()
    if kind < 0.15:
        return mutated(content, others, rng)
    if kind < 0.6:
        content = _changed_elements(content, rng)
    return content if 0.4 < kind < 0.6 else _changed_picture(content, others, rng)


def changed_deflated(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Mostly what is inside, packed again."""
    if rng.random() < 0.2:
        return mutated(content, others, rng)
    start = META + int.from_bytes(content[META - 4 : META], "little")
    inside = zlib.decompressobj(-15).decompress(content[start:])
    inside = _changed_elements(inside, rng) if rng.random() < 0.7 else mutated(inside, others, rng)
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return content[:start] + packer.compress(inside) + packer.flush()


def changed_slices(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One slice in a zip, or some, or all of them alike; now and then one is missing, or is there twice."""
    slices = _members(content)
    if rng.random() < 0.1:
        return mutated(content, others, rng)
    chosen = rng.sample(list(slices), min(rng.choice((1, 1, 2, 99)), len(slices)))
    seed = rng.random()
    for name in chosen:
        alike = random.Random(seed) if rng.random() < 0.9 else rng
        slices[name] = (
            _changed_elements(slices[name], alike) if seed < 0.85 else mutated(slices[name], [slices[name]], alike)
        )
    if rng.random() < 0.1:
        del slices[rng.choice(list(slices))]
    if rng.random() < 0.1 and slices:
        slices["again.dcm"] = rng.choice(list(slices.values()))
    return _zipped(slices)


def changed_storages(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The pickle's numbers and names, or the storages beside it, packed again; or any bytes."""
    if not content.startswith(b"PK") or rng.random() < 0.2:
        return (
            mutated(_changed_pickle(content, rng), others, rng) if rng.random() < 0.5 else mutated(content, others, rng)
        )
    members = _members(content)
    name = rng.choice([name for name in members if name.endswith("data.pkl")] * 3 + list(members))
    if name.endswith(".pkl") and rng.random() < 0.8:
        members[name] = _changed_pickle(members[name], rng)
    elif rng.random() < 0.2:
        del members[name]
    else:
        members[name] = mutated(members[name], others, rng)
    return _zipped(members)


def _changed_elements(content: bytes, rng: random.Random) -> bytes:
    """Values, lengths and kinds of one to four elements; some are gone, or there twice."""
    data = bytearray(content)
    for _ in range(rng.randrange(1, 5)):
        places = [match.start() for match in ELEMENT.finditer(data)]
        sizes = [at for at in places if data[at] == 0x28]  # rows, columns, bits, photometric interpretation, spacing
        if not places:
            return mutated(content, [content], rng)
        at = rng.choice(sizes if sizes and rng.random() < 0.6 else places)
        long = data[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        start = at + (12 if long else 8)
        length = int.from_bytes(data[at + 8 : start] if long else data[at + 6 : start], "little")
        end = min(start + length, len(data))
        kind = rng.randrange(8)
        if kind <= 3:
            number = data[at + 4 : at + 6] in (b"US", b"SS", b"UL") and length in (2, 4)
            value = _near(bytes(data[start:end]), rng) if number else rng.choice(VALUES)
            value += b" " * (len(value) % 2)
            data[start - (4 if long else 2) : end] = len(value).to_bytes(4 if long else 2, "little") + value
        elif kind == 4:
            data[start - 2 : start] = _number(rng, 2)
        elif kind == 5:
            data[at + 4 : at + 6] = rng.choice(VRS)
        elif kind == 6:
            del data[at:end]
        else:
            data[at:at] = data[at:end]
    return bytes(data)


def _changed_picture(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The compressed stream: its own header above all, or another file's stream in its place, or its item's length."""
    found = PICTURE.search(content)
    if found is None:
        return mutated(content, others, rng)
    at = found.start()
    kind = rng.random()
    if kind < 0.1:
        return content[: at - 4] + _number(rng, 4) + content[at:]
    if kind < 0.2:
        other = rng.choice(others)
        theirs = PICTURE.search(other)
        return content[:at] + other[theirs.start() if theirs else 0 :]
    return content[:at] + mutated(content[at:], others, rng)


def _changed_pickle(content: bytes, rng: random.Random) -> bytes:
    """Numbers (sizes, strides, offsets), and the names of types."""
    data = bytearray(content)
    places = []
    try:
        for opcode, _, at in pickletools.genops(content):
            if at is not None and opcode.name in ("BININT", "BININT1", "BININT2"):
                places.append((at + 1, {"BININT": 4, "BININT1": 1, "BININT2": 2}[opcode.name]))
    except ValueError:
        pass  # no whole pickle: what was read of it counts
    for _ in range(rng.randrange(1, 4)):
        if places and rng.random() < 0.8:
            at, width = rng.choice(places)
            data[at : at + width] = (
                _number(rng, width) if rng.random() < 0.5 else rng.randrange(9).to_bytes(width, "little")
            )
        else:
            kinds = (b"FloatStorage", b"DoubleStorage", b"HalfStorage", b"ByteStorage", b"BoolStorage", b"OrderedDict")
            old, new = rng.choice(kinds), rng.choice(kinds)
            data = bytearray(bytes(data).replace(old, new.ljust(len(old), b"x")[: len(old)], 1))
    return bytes(data)


def _near(value: bytes, rng: random.Random) -> bytes:
    """A number of the same width: a little more or less, twice, half, or an odd one."""
    number = int.from_bytes(value, "little")
    chosen = rng.choice((number - 1, number + 1, number * 2, number // 2, rng.choice(NUMBERS), rng.randrange(1 << 16)))
    return (chosen & ((1 << 8 * len(value)) - 1)).to_bytes(len(value), "little")


def _number(rng: random.Random, width: int) -> bytes:
    return (rng.choice(NUMBERS) & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("little", "big")))


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
