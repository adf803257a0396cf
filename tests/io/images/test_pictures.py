"""No picture starts a program: Pillow would start Ghostscript for EPS under any name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin
from PIL import Image as Pillow

import medsr
from medsr.core.errors import InputError
from medsr.io.images import image as image_io
from medsr.io.orientation import picture_as_shown

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["mask.png", "mask.gif", "mask.eps"])
def test_eps_under_any_name_starts_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1) or Pillow.new("L", (20, 20)))
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(OSError, match="its content is not PNG"):
        picture_as_shown(path)
    with pytest.raises(InputError):
        image_io.read(path)
    assert not started


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp", "pgm"])
def test_masks_of_every_listed_format_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mask.{suffix}"
    Pillow.fromarray(np.full((20, 30), 255, np.uint8)).save(path)
    assert np.asarray(picture_as_shown(path).convert("L")).min() > 250


def test_every_opening_names_its_formats() -> None:
    for path in Path(medsr.__file__).parent.rglob("*.py"):
        for call in re.findall(r"\b(?:Pillow|Image)\.open\(.*", path.read_text()):
            assert "formats=" in call, f"{path}: {call}"


@pytest.mark.parametrize("largest", [1, 255, 65535])
@pytest.mark.parametrize(("kind", "channels"), [("P2", 1), ("P3", 3)])
def test_masks_written_as_numbers_are_read_as_pillow_reads_them(
    kind: str, channels: int, largest: int, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 2, 20 * channels) * largest
    path = tmp_path / "mask.pnm"
    path.write_text(f"{kind}\n5 4\n{largest}\n{' '.join(map(str, values))}\n")
    with Pillow.open(path) as expected:
        np.testing.assert_array_equal(np.asarray(picture_as_shown(path)), np.asarray(expected))
