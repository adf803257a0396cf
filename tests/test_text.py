from __future__ import annotations

import os

import pytest

from medsr.text import ESCAPED, cell, names_only, shown, uncelled


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
