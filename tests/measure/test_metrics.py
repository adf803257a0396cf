from __future__ import annotations

import numpy as np
import pytest

from medsr.measure import metrics

TRUTH = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32) * 0.5 + 0.25


def test_psnr_is_its_formula() -> None:
    assert metrics.psnr(TRUTH + 0.1, TRUTH) == pytest.approx(20, abs=1e-3)
    assert metrics.psnr(TRUTH, TRUTH) == metrics.IDENTICAL


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, TRUTH.shape).astype(np.float32)
    assert metrics.ssim(TRUTH, TRUTH) == pytest.approx(1)
    assert metrics.ssim(TRUTH + 2 * noise, TRUTH) < metrics.ssim(TRUTH + noise, TRUTH) < 1


def test_eight_bit_is_what_a_file_would_hold() -> None:
    stored = metrics.eight_bit(np.array([[-0.1, 0.5001, 1.3]], np.float32))
    np.testing.assert_allclose(stored * 255, [[0, 128, 255]])
