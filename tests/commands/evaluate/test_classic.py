"""The published tables come out: what makes every other figure believable."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import medsr
from medsr.commands.evaluate.classic import Classic
from medsr.core.errors import InputError
from medsr.degradation import matlab, protocols
from medsr.io.images import image as image_io
from medsr.metrics.psnr_ssim import eight_bit
from tests.helpers.images import write_png

PUBLISHED = {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)}


@pytest.mark.parametrize("scale", PUBLISHED)
@pytest.mark.parametrize("folder", ["original", "."])
def test_set5_bicubic_is_the_published_one(scale: int, folder: str, real_data: Path) -> None:
    """Within 0.02 dB and 0.0005; from the originals, and from the folder with its pairs."""
    result = medsr.evaluate(
        "classic", real_data / "classic/Set5" / folder, models=["bicubic"], scale=scale, device="cpu"
    )
    psnr, ssim = PUBLISHED[scale]
    assert len(result.ids) == 5
    assert result.means["bicubic"]["psnr"].mean == pytest.approx(psnr, abs=0.02)
    assert result.means["bicubic"]["ssim"].mean == pytest.approx(ssim, abs=0.0005)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_our_low_resolution_is_that_of_the_published_pairs(scale: int, real_data: Path) -> None:
    """Away from the border, which those who made the pairs cut after reducing; MATLAB also rounds between the axes."""
    for path in sorted((real_data / f"classic/Set5/image_SRF_{scale}").glob("*_HR.png")):
        truth = image_io.read(path).to_unit()
        theirs = image_io.read(path.with_name(path.name.replace("_HR", "_LR"))).to_unit()
        ours = eight_bit(matlab.bicubic(truth, theirs.shape[:2]))
        difference = np.abs(ours - theirs)[4:-4, 4:-4] * 255
        assert difference.max() < 2.01
        assert difference.mean() < 0.3


def test_a_grey_ground_truth_is_y_as_it_stands(tmp_path: Path) -> None:
    grey = (np.random.default_rng(0).random((48, 60, 1)) * 255).astype(np.uint8)
    write_png(tmp_path / "grey.png", grey)
    bench = Classic(tmp_path)
    case = bench.load(bench.items()[0])
    np.testing.assert_array_equal(bench.channel(case.ground_truth), case.ground_truth[2:-2, 2:-2])


def test_only_this_factors_ground_truth_is_taken_from_pairs(tmp_path: Path, fundus: np.ndarray) -> None:
    for scale in (2, 4):
        for kind in ("HR", "LR"):
            write_png(tmp_path / f"image_SRF_{scale}/img_001_SRF_{scale}_{kind}.png", fundus[:64, :64])
    assert [item.id for item in Classic(tmp_path, 4).items()] == ["image_SRF_4/img_001_SRF_4_HR"]
    with pytest.raises(InputError, match=r"no image is named .*_SRF_3_HR; there are pairs for `scale=2`, `scale=4`"):
        Classic(tmp_path, 3).items()


def test_the_unknown_track_blurs_and_shifts_as_it_says(fundus: np.ndarray) -> None:
    """A bright point comes out spread as the turned Gaussian, and moved against the shift."""
    point = np.zeros((80, 80, 1), np.float32)
    point[40:42, 40:42] = 1
    low = protocols.unknown(point, 2)[:, :, 0].astype(float)
    y, x = np.mgrid[:40, :40]
    centre = (low * y).sum() / low.sum(), (low * x).sum() / low.sum()
    assert centre[0] == pytest.approx(20 - protocols.UNKNOWN_SHIFT[0] / 2, abs=0.1)
    assert centre[1] == pytest.approx(20 - protocols.UNKNOWN_SHIFT[1] / 2, abs=0.1)
    spread = [
        [(low * a * b).sum() / low.sum() for b in (x - centre[1], y - centre[0])]
        for a in (x - centre[1], y - centre[0])
    ]
    sigmas = np.sqrt(np.linalg.eigvalsh(spread))
    assert sigmas[1] / sigmas[0] == pytest.approx(1.9 / 0.9, rel=0.25)
    flat = np.full((64, 64, 3), 0.4, np.float32)
    np.testing.assert_allclose(protocols.unknown(flat, 4), 102 / 255, atol=1e-6)


def test_the_unknown_track_is_harder_for_one_who_does_not_know(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "classic/Set5/original/bird.png", tmp_path)
    plain, unknown = (
        medsr.evaluate("classic", tmp_path, models=["bicubic"], track=track, device="cpu").means["bicubic"]["psnr"].mean
        for track in ("bicubic", "unknown")
    )
    assert unknown < plain - 2
