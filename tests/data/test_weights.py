"""How often each file is drawn from: `data.weights`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from medsr.core.errors import UsageError
from medsr.data.crops import GroundTruthCrops
from medsr.data.sources import split
from medsr.data.weights import weighted_choice
from medsr.recipe import Data


def test_files_are_drawn_in_proportion_to_the_first_pattern_that_fits() -> None:
    names = ["brain_1.nii", "brain_2.nii", "t2.nii", "other.nii"]
    choice = weighted_choice(names, {"brain_1*": 0.5, "brain*": 1.5, "t2*": 3})
    rng = np.random.default_rng(0)
    counts = np.bincount([choice(rng) for _ in range(12_000)], minlength=4)
    np.testing.assert_allclose(counts / 12_000, np.array([0.5, 1.5, 3, 1]) / 6, atol=0.015)


def test_without_weights_the_draw_is_what_it_was_before_there_were_any() -> None:
    """A run that was begun before goes on with the same crops."""
    choice, rng, before = weighted_choice(["a", "b", "c"], {}), np.random.default_rng(1), np.random.default_rng(1)
    assert [choice(rng) for _ in range(20)] == [int(before.integers(3)) for _ in range(20)]


def test_crops_of_images_follow_the_weights(tmp_path: Path) -> None:
    for name, value in (("dark", 60), ("light", 200)):
        Image.fromarray(value + np.arange(48 * 48, dtype=np.uint8).reshape(48, 48) % 50).save(tmp_path / f"{name}.png")
    data = Data(train=str(tmp_path), validation=0, crop=32, weights={"light*": 9})
    crops = GroundTruthCrops(split(data, 32, 0).train, data, 32, 1, 0)
    light = np.mean([float(crops[iteration, 0][0].mean()) > 0.5 for iteration in range(300)])
    assert 0.84 < light < 0.96


def test_a_pattern_that_fits_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"data.weights: no file to train on is called lihgt\*"):
        weighted_choice(["light.png"], {"lihgt*": 2})


@pytest.mark.parametrize("weight", [0, -1, "many", True])
def test_a_weight_is_above_zero(weight: object) -> None:
    with pytest.raises(ValidationError):
        Data(weights={"a*": weight})
