"""Names and messages from elsewhere, made fit for a terminal, a table and a page."""

from __future__ import annotations

import codecs
import re
import unicodedata

ESCAPED = "medsr-escaped"
"""For `errors=` of what is written as text: a byte of a file name that is not UTF-8 comes out as `\\xfc`."""
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What changes the direction of text: a name with it is not what it seems to be."""

_QUOTED = re.compile(r"(?<!\w)[bru]?(['\"`])(.*?)\1")
_NOT_ITS_OWN = re.compile(r"\n\s*Traceback|\nfor data_element", re.IGNORECASE)
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-fA-F]+>")
UNKNOWN = "an unknown value"
_FORMULA = ("=", "+", "-", "@")
_FOLDERS = re.compile(r"(?<![\w.<:/])(?:[A-Za-z]:)?[\\/](?:[^\\/:;,'\"<>\n]+[\\/])+(?=[^\s\\/])")


def shown(text: object) -> str:
    """`text` on one line, with what no reader can see escaped; tabs stay.

    Line ends and control characters become `\\n`, `\\x1b`; bytes that are not UTF-8, as old archives leave in names of
    files, `\\xfc`. The same text always gives the same, so that names can be compared by it.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(_escape(letter) if _is_hidden(letter) else letter for letter in text)


def shown_lines(text: object) -> str:
    """`shown` for a text of several lines, which stay."""
    return "\n".join(map(shown, str(text).split("\n")))


def names_only(text: str) -> str:
    """`text` with every absolute path cut to its last name: for pages and answers that others get to see."""
    return _FOLDERS.sub("", text)


def cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula; `uncelled` gives it back."""
    return f"'{text}" if text.lstrip("'")[:1] in _FORMULA else text


def uncelled(text: str) -> str:
    """What `cell` was given. Cells of older tables come out as they are."""
    return text[1:] if text[:1] == "'" and text.lstrip("'")[:1] in _FORMULA else text


def reason(error: BaseException, *allowed: object) -> str:
    """What a library says of a damaged file, on one line of at most 200 characters, without what stands in the file.

    Libraries quote values, and any text may stand as a value, a name too. What they quote is kept where it is a number,
    a valid UID, a name that DICOM or Python has for something, or one of `allowed`; else it is "an unknown value".
    """
    text = " ".join(_OBJECT.sub("", _NOT_ITS_OWN.split(str(error))[0]).split())
    for match in _QUOTED.finditer(text):
        if not _is_term(match[2]) and match[2] not in map(
            str, allowed
        ):  # a value with quotes in it ends who knows where
            last = max(text.rfind(quote) for quote in "'\"`")
            text = f"{text[: match.start()]}{UNKNOWN}{text[last + 1 :]}"
            break
    return shown(text)[:200] or type(error).__name__


def _is_term(text: str) -> bool:
    """Whether it can name nobody: a number, a UID, a tag or a name of DICOM's dictionary, a type of numpy's."""
    from pydicom.datadict import DicomDictionary
    from pydicom.uid import UID_dictionary
    from pydicom.valuerep import VR

    if re.fullmatch(r"[-+]?[\d.]{1,64}|[<>=|]?[biuf]\d|u?int\d+|float\d+|\([0-9A-F]{4},[0-9A-F]{4}\)", text, re.ASCII):
        return True
    if text in VR.__members__ or any(text == term[0] for term in UID_dictionary.values()):
        return True
    return any(text in (entry[2], entry[4]) for entry in DicomDictionary.values())


def _is_hidden(letter: str) -> bool:
    if letter.isprintable() or letter == "\t":
        return False
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _TURNING


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escape, error.object[error.start : error.end])), error.end


codecs.register_error(ESCAPED, _replace)
