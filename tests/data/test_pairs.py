"""Pairs of ground truth and low resolution: the right partner, cut and turned alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsr.commands.finetune import finetune
from medsr.core.errors import InputError, UsageError
from medsr.io.images import image as image_io
from medsr.recipe import load
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png
from tests.helpers.recipes import PLAIN, write_recipe

pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture
def pair_folders(tmp_path: Path, image_folder: Path) -> tuple[Path, Path]:
    """Ground truth, and low resolution that is its negative, so that no other degradation could be meant."""
    low = tmp_path / "low"
    for path in sorted(image_folder.glob("eye_*.png")):
        small = 255 - image_io.read(path).pixels[::2, ::2]
        write_png(low / f"{path.stem}{'x2' if path.stem == 'eye_1' else ''}.png", small)
    return image_folder, low


def test_pairs_of_files_are_cut_and_turned_alike(pair_folders: tuple[Path, Path], tmp_path: Path) -> None:
    from medsr.data.pairs import PairedCrops, split_pairs

    truth, low = pair_folders
    jitter = {"gain": [0.5, 1.0], "offset": [0.0, 0.1]}
    for more in ({}, {"jitter": jitter}):
        data = {**PLAIN["data"], **more, "train": str(truth)}
        pairs = {"name": "pairs", "low_resolution": str(low)}
        recipe = load(write_recipe(tmp_path / "p.yml", data=data, degradation=pairs))
        files = split_pairs(recipe)
        assert len(files.train) == 5
        crops = PairedCrops(files.train, recipe)
        for iteration in range(12):
            high, small = crops[iteration, 0]
            assert high.shape == (3, 32, 32)
            assert small.shape == (3, 16, 16)
            if not more:
                corners = [high[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]  # turned, the pixel kept is another
                assert any(torch.allclose(1 - small, corner, atol=1e-6) for corner in corners)
            else:  # one gain and offset for both: the sum of an image and its negative is constant
                assert any(
                    float((small + high[:, y::2, x::2]).flatten(1).std(1).max()) < 1e-3 for y in (0, 1) for x in (0, 1)
                )


def test_pairs_train_and_are_validated_on_their_own_low_resolution(
    pair_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    truth, low = pair_folders
    recipe = write_recipe(tmp_path / "p.yml", degradation={"name": "pairs", "low_resolution": str(low)})
    write_png(truth / "lonely.png", image_io.read(truth / "eye_0.png").pixels)
    write_png(low / "eye_2.png", image_io.read(low / "eye_2.png").pixels[:-2])
    lines: list[str] = []
    result = finetune(recipe, truth, out=tmp_path / "run", device="cpu", notify=lines.append)
    assert result.bicubic["psnr"] < 12  # a negative
    assert any("lonely.png" in line and "has no low resolution" in line for line in lines)
    assert any("eye_2.png" in line and "is not 2 times that" in line for line in lines)
    with pytest.raises(UsageError, match="no pair to train on"):
        finetune(recipe, truth, out=tmp_path / "b", overrides=["scale=4"])


def test_a_partner_that_is_missing_is_named(pair_folders: tuple[Path, Path], tmp_path: Path) -> None:
    from medsr.data.pairs import Partners

    truth, low = pair_folders
    data = {**PLAIN["data"], "train": str(truth)}
    pairs = {"name": "pairs", "low_resolution": str(low)}
    partners = Partners(load(write_recipe(tmp_path / "p.yml", data=data, degradation=pairs)))
    assert partners(truth / "eye_1.png").name == "eye_1x2.png"
    with pytest.raises(InputError, match="no low resolution too_small"):
        partners(truth / "too_small.png")


def test_sixteen_bits_mean_the_same_in_both_of_a_pair(tmp_path: Path, fundus: np.ndarray) -> None:
    """The ground truth reaches 13 bits, its low resolution only 12: neither says so."""
    for index in range(3):
        wide = (fundus[:96, 60 * index : 60 * index + 96].astype(np.uint16) * 20) + 400
        wide[10, 10] = 6000
        write_png(tmp_path / "high" / f"{index}.png", wide)
        write_png(tmp_path / "low" / f"{index}.png", np.minimum(wide[1::2, 1::2], 4000))
    pairs = {"name": "pairs", "low_resolution": str(tmp_path / "low")}
    data = {**PLAIN["data"], "validation": "[2].png"}
    recipe = write_recipe(tmp_path / "p.yml", degradation=pairs, data=data, iterations=1)
    assert finetune(recipe, tmp_path / "high", out=tmp_path / "run", device="cpu").bicubic["psnr"] > 28


def test_partners_by_names_with_points_and_in_one_folder(tmp_path: Path, fundus: np.ndarray) -> None:
    from medsr.data.pairs import Partners

    for folder, side in (("high", 64), ("low", 32)):
        (tmp_path / folder).mkdir()
        for index in range(3):
            write_xray(tmp_path / folder / f"IM.000{index}", np.zeros((side, side), np.uint16))
    pairs = {"name": "pairs", "low_resolution": str(tmp_path / "low")}

    def partners(**more: Any) -> Partners:
        data = {**PLAIN["data"], "train": str(tmp_path / "high")}
        return Partners(load(write_recipe(tmp_path / "p.yml", degradation={**pairs, **more}, data=data)))

    assert [partners()(tmp_path / "high" / f"IM.000{n}").name for n in range(3)] == ["IM.0000", "IM.0001", "IM.0002"]
    write_png(tmp_path / "high" / "a.png", fundus[:64, :64])
    write_png(tmp_path / "high" / "ax2.png", fundus[:32, :32])
    both = partners(low_resolution=str(tmp_path / "high"))
    assert both(tmp_path / "high" / "a.png").name == "ax2.png"
    with pytest.raises(InputError, match="no low resolution"):
        both(tmp_path / "high" / "ax2.png")
    write_png(tmp_path / "high" / "ax2.tif", fundus[:32, :32])
    with pytest.raises(InputError, match=r"ax2\.png and ax2\.tif could both be"):
        partners(low_resolution=str(tmp_path / "high"))(tmp_path / "high" / "a.png")
