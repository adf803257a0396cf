"""The page never speaks of commands, options and parameters: it has none."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import medsr
from medsr.commands.serve.wording import SUSPECT, page_words
from medsr.core.errors import MedsrError
from medsr.core.geometry import Grid
from medsr.io.images import image as image_io
from medsr.io.volumes import volume as volume_io
from medsr.volumes.request import Request
from tests.helpers.dicom import slice_of, write_xray

ISOTROPIC = Grid((8, 8, 8), np.eye(4))
THICK = Grid((8, 8, 8), np.diag([1.0, 1.0, 3.0, 1.0]))


def frames(folder: Path) -> None:
    path = write_xray(folder / "a.dcm", np.zeros((4, 6), np.uint16), NumberOfFrames=2, PixelData=bytes(96))
    image_io.read(path)


def zipped_slice(folder: Path) -> None:
    slice_of(0).save_as(folder / "a.dcm", enforce_file_format=True)
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        archive.write(folder / "a.dcm", "a.dcm")
    volume_io.read(folder / "scan.zip", None)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (frames, "save the frames wanted as single-frame DICOM or PNG (slices of a scan: as a zip)"),
        (zipped_slice, "one slice is an image; send it without a zip"),
        (lambda _: Request(scale=17), "factor 17: expected a factor from 1 (the same grid) to 16"),
        (
            lambda _: Request(spacing=(0.1,)).target(THICK),
            "a spacing of 0.1 mm: more than 16 times finer",
        ),
        (lambda _: Request(spacing=(2.0,)).target(ISOTROPIC), "choose a factor above 1, or a finer spacing"),
    ],
    ids=["frames", "one slice", "factor", "too fine", "too coarse"],
)
def test_what_the_page_cannot_do_is_said_in_its_words(
    tmp_path: Path, wrong: Callable[[Path], object], words: str
) -> None:
    with pytest.raises(MedsrError) as error:
        wrong(tmp_path)
    assert words in page_words(str(error.value))


def test_names_of_models_and_plain_sentences_stay() -> None:
    for text in ("medsr-mri was trained on MRI", "scan.png: none of what medsr reads", "a 4 -- 5 scan"):
        assert page_words(text) == text


def messages(folder: Path) -> Iterator[str]:
    """The texts of a folder's code, a 1 for each value in them; no docstrings."""
    for path in folder.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
        parts = {id(part) for node in joined for part in ast.walk(node)}
        parts |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in joined:
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield node.value


@pytest.mark.parametrize("room", ["io/images", "io/dicom", "io/volumes", "images", "volumes"])
def test_no_message_of_the_library_reaches_the_page_with_a_command_in_it(room: str) -> None:
    suspects = {text for text in messages(Path(medsr.__file__).parent / room) if SUSPECT.search(text)}
    assert suspects or room == "images"
    left = {page_words(text) for text in suspects if SUSPECT.search(page_words(text))}
    assert not left
