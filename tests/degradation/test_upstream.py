"""The steps of the degradation beside the authors' own program, bit for bit, and beside other libraries."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from medsr.degradation import blur, kernels, matlab, noise
from medsr.degradation import jpeg as module_of_jpeg
from medsr.degradation.jpeg import jpeg
from medsr.networks import upstream
from tests.helpers.upstream import needs_upstream

SHAPES = [(7, (0.2, 3.0), 0.0, 0.5), (13, (1.3, 1.3), 0.7, 1.4), (21, (2.9, 0.4), -2.8, 4.0)]
"""Side, standard deviations, angle and beta of kernels."""


def _theirs(name: str) -> object:
    return upstream.part("basicsr.data.degradations", name)


@pytest.fixture
def photographs(fundus: np.ndarray) -> torch.Tensor:
    """Three pieces, (3, 3, 52, 46): sides that are no multiples of a JPEG's blocks."""
    pieces = np.stack([fundus[top : top + 52, 60:106] for top in (20, 90, 160)])
    return torch.from_numpy(pieces.transpose(0, 3, 1, 2).copy()).float() / 255


@needs_upstream
@pytest.mark.parametrize(("side", "sigmas", "angle", "beta"), SHAPES)
def test_kernels_are_basicsrs(side: int, sigmas: tuple[float, float], angle: float, beta: float) -> None:
    """As 32-bit numbers, which is what images are blurred with."""
    plain = {"isotropic": False}
    for ours, expected in (
        (kernels.gaussian(side, sigmas, angle), _theirs("bivariate_Gaussian")(side, *sigmas, angle, **plain)),
        (
            kernels.generalized_gaussian(side, sigmas, angle, beta),
            _theirs("bivariate_generalized_Gaussian")(side, *sigmas, angle, beta, **plain),
        ),
        (kernels.plateau(side, sigmas, angle, beta), _theirs("bivariate_plateau")(side, *sigmas, angle, beta, **plain)),
        (kernels.sinc(side, 0.5 + abs(angle)), _theirs("circular_lowpass_kernel")(0.5 + abs(angle), side)),
    ):
        np.testing.assert_array_max_ulp(ours.astype(np.float32), expected.astype(np.float32), 1)
    round_ones = _theirs("bivariate_Gaussian")(side, sigmas[1], sigmas[1], 0, isotropic=True)
    np.testing.assert_array_max_ulp(
        kernels.gaussian(side, (sigmas[1],) * 2, 0.0).astype(np.float32), round_ones.astype(np.float32), 1
    )


@needs_upstream
@pytest.mark.parametrize("grey", [(0, 0, 0), (1, 0, 1), (1, 1, 1)])
def test_noises_are_basicsrs(grey: tuple[int, ...], photographs: torch.Tensor) -> None:
    is_grey = torch.tensor(grey, dtype=torch.float32)
    for ours, name, strength in (
        (noise.gaussian, "generate_gaussian_noise_pt", torch.tensor([1.0, 12.5, 30.0])),
        (noise.poisson, "generate_poisson_noise_pt", torch.tensor([0.05, 1.0, 3.0])),
    ):
        torch.manual_seed(4)
        expected = _theirs(name)(photographs, strength, is_grey)
        torch.manual_seed(4)
        assert torch.equal(ours(photographs, strength, is_grey), expected)


@needs_upstream
def test_jpeg_is_basicsrs(photographs: torch.Tensor) -> None:
    theirs = upstream.part("basicsr.utils.diffjpeg", "DiffJPEG")(differentiable=False)
    for quality in ((30.0, 60.25, 95.0), (1.0, 50.0, 99.75), (49.5, 12.0, 99.0)):
        factors = torch.tensor(quality)
        with torch.no_grad():
            expected = theirs(photographs.clone(), quality=factors.clone())
        assert torch.equal(jpeg(photographs, factors), expected)
        assert factors.tolist() == list(quality)


@needs_upstream
def test_blur_and_unsharp_masking_are_basicsrs(photographs: torch.Tensor) -> None:
    filtered = upstream.part("basicsr.utils.img_process_util", "filter2D")
    several = torch.from_numpy(np.stack([kernels.gaussian(21, (s, 2.0), s) for s in (0.3, 1.0, 3.0)])).float()
    for given in (several, several[1:2]):
        assert torch.equal(blur.blur(photographs, given), filtered(photographs, given))
    theirs = upstream.part("basicsr.utils.img_process_util", "USMSharp")()
    images = [photographs.clone().requires_grad_(True) for _ in range(2)]
    results = [sharpen(image) for sharpen, image in zip((blur.UnsharpMask(), theirs), images, strict=True)]
    assert torch.equal(*results)
    for result in results:
        result.square().sum().backward()
    assert torch.equal(images[0].grad, images[1].grad)


