from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medsr.degradation import high_order
from medsr.recipe import DegradationStage, HighOrder, KernelMix, SecondDegradationStage

IMAGES = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
STILL = {
    "blur_probability": 0,
    "resize_up_down_keep": (0, 0, 1),
    "noise_probability": 0,
    "jpeg_probability": 0,
}
NOTHING = HighOrder(first=DegradationStage(**STILL), second=SecondDegradationStage(**STILL), final_sinc_probability=0)


def _draw(settings: HighOrder, seed: int, batch: int = 4) -> high_order.Draw:
    return high_order.draw(settings, np.random.default_rng(seed), batch)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_the_same_draw_gives_the_same_low_resolution_whatever_else_draws(scale: int, seed: int) -> None:
    drawn = _draw(HighOrder(), seed)
    first = high_order.apply(IMAGES, drawn, scale)
    torch.rand(5), np.random.rand(5), random.random()
    second = high_order.apply(IMAGES, drawn, scale)
    assert first.shape == (4, 3, 64 // scale, 64 // scale)
    assert torch.equal(first, second)
    assert torch.equal((first * 255).round() / 255, first)
    assert 0 <= first.min() <= first.max() <= 1


def test_global_random_streams_are_left_alone() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    for seed in range(6):
        high_order.apply(IMAGES, _draw(HighOrder(), seed), 4)
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_draws_stay_within_the_recipes_ranges_and_hit_its_probabilities() -> None:
    draws = [_draw(HighOrder(), seed, 2) for seed in range(400)]
    resized = np.array([drawn.first.resize for drawn in draws])
    assert resized.min() >= 0.15
    assert resized.max() <= 1.5
    assert 0.62 < np.mean(resized < 1) < 0.78
    assert 0.14 < np.mean(resized > 1) < 0.27
    assert all(drawn.first.kernels is not None for drawn in draws)
    assert 0.74 < np.mean([drawn.second.kernels is not None for drawn in draws]) < 0.86
    gaussian = [drawn.first.noise for drawn in draws if drawn.first.noise and drawn.first.noise.gaussian]
    assert 0.42 < len(gaussian) / 400 < 0.58
    assert all((noise.strength >= 1).all() and (noise.strength <= 30).all() for noise in gaussian)
    assert all((drawn.second.jpeg >= 30).all() and (drawn.second.jpeg <= 95).all() for drawn in draws)
    assert 0.42 < np.mean([drawn.jpeg_last for drawn in draws]) < 0.58


@pytest.mark.parametrize("name", list(KernelMix.model_fields))
def test_every_kernel_is_normalised_and_21_wide(name: str) -> None:
    mix = KernelMix(**{key: float(key == name) for key in KernelMix.model_fields})
    order = DegradationStage(kernels=mix, sinc_probability=0)
    for seed in range(10):
        kernel = high_order._kernel(order, np.random.default_rng(seed))
        assert kernel.shape == (21, 21)
        assert kernel.sum() == pytest.approx(1, abs=1e-4)
        if name in ("iso", "generalized_iso", "plateau_iso"):
            np.testing.assert_allclose(kernel, kernel.T, atol=1e-6)


def test_with_every_step_off_only_the_reduction_remains() -> None:
    out = high_order.apply(IMAGES, _draw(NOTHING, 0), 1)
    torch.testing.assert_close(out, (IMAGES * 255).round() / 255)


def test_antialias_reduces_like_area_averaging_where_plain_bilinear_skips_pixels() -> None:
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::4] = 1  # at scale 4, plain bilinear samples between the same pixels every time
    drawn = high_order.draw(NOTHING, np.random.default_rng(0), 1)
    for mode in ("area", "bilinear", "bicubic"):
        from dataclasses import replace

        one = replace(drawn, first=replace(drawn.first), second=replace(drawn.second, mode=mode), final_mode=mode)
        inner = high_order.apply(stripes, one, 4, antialias=True)[..., 4:-4, 4:-4]
        assert (inner - 0.25).abs().max() < 0.02


def test_grey_images_go_through_too() -> None:
    out = high_order.apply(IMAGES[:, :1], _draw(HighOrder(), 1), 2)
    assert out.shape == (4, 1, 32, 32)


def test_apply_does_not_change_the_draw_or_the_images() -> None:
    import copy

    drawn, images = _draw(HighOrder(), 5), IMAGES.clone()
    before = copy.deepcopy(drawn)
    high_order.apply(images, drawn, 2)
    assert torch.equal(images, IMAGES)
    np.testing.assert_array_equal(drawn.first.jpeg, before.first.jpeg)
    np.testing.assert_array_equal(drawn.second.jpeg, before.second.jpeg)


def test_a_recipe_may_reduce_at_once_by_a_fixed_factor() -> None:
    straight = {"resize_up_down_keep": [0, 1, 0], "resize_range": [0.25, 0.25]}
    settings = HighOrder.model_validate({"name": "high-order", "first": straight})
    rng = np.random.default_rng(0)
    assert {high_order.draw(settings, rng, 1).first.resize for _ in range(20)} == {0.25}
    with pytest.raises(ValueError, match="in each direction"):
        HighOrder.model_validate({"name": "high-order", "first": {"resize_range": [0.25, 0.5]}})


def test_ways_to_resize_are_drawn_as_often_as_asked() -> None:
    modes = {"area": 0.2, "bilinear": 0.0, "bicubic": 0.6}
    settings = HighOrder(first={"resize_modes": modes}, second={"resize_modes": modes})
    drawn = [high_order.draw(settings, np.random.default_rng(seed), 1) for seed in range(400)]
    for way in (draw.first.mode for draw in drawn), (draw.second.mode for draw in drawn), (d.final_mode for d in drawn):
        shares = [share / 400 for share in np.unique(list(way), return_counts=True)[1]]
        np.testing.assert_allclose(shares, [0.25, 0.75], atol=0.07)  # area, bicubic


def test_the_published_ways_to_resize_are_drawn_as_before() -> None:
    """A run that was begun before goes on with the same pairs."""
    even = {"area": 0.5, "bilinear": 0.5, "bicubic": 0.5}
    before = high_order.draw(HighOrder(), np.random.default_rng(5), 2)
    after = high_order.draw(
        HighOrder(first={"resize_modes": even}, second={"resize_modes": even}), np.random.default_rng(5), 2
    )
    assert (before.first.mode, before.second.mode, before.final_mode) == (
        after.first.mode,
        after.second.mode,
        after.final_mode,
    )
    assert before.first.resize == after.first.resize


def test_a_recipe_that_resizes_in_no_way_is_refused() -> None:
    with pytest.raises(ValidationError, match="every way to resize has probability 0"):
        HighOrder(first={"resize_modes": {"area": 0, "bilinear": 0, "bicubic": 0}})
