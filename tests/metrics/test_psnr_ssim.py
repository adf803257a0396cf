from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.metrics import psnr_ssim

TRUTH = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32) * 0.5 + 0.25


def _noisy(shape: tuple[int, ...], sigma: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    truth = gaussian_filter(rng.random(shape), (2,) * (len(shape) - 1) + (0,))
    truth = ((truth - truth.min()) / np.ptp(truth)).astype(np.float32)
    return (truth + rng.normal(0, sigma, shape)).clip(0, 1).astype(np.float32), truth


def test_psnr_is_its_formula() -> None:
    assert psnr_ssim.psnr(TRUTH + np.float32(0.1), TRUTH) == pytest.approx(20, abs=1e-3)
    assert psnr_ssim.psnr(TRUTH, TRUTH) == psnr_ssim.IDENTICAL


def test_mse_is_in_grey_levels_of_eight_bits() -> None:
    assert psnr_ssim.mse(TRUTH + np.float32(10 / 255), TRUTH) == pytest.approx(100, rel=1e-4)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    sigma=st.floats(0.005, 0.3),
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(40, 37, 1), (33, 48, 3), (16, 17, 18, 1)]),
)
def test_monai_measures_the_same(sigma: float, seed: int, shape: tuple[int, ...]) -> None:
    from monai.metrics import MSEMetric, PSNRMetric, SSIMMetric  # here: it takes seconds in every worker

    result, truth = _noisy(shape, sigma, seed)
    output, true = (torch.from_numpy(np.moveaxis(one, -1, 0)[None].copy()) for one in (result, truth))
    dimensions = len(shape) - 1
    assert psnr_ssim.psnr(result, truth) == pytest.approx(float(PSNRMetric(1.0)(output, true)), abs=1e-3)
    assert psnr_ssim.ssim(result, truth) == pytest.approx(
        float(SSIMMetric(dimensions, data_range=1.0)(output, true)), abs=1e-3
    )
    assert psnr_ssim.mse(result, truth) == pytest.approx(float(MSEMetric()(output, true).mean()) * 255**2, rel=1e-3)


def test_a_mask_keeps_out_what_lies_outside() -> None:
    result, truth = _noisy((64, 64, 1), 0.05, 0)
    where = np.zeros((64, 64), bool)
    where[:32] = True
    spoilt = result.copy()
    spoilt[40:] = 0.5
    for metric in (psnr_ssim.psnr, psnr_ssim.mse, psnr_ssim.ssim):
        assert metric(spoilt, truth, where) == pytest.approx(metric(result, truth, where), rel=1e-4)
        assert metric(spoilt, truth) != pytest.approx(metric(result, truth), rel=1e-2)


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, TRUTH.shape).astype(np.float32)
    assert psnr_ssim.ssim(TRUTH, TRUTH) == pytest.approx(1)
    assert psnr_ssim.ssim(TRUTH + 2 * noise, TRUTH) < psnr_ssim.ssim(TRUTH + noise, TRUTH) < 1


def test_a_blurred_image_is_less_sharp(fundus: np.ndarray) -> None:
    from scipy.ndimage import gaussian_filter

    unit = fundus.astype(np.float32) / 255
    assert psnr_ssim.sharpness(gaussian_filter(unit, (2, 2, 0))) < psnr_ssim.sharpness(unit) - 0.05


def test_luma_is_matlabs_in_eight_bits_and_leaves_grey_alone() -> None:
    white, black = np.ones((1, 1, 3), np.float32), np.zeros((1, 1, 3), np.float32)
    assert psnr_ssim.luma(white)[0, 0, 0] * 255 == pytest.approx(235)
    assert psnr_ssim.luma(black)[0, 0, 0] * 255 == pytest.approx(16)
    grey = psnr_ssim.eight_bit(TRUTH[:, :, :1])
    np.testing.assert_array_equal(psnr_ssim.luma(grey), grey)


def test_eight_bit_is_what_a_file_would_hold() -> None:
    stored = psnr_ssim.eight_bit(np.array([[-0.1, 0.5001, 1.3]], np.float32))
    np.testing.assert_allclose(stored * 255, [[0, 128, 255]])