@needs_upstream
@pytest.mark.parametrize(("before", "after"), [((48, 36), (24, 18)), ((45, 33), (15, 11)), ((20, 24), (80, 96))])
def test_matlabs_bicubic_is_basicsrs(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Within a few steps of 32-bit numbers: theirs are computed in those, ours in 64 bits."""
    image = np.random.default_rng(0).random((*before, 3)).astype(np.float32)
    theirs = upstream.part("basicsr.utils.matlab_functions", "imresize")(image, after[0] / before[0])
    np.testing.assert_allclose(matlab.bicubic(image, after), theirs, rtol=0, atol=3e-6)


def test_jpeg_does_to_grey_what_libjpeg_does(fundus: np.ndarray) -> None:
    """At quality 50, where the standard's tables stand as they are; the luma table lies on its side, as in training."""
    photograph = np.repeat(fundus[:240, :224, 1:2], 3, 2)
    file = io.BytesIO()
    tables = [np.transpose(module_of_jpeg._LUMA).ravel().tolist(), np.ravel(module_of_jpeg._CHROMA).tolist()]
    Image.fromarray(photograph).save(file, "jpeg", qtables=tables, subsampling="4:2:0")
    difference = np.abs(_through_jpeg(photograph, 50) - np.asarray(Image.open(file)))
    assert np.mean(difference > 1.01) < 0.05  # coefficients in the middle between two steps; on its feet: 0.30
    assert difference.mean() < 0.35  # on its feet: 0.83


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_jpeg_loses_about_what_libjpeg_loses(quality: int, fundus: np.ndarray) -> None:
    """Whose colours are enlarged more smoothly."""
    photograph = fundus[:250, :245]
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "jpeg", quality=quality, subsampling="4:2:0")
    lost = np.abs(_through_jpeg(photograph, quality) - photograph).mean()
    expected = np.abs(np.asarray(Image.open(file)).astype(float) - photograph).mean()
    assert expected < lost < 1.3 * expected


def _through_jpeg(photograph: np.ndarray, quality: float) -> np.ndarray:
    images = torch.from_numpy(photograph.transpose(2, 0, 1)[None].copy()).float() / 255
    return jpeg(images, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255


def test_jpeg_of_the_highest_quality_loses_colour_detail_alone() -> None:
    """The authors' program divides 0 by 0 there."""
    grey = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    torch.testing.assert_close(jpeg(grey, torch.tensor([100.0])), grey, rtol=0, atol=1e-4)


def test_kernels_have_the_spread_that_was_asked_for() -> None:
    kernel = kernels.gaussian(31, (3.0, 1.0), math.pi / 2)
    ahead = np.arange(31) - 15
    assert kernel.sum() == pytest.approx(1)
    assert math.sqrt((kernel.sum(0) * ahead**2).sum()) == pytest.approx(1, rel=0.01)  # columns: turned by a right angle
    assert math.sqrt((kernel.sum(1) * ahead**2).sum()) == pytest.approx(3, rel=0.01)
    flat = kernels.plateau(31, (4.0, 4.0), 0.0, 6.0)
    assert flat[15, 15] == pytest.approx(flat[15, 17], rel=1e-3)
    heavy, gaussian = kernels.generalized_gaussian(31, (2.0, 2.0), 0.0, 0.5), kernels.gaussian(31, (2.0, 2.0), 0.0)
    assert heavy[15, 27] > 10 * gaussian[15, 27]


def test_the_sinc_keeps_what_is_below_its_cutoff() -> None:
    response = np.abs(np.fft.fft2(kernels.sinc(21, math.pi / 2), (64, 64)))
    frequency = np.fft.fftfreq(64) * 2 * math.pi
    radius = np.hypot(frequency[:, None], frequency[None])
    assert response[radius < 0.3 * math.pi].min() > 0.8
    assert response[(radius > 0.7 * math.pi) & (radius < math.pi)].max() < 0.2


def test_noise_is_as_strong_as_it_says() -> None:
    flat = torch.full((2, 3, 256, 256), 0.5)
    torch.manual_seed(0)
    added = noise.gaussian(flat, torch.tensor([10.0, 20.0]), torch.tensor([0.0, 1.0])) * 255
    assert added.std((1, 2, 3)).tolist() == pytest.approx([10, 20], rel=0.02)
    assert torch.equal(added[1, 0], added[1, 2])
    assert not torch.equal(added[0, 0], added[0, 2])
    levels = (torch.arange(256 * 256) % 256).reshape(256, 256) / 255
    photons = noise.poisson(levels.expand(1, 3, -1, -1), torch.ones(1), torch.zeros(1))
    bright = photons[:, :, :, 128:].std()
    assert bright.item() == pytest.approx(math.sqrt(0.75 / 256), rel=0.05)  # 256 levels: as many photons at white


def test_unsharp_masking_leaves_what_is_flat_and_steepens_what_is_not() -> None:
    sharpen = blur.UnsharpMask()
    torch.testing.assert_close(sharpen(torch.full((1, 1, 64, 64), 0.3)), torch.full((1, 1, 64, 64), 0.3))
    edge = torch.full((1, 1, 64, 64), 0.4)
    edge[..., 32:] = 0.6
    row = sharpen(edge)[0, 0, 32]
    assert row[31] < 0.38
    assert row[32] > 0.62


def test_axes_of_different_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="one factor for both axes"):
        matlab.bicubic(np.zeros((20, 20, 1), np.float32), (10, 5))
