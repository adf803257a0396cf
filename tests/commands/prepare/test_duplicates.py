from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from medsr.commands.prepare import duplicates
from medsr.commands.prepare.inspect_images import inspect_item
from tests.helpers.images import write_png


def test_the_same_pixels_and_the_same_picture_are_told_from_another(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus)
    Pillow.fromarray(fundus).save(tmp_path / "b.bmp")
    stream = io.BytesIO()
    Pillow.fromarray(fundus).save(stream, "JPEG", quality=80)
    (tmp_path / "c.jpg").write_bytes(stream.getvalue())
    write_png(tmp_path / "d.png", np.ascontiguousarray(fundus[::-1]))
    write_png(tmp_path / "e.png", np.zeros((64, 64, 3), np.uint8))
    write_png(tmp_path / "f.png", np.full((64, 64, 3), 255, np.uint8))
    inspections = {path.stem: inspect_item({"image": [path]}, "images") for path in sorted(tmp_path.iterdir())}
    assert duplicates.exact(inspections) == {"b": "a"}
    assert duplicates.near(inspections) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_different_eyes_and_chests_are_different(real_data: Path) -> None:
    for pattern in ("retina/DRIVE/test/images/*.tif", "chest/nih/*.png"):
        paths = sorted(real_data.glob(pattern))[:20]
        assert len(paths) == 20
        inspections = {path.stem: inspect_item({"image": [path]}, "images") for path in paths}
        assert not duplicates.exact(inspections)
        assert not duplicates.near(inspections)
