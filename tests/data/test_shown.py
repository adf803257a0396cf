"""Training and measuring take images as they are shown, at one depth for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

import medsr
from medsr.data import sources
from medsr.data.crops import GroundTruthCrops
from medsr.data.depth import with_depth
from medsr.data.pairs import PairedCrops, split_pairs
from medsr.io.images import image as image_io
from medsr.recipe import load
from medsr.training.degradations import strategy_of

TURNS = {1: None, 3: Pillow.Transpose.ROTATE_180, 6: Pillow.Transpose.ROTATE_90, 8: Pillow.Transpose.ROTATE_270}
"""How a picture must be stored for its EXIF orientation to show it upright."""


def _recipe(path: Path, train: Path, low: Path | None = None, **data: Any) -> Any:
    content = {
        "name": "shown",
        "scale": 2,
        "generator": {"name": "rrdn", "features": 8, "growth": 4, "convs": 2, "dense": 1, "blocks": 2},
        "data": {"train": str(train), "validation": 0.0, "crop": 32, "workers": 0, "flips": False, **data},
        "degradation": {"name": "pairs", "low_resolution": str(low)} if low else {"name": "bicubic"},
        "losses": {"l1": {"sharpened": False}},
        "iterations": 2,
        "batch": 1,
        "validate_every": 2,
        "save_every": 2,
    }
    path.write_text(yaml.safe_dump(content))
    return load(path)


def _write_turned(path: Path, shown: np.ndarray, orientation: int) -> None:
    path.parent.mkdir(exist_ok=True)
    exif = Pillow.Exif()
    exif[274] = orientation
    turn, picture = TURNS[orientation], Pillow.fromarray(shown)
    (picture if turn is None else picture.transpose(turn)).save(path, exif=exif)


def _films(folder: Path) -> Path:
    """Two dim films, one of them with a hot pixel, and one that needs 14 bits."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, top in (("a", 3000), ("b", 3000), ("c", 9000)):
        stored = rng.integers(0, top, (96, 80), dtype=np.uint16, endpoint=True)
        stored[0, 0] = 65000 if name == "b" else 0
        (folder / f"{name}.png").write_bytes(imagecodecs.png_encode(stored))
    return folder


@pytest.mark.parametrize("orientation", TURNS)
def test_crops_and_validation_are_of_what_is_shown(tmp_path: Path, fundus: np.ndarray, orientation: int) -> None:
    shown = fundus[:96, :64]
    _write_turned(tmp_path / "truth" / "a.png", shown, orientation)
    recipe = _recipe(tmp_path / "r.yml", tmp_path / "truth")
    [source] = sources.split(recipe.data, 32, 0).train
    assert source.size == (96, 64)
    crop = GroundTruthCrops((source,), recipe.data, 64, 3, 0)[0, 0][0].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(shown[:, :, 0], (64, 64))
    assert any(np.allclose(crop[0] * 255, window, atol=0.01) for window in windows[:, 0])
    [held_out] = strategy_of(recipe).validation_samples((source.path,), recipe)
    np.testing.assert_allclose(held_out.ground_truth * 255, shown, atol=0.01)


@pytest.mark.parametrize("turned", ["truth", "low"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_pair_fits_though_only_one_of_it_is_turned_by_exif(
    tmp_path: Path, fundus: np.ndarray, orientation: int, turned: str
) -> None:
    shown = fundus[:96, :64]
    for name, pixels in (("truth", shown), ("low", shown[::2, ::2])):
        _write_turned(tmp_path / name / "a.png", pixels, orientation if name == turned else 1)
    recipe = _recipe(tmp_path / "r.yml", tmp_path / "truth", tmp_path / "low")
    files = split_pairs(recipe)
    high, low = PairedCrops(files.train, recipe)[0, 0]
    np.testing.assert_allclose(high.numpy()[:, ::2, ::2], low.numpy(), atol=1e-6)


def test_the_depth_of_all_is_decided_once_said_and_written_into_the_run(tmp_path: Path) -> None:
    folder = _films(tmp_path / "films")
    recipe = _recipe(tmp_path / "r.yml", folder)
    settled, summary = with_depth(recipe)
    assert settled.data.bits == 14
    assert "read as 14-bit" in summary
    assert with_depth(_recipe(tmp_path / "other.yml", folder, pattern="[ab].png"))[0].data.bits == 12
    assert with_depth(_recipe(tmp_path / "other.yml", folder, bits=16))[0].data.bits == 16
    lines: list[str] = []
    result = medsr.finetune(tmp_path / "r.yml", out=tmp_path / "run", device="cpu", notify=lines.append)
    hot = sources.ImageSource(folder / "b.png", (96, 80))
    assert GroundTruthCrops((hot,), settled.data, 80, 1, 0)[0, 0][0].max() <= 1
    assert load(result.run / "recipe.yml").data.bits == 14
    assert any("read as 14-bit" in line for line in lines)


def test_evaluation_decides_once_and_its_protocol_says_so(tmp_path: Path) -> None:
    folder = _films(tmp_path / "films")
    lines: list[str] = []
    measured = medsr.evaluate("folder", folder, models=["bicubic"], device="cpu", notify=lines.append)
    assert "14-bit" in measured.protocol["bits"]
    assert any("read as 14-bit" in line for line in lines)
    by_hand = medsr.evaluate("folder", folder, models=["bicubic"], device="cpu", bits=12)
    assert "12-bit" in by_hand.protocol["bits"]
    assert [outcome.input.name for outcome in by_hand.failed] == ["c.png"]


def test_a_prepared_set_keeps_its_depth_in_the_manifest(tmp_path: Path) -> None:
    folder = _films(tmp_path / "films")
    result = medsr.prepare("generic_images", folder, out=tmp_path / "set", workers=1)
    assert {row.bits for row in result.rows} == {"14"}
    assert any("read as 14-bit" in note for note in result.notes)
    again = medsr.prepare("generic_images", folder, out=tmp_path / "set", workers=1)
    assert again.rows == result.rows
    (tmp_path / "set" / "train" / "c.png").unlink(missing_ok=True)  # what is left alone would need 12
    settled, summary = with_depth(_recipe(tmp_path / "r.yml", tmp_path / "set"))
    assert settled.data.bits == 14
    assert str(tmp_path / "set") in summary
    row = next(row for row in result.rows if row.id == "a")
    pixels = image_io.read(tmp_path / "set" / row.file).pixels
    np.testing.assert_array_equal(pixels, image_io.read(folder / "a.png").pixels)
