from __future__ import annotations

import os

import pytest

from medsr.text import ESCAPED, shown


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
