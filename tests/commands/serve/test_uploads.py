"""Names and messages: nothing of the server's gets out, nothing of the user's gets in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsr.commands.serve.uploads import name_of, stem_of, with_file_name, without_paths


@given(st.text(max_size=300))
def test_a_name_is_one_printable_part_of_a_path(name: str) -> None:
    cleaned = name_of(quote(name))
    assert cleaned
    assert cleaned.isprintable()
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert len(cleaned) <= 120


@given(st.text(max_size=300))
def test_on_the_disk_it_is_plain_letters(name: str) -> None:
    stem = stem_of(name)
    assert stem.isascii()
    assert stem.replace("_", "").replace("-", "").isalnum() or stem == "file"
    assert 0 < len(stem) <= 80


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("eye.png", "eye"),
        ("sub-01_T1w.nii.gz", "sub-01_T1w"),
        ("../../etc/passwd", "etc_passwd"),
        ("Ärztin.TIF", "rztin"),
    ],
)
def test_what_a_file_is_called_on_the_disk(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_messages_name_the_users_file_and_no_place() -> None:
    folder = Path("/tmp/my place/medsr-serve-x")
    text = f"{folder}/u1/f1/eye_1.png: damaged; see {folder}/u1/f1/eye_1.png, or /usr/lib/python3/x.py line 3"
    told = without_paths(text, folder, "eye 1.png")
    assert told == "eye 1.png: damaged; see eye 1.png, or ... line 3"
    assert without_paths("2 x 3 mm, 1/2 of it", folder, "a") == "2 x 3 mm, 1/2 of it"
    assert with_file_name("damaged", "eye.png") == "eye.png: damaged"
