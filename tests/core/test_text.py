from __future__ import annotations

import os
from pathlib import Path

import pytest

from medsr.core.text import ESCAPED, cell, names_only, reason, shown, uncelled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Müller 眼 \u200d.png", "Müller 眼 \u200d.png"),
        (os.fsdecode(b"M\xfcller.png"), "M\\xfcller.png"),
        ("a\rb\nc\td", "a\\rb\\nc\td"),
        ("\x1b[2Jx\x9b", "\\x1b[2Jx\\x9b"),
        ("gnp.\u202eeye", "gnp.\\u202eeye"),
        ("C:\\new\\xfc", "C:\\new\\xfc"),
    ],
)
def test_what_nobody_can_see_is_escaped_and_nothing_else(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(expected) == expected
    shown(text).encode("utf-8")


def test_text_is_written_with_bytes_of_names_escaped() -> None:
    assert os.fsdecode(b"M\xfcller").encode("utf-8", ESCAPED) == b"M\\xfcller"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-a.png", "@SUM(A1)", "'=1", "''-", "plain", "'quoted'", "", "a=b"])
def test_a_cell_is_no_formula_and_comes_back(text: str) -> None:
    assert cell(text)[:1] not in ("=", "+", "-", "@")
    assert uncelled(cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "-a.png", "plain"])
def test_cells_of_older_tables_come_out_as_they_are(text: str) -> None:
    assert uncelled(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/alice/w.safetensors: damaged", "w.safetensors: damaged"),
        ("not '/srv/a b/w.pth'", "not 'w.pth'"),
        (r"C:\Users\alice\w.pth: gone", "w.pth: gone"),
        ("10 mm/s and 3/4 of https://example.org/a/b", "10 mm/s and 3/4 of https://example.org/a/b"),
    ],
)
def test_names_only(text: str, told: str) -> None:
    assert names_only(text) == told


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "invalid literal for int() with base 10: 'Doe^Jane'",
            "invalid literal for int() with base 10: an unknown value",
        ),
        ("A 'Bits Stored' value of '12' is wrong", "A 'Bits Stored' value of '12' is wrong"),
        ("value of 'Doe' isn't one of 'MR' or 'CT'", "value of an unknown value"),
        ("value of 'D'Oe 'x' is odd", "value of an unknown value is odd"),
        ("received b'Doe' with length 3", "received an unknown value with length 3"),
        ("bad\nTraceback (most recent call last):\n  File '/home/alice/x.py'", "bad"),
        ("With (0010,0010) got 1\nfor data_element:\n(0010,0010) Doe", "With (0010,0010) got 1"),
        ("cannot identify image file <_io.BytesIO object at 0x7f28c2943c40>", "cannot identify image file"),
        ("cannot identify image file '/home/alice/a.png'", "cannot identify image file '/home/alice/a.png'"),
    ],
)
def test_what_libraries_quote_of_a_file_is_not_repeated(said: str, expected: str) -> None:
    assert reason(ValueError(said), Path("/home/alice/a.png")) == expected


def test_a_reason_without_words_is_the_kind_of_error() -> None:
    assert reason(KeyError()) == "KeyError"
