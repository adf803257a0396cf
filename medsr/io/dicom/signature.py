"""How DICOM files begin."""

from __future__ import annotations

import re
import struct

HEAD = 352
"""Bytes that say what a file is."""
_FIRST_VRS = (b"UL", b"OB", b"UI", b"CS", b"SH", b"DA", b"TM", b"LO", b"DT", b"US")
"""Of elements that a data set may begin with."""
_TEXT = re.compile(rb"[ -~]+\0?")


def begins_as_dicom(head: bytes) -> bool:
    """Whether bytes begin as DICOM does: by the preamble, or without one by an element of group 2 or 8.

    Such an element has a small number, then either letters (its value representation) or a short length and a text.
    """
    if head[128:132] == b"DICM":
        return True
    for order in ("<", ">"):
        if len(head) >= 16:
            group, element, length = struct.unpack(f"{order}HHI", head[:8])
            explicit = head[4:6] in _FIRST_VRS
            text = element > 1 and 0 < length <= 64 and length % 2 == 0 and _TEXT.fullmatch(head[8 : 8 + length])
            implicit = order == "<" and (text or (element <= 1 and length == 4))
            if group in (2, 8) and element <= 0x80 and (explicit or implicit):
                return True
    return False
