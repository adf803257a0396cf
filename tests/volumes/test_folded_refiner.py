"""Refiners that fold 4 x 4 pixels: slices of any size, and how far they see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import medsr
from medsr.engines.base import Compute
from medsr.networks import checkpoint
from medsr.networks.architectures import ARCHITECTURES
from medsr.recipe import Recipe
from medsr.volumes.models import open_slice_model
from medsr.volumes.refine import Method, refine
from tests.helpers.scans import smooth_volume

SIZES = {"features": 8, "blocks": 1, "fold": 4}


def _file(folder: Path, std: float) -> Path:
    torch.manual_seed(0)
    spec = checkpoint.Spec("refiner", 1, 1, SIZES)
    net = spec.build()
    torch.nn.init.normal_(net.conv_last.weight, std=std)
    path = folder / f"folded_{std:g}.safetensors"
    checkpoint.save(path, net.state_dict(), spec)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(21, 22, 7), (33, 30, 9), (24, 23, 10)])
def test_a_fresh_one_changes_no_voxel_whatever_the_size(shape: tuple[int, int, int], tmp_path: Path) -> None:
    scan, affine = 1000 * smooth_volume(shape, 0), np.diag([1, 1, 3, 1])
    fresh = medsr.volume(scan, affine=affine, model=_file(tmp_path, 0.0)).image
    plain = medsr.volume(scan, affine=affine, model="back-projected").image
    np.testing.assert_allclose(fresh, plain, atol=0.01)


@pytest.mark.parametrize("side", [29, 30, 31, 32])
def test_a_slice_of_any_size_keeps_its_place(side: int, tmp_path: Path) -> None:
    """What is added to the borders is taken away again: the middle is what it is in a larger slice."""
    model = open_slice_model(_file(tmp_path, 0.02), Compute("cpu", "torch")).model
    assert model is not None
    assert model.receptive_radius == 4 * (2 * 1 + 3)
    large = np.random.default_rng(0).random((1, 64, 64), np.float32)
    whole = model.slices(large, (3.0, 1.0))
    part = model.slices(large[:, : side + 20, : side + 20], (3.0, 1.0))
    assert part.shape == (1, side + 20, side + 20)
    np.testing.assert_allclose(part[:, :side, :side], whole[:, :side, :side], atol=1e-5)
    assert np.abs(whole - large).max() > 0.01


@pytest.mark.slow
def test_background_left_out_changes_no_voxel_around_it(tmp_path: Path) -> None:
    """What is cut out of a slice begins where the network's blocks of pixels begin."""
    path = _file(tmp_path, 0.02)
    scan = np.zeros((101, 90, 12), np.float32)
    scan[39:68, 43:72] = 100 + 1000 * smooth_volume((29, 29, 12), 1)
    affine = np.diag([1, 1, 3, 1])
    image = medsr.volume(scan, affine=affine, model=path).image
    model = open_slice_model(path, Compute("cpu")).model
    assert model is not None
    whole = refine(scan, (101, 90, 36), replace(model, receptive_radius=None), Method()).stored
    inside = (slice(40, 67), slice(44, 71), slice(3, 33))
    np.testing.assert_allclose(image[inside], whole[inside], atol=0.05)


@pytest.mark.slow
def test_both_engines_agree(tmp_path: Path) -> None:
    path = _file(tmp_path, 0.02)
    slices = np.random.default_rng(0).random((2, 37, 42), np.float32)
    torch_model, openvino_model = (open_slice_model(path, Compute("cpu", name)).model for name in ("torch", "openvino"))
    assert torch_model is not None
    assert openvino_model is not None
    expected = torch_model.slices(slices, (4.0, 1.0))
    np.testing.assert_allclose(openvino_model.slices(slices, (4.0, 1.0)), expected, atol=1e-4)


def test_twice_the_fold_and_features_is_four_times_the_parameters() -> None:
    build = ARCHITECTURES["refiner"].build
    plain, folded = (
        sum(p.numel() for p in build(1, 1, features=features, fold=fold).parameters())
        for features, fold in ((64, 2), (128, 4))
    )
    assert 3.9 < folded / plain < 4.1


@pytest.mark.parametrize(("sizes", "crop"), [({"fold": 3}, 64), ({"fold": 4}, 62)])
def test_a_recipe_says_what_cannot_be_folded(sizes: dict, crop: int) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(
            {
                "name": "x",
                "scale": 1,
                "channels": 1,
                "generator": {"name": "refiner", **sizes},
                "degradation": {"name": "slice-profile"},
                "data": {"crop": crop, "degrade_crop": 96},
            }
        )
