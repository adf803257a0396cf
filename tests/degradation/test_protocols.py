from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.core.resample import resize
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.images.network import Interpolation
from medsr.io.images import image as image_io
from medsr.metrics import psnr_ssim


def test_flat_images_stay_flat_and_steps_are_eight_bit() -> None:
    flat = np.full((64, 48, 3), 100 / 255, np.float32)
    low = bicubic_then_blur(flat, 2, 1.0)
    assert low.shape == (32, 24, 3)
    np.testing.assert_allclose(low, 100 / 255, atol=1e-6)


def test_blur_is_in_low_resolution_pixels() -> None:
    point = np.zeros((130, 130, 1), np.float32)
    point[64:66, 64:66] = 1
    low = bicubic_then_blur(point, 2, 2.0)[:, :, 0].astype(np.float64)
    x = np.arange(65) - 32
    spread = np.sqrt((low.sum(0) * x**2).sum() / low.sum())
    assert 1.7 < spread < 2.3


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        bicubic_then_blur(np.zeros((5, 4, 1), np.float32), 2, 1.0)
    assert crop_to_multiple(np.zeros((13, 10, 3)), 4).shape == (12, 8, 3)


def test_bicubic_agrees_with_the_published_set5_figure(real_data: Path) -> None:
    """33.66 dB, x2, Y of YCbCr, 2 pixels cropped, on the published low-resolution files (MATLAB bicubic)."""
    figures = []
    weights = np.array([65.481, 128.553, 24.966]) / 255
    for path in sorted((real_data / "classic/Set5/image_SRF_2").glob("*_LR.png")):
        low = image_io.read(path).to_unit()
        high = image_io.read(path.with_name(path.name.replace("_LR", "_HR"))).to_unit()
        low, high = (np.repeat(x, 3, 2) if x.shape[2] == 1 else x for x in (low, high))
        result = psnr_ssim.eight_bit(Interpolation("bicubic")(low, 2))
        luma = [(x @ weights + 16 / 255)[2:-2, 2:-2, None].astype(np.float32) for x in (result, high)]
        figures.append(psnr_ssim.psnr(*luma))
    assert len(figures) == 5
    assert np.mean(figures) == pytest.approx(33.66, abs=0.05)


def test_bicubic_on_drive_under_p1(real_data: Path) -> None:
    """The baseline the toolkit is measured against: DRIVE at 512 x 512, x2, sigma 1."""
    image = image_io.read(real_data / "retina/DRIVE/test/images/01_test.tif")
    truth = resize(image.to_unit(), (512, 512), "lanczos").clip(0, 1)
    result = Interpolation("bicubic")(bicubic_then_blur(truth, 2, 1.0), 2)
    assert 32 < psnr_ssim.psnr(result, truth) < 36
