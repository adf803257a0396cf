"""What ITK does not check of a MetaImage: whether its data are all there and undamaged."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import IO

import numpy as np

from medsr.errors import InputError

SIZES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "FLOAT": 4}
SIZES |= {"DOUBLE": 8, "LONG_LONG": 8, "ULONG_LONG": 8}
LONGEST_HEADER = 1 << 20


def verify(path: Path) -> None:
    """Raise InputError when the data are missing, too short, or their compressed stream is damaged.

    ITK prints a line and goes on with whatever was in the memory.
    """
    with path.open("rb") as stream:
        fields = read_header(stream)
        name = fields.get("ElementDataFile", "LOCAL")
        kind = fields.get("ElementType", "").removeprefix("MET_")
        several = name.upper().startswith("LIST") or "%" in name
        if several or kind not in SIZES or not _true(fields.get("BinaryData", "True")):
            return  # several files, or numbers as text: left to ITK
        promised = int(np.prod([int(n) for n in fields["DimSize"].split()])) * SIZES[kind]
        if name.upper() == "LOCAL":
            _check(stream, fields, promised, path)
            return
    data = path.parent / name
    if not data.is_file():
        raise InputError(f"{path}: its data file {data.name} is not there")
    with data.open("rb") as stream:
        _check(stream, fields, promised, path)


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
            held += len(unpack.decompress(block))
    except zlib.error as error:
        raise InputError(f"{path}: its compressed data are damaged ({error})") from error
    if held < promised or not unpack.eof:
        raise InputError(f"{path}: its compressed data are damaged or truncated")


def _true(value: str) -> bool:
    """As ITK reads it: by the first letter."""
    return value[:1] in ("T", "t", "1")
