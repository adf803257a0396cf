"""Lesions that a reader outlined, before and after: erased, exaggerated, and kept as they are."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from medsr.commands.evaluate.lesions.masks import find_mask, leading_part, read_mask
from medsr.commands.evaluate.lesions.real_lesions import RealLesion, real_lesions
from medsr.commands.evaluate.lesions.real_summary import ALL, SizeSummary, by_size, size_class
from medsr.commands.evaluate.volume import VolumeBenchmark
from medsr.core.errors import InputError
from medsr.core.types import Array
from medsr.engines.base import Compute

CENTRES = ((13, 20, 23), (18, 37, 20), (36, 15, 33), (39, 38, 38))
RADII = (1.0, 2.0, 3.0, 5.5)
VOLUMES = [0.007, 0.033, 0.123, 0.739]


def _ball(shape: tuple[int, ...], centre: tuple[int, ...], radius: float) -> np.ndarray:
    squared = sum((axis - middle) ** 2 for axis, middle in zip(np.indices(shape), centre, strict=True))
    return np.asarray(squared <= radius**2)


@pytest.fixture(scope="module")
def brain() -> tuple[Array, np.ndarray]:
    """Four lesions of 7, 33, 123 and 739 mm^3 in slightly uneven tissue in nothing, and their mask."""
    shape = (56, 56, 56)
    mask = np.logical_or.reduce([_ball(shape, *lesion) for lesion in zip(CENTRES, RADII, strict=True)])
    tissue = 0.5 + 0.02 * np.random.default_rng(0).standard_normal(shape)
    truth = np.where(_ball(shape, (28, 28, 28), 27), tissue + 0.3 * mask, 0).astype(np.float32)
    return truth, mask


def _results(truth: Array, mask: np.ndarray) -> dict[str, Array]:
    return {
        "ground truth": truth,
        "eraser": median_filter(truth, 5),
        "weak": (truth - 0.15 * mask).astype(np.float32),
        "brightener": (truth + 0.3 * mask).astype(np.float32),
        "blur": gaussian_filter(truth, 1.5),
    }


def _summary(rows: list[SizeSummary], model: str, size: str) -> SizeSummary:
    return next(row for row in rows if (row.model, row.size) == (model, size))


def test_every_lesion_has_its_size_and_what_every_model_keeps_of_it(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    rows = real_lesions("p1", truth, mask, _results(truth, mask), 1.0, "mm")
    assert len(rows) == 4 * 5
    own = [row for row in rows if row.model == "ground truth"]
    assert [row.volume for row in own] == pytest.approx(VOLUMES)
    assert [row.centre for row in own] == list(CENTRES)
    assert all(row.subject == "p1" and row.unit == "ml" and row.stands_out for row in rows)
    for row in own:
        assert row.contrast == pytest.approx(0.3, abs=0.03)
        assert row.extent == pytest.approx(row.volume)  # its edge is sharp: half of its contrast is at its outline
        assert (row.contrast_kept, row.extent_kept) == (1, 1)
    by_model = {row.model: row for row in rows if row.number == 2}
    assert by_model["weak"].contrast_kept == pytest.approx(0.5, abs=0.03)
    assert by_model["brightener"].contrast_kept == pytest.approx(2, abs=0.05)
    assert by_model["brightener"].extent == by_model["ground truth"].extent
    assert by_model["eraser"].contrast_kept < 0.1
    assert by_model["eraser"].extent == 0


def test_an_eraser_loses_small_lesions_and_keeps_large_ones(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    summaries = by_size(real_lesions("p1", truth, mask, _results(truth, mask), 1.0, "mm"), "blur")
    sizes = ["below 0.01 ml", "0.01 to 0.05 ml", "0.05 to 0.5 ml", "0.5 ml and above", ALL]
    assert list(dict.fromkeys(row.size for row in summaries)) == sizes
    eraser = [_summary(summaries, "eraser", size) for size in sizes]
    assert [row.lesions for row in eraser] == [1, 1, 1, 1, 4]
    assert [row.erased_quarter for row in eraser[:2]] == [1, 1]
    assert [row.lost for row in eraser[:2]] == [1, 1]
    assert eraser[3].contrast_kept.mean > 0.8
    assert eraser[3].lost == 0
    kept = [_summary(summaries, "blur", size).contrast_kept.mean for size in sizes[:4]]
    assert kept == sorted(kept)  # the same blur takes more from small ones
    assert _summary(summaries, "blur", ALL).gain is None
    gain = _summary(summaries, "ground truth", ALL).gain
    assert gain is not None
    assert gain.mean == pytest.approx(1 - _summary(summaries, "blur", ALL).contrast_kept.mean)
    assert gain.above_zero


def test_half_the_step_makes_an_eighth_of_the_volume(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    rows = real_lesions("p1", truth, mask, {"m": truth}, 0.5, "mm")
    assert [row.volume for row in rows] == pytest.approx([volume / 8 for volume in VOLUMES])
    assert rows[3].extent == pytest.approx(VOLUMES[3] / 8)


def test_dark_spots_of_a_colour_picture_are_measured_in_green_in_pixels() -> None:
    shape = (80, 90)
    mask = _ball(shape, (20, 25), 2) | _ball(shape, (55, 60), 6)
    truth = np.stack([np.full(shape, 0.8), np.where(mask, 0.2, 0.4), np.full(shape, 0.1)], axis=2).astype(np.float32)
    only_red = truth.copy()
    only_red[mask, 0] = 0.1
    only_red[:, :, 1] = 0.4
    rows = real_lesions("eye", truth, mask, {"same": truth, "erased in green": only_red}, 1.0, "pixels")
    assert {row.unit for row in rows} == {"pixels"}
    assert [row.volume for row in rows if row.model == "same"] == [13, 113]
    assert [row.contrast for row in rows if row.model == "same"] == pytest.approx([-0.2, -0.2])
    assert [row.contrast_kept for row in rows if row.model != "same"] == pytest.approx([0, 0], abs=1e-6)
    assert [row.extent for row in rows if row.model != "same"] == [0, 0]
    assert [size_class(row) for row in rows if row.model == "same"] == ["below 20 pixels", "100 to 1000 pixels"]
    grey = real_lesions("film", truth[:, :, 1:2], mask, {"same": truth[:, :, 1:2]}, 0.2, "mm")
    assert [(row.volume, row.unit) for row in grey] == [(pytest.approx(13 * 0.04), "mm²"), (pytest.approx(4.52), "mm²")]


def test_an_empty_mask_has_no_lesion(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    assert real_lesions("p1", truth, np.zeros_like(mask), {"m": truth}, 1.0, "mm") == []
    assert by_size([], "m") == []


def test_wrong_shapes_and_masks_of_the_brain_are_refused(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    with pytest.raises(
        InputError, match="p1: the mask has 56 x 56 x 55 pixels or voxels, the ground truth 56 x 56 x 56"
    ):
        real_lesions("p1", truth, mask[:, :, 1:], {"m": truth}, 1.0, "mm")
    with pytest.raises(InputError, match="p1: cubic has 55 x 56 x 56"):
        real_lesions("p1", truth, mask, {"cubic": truth[1:]}, 1.0, "mm")
    with pytest.raises(InputError, match="p1: the mask covers 100% of what the image shows"):
        real_lesions("p1", truth, truth > 0, {"m": truth}, 1.0, "mm")


def test_lesions_that_do_not_stand_out_are_listed_and_not_counted(brain: tuple[Array, np.ndarray]) -> None:
    truth, mask = brain
    faint = truth - np.float32(0.295) * _ball(truth.shape, CENTRES[3], RADII[3])
    rows = real_lesions("p1", faint, mask, {"m": faint}, 1.0, "mm")
    assert [row.stands_out for row in rows] == [True, True, True, False]
    whole = _summary(by_size(rows, "m"), "m", ALL)
    assert (whole.lesions, whole.left_out) == (3, 1)
    assert rows[3].to_json()["contrast_kept"] is None
    alone = real_lesions("p1", faint, np.zeros_like(mask) | _ball(mask.shape, CENTRES[3], 6), {"m": faint}, 30.0, "mm")
    assert np.isnan(alone[0].contrast)  # voxels of 30 mm: none is within 4 mm
    json.dumps([row.to_json() for row in (*rows, *alone)], allow_nan=False)
    json.dumps(whole.to_json(), allow_nan=False)


def test_intervals_are_over_subjects_once_there_are_enough() -> None:
    def rows(subjects: int) -> list[RealLesion]:
        return [
            RealLesion(f"p{subject}", "m", number, 0.02, 0.1 * kept, 0.02, 0.1, 0.02, True)
            for subject in range(subjects)
            for number, kept in enumerate([0.2] * 9 + [0.4] if subject == 0 else [1.0], 1)
        ]

    few = _summary(by_size(rows(3), "m"), "m", ALL)
    assert few.over == "lesions"
    assert few.contrast_kept.mean == pytest.approx((9 * 0.2 + 0.4 + 2) / 12)
    many = _summary(by_size(rows(12), "m"), "m", ALL)
    assert many.over == "subjects"
    assert many.contrast_kept.mean == pytest.approx((0.22 + 11) / 12)  # a patient of many lesions counts once
    assert many.contrast_kept.n == 12


@pytest.mark.slow
def test_of_a_patient_with_multiple_sclerosis_small_lesions_lose_most(real_data: Path, tmp_path: Path) -> None:
    """The consensus of three readers; slices made four times as thick, and interpolated."""
    image = real_data / "mri" / "flair_lesions" / "lesjak_patient26_FLAIR.nii.gz"
    path = find_mask(image)
    assert path.name == "lesjak_patient26_GOLD_STANDARD.nii.gz"
    (tmp_path / image.name).symlink_to(image)
    benchmark = VolumeBenchmark(tmp_path, 4)
    case = benchmark.load(benchmark.items()[0])
    mask = leading_part(read_mask(path, image, _fail), case.ground_truth.shape, path)
    assert mask.sum() == np.count_nonzero(np.asanyarray(nib.load(path).dataobj)[:, :, :180])
    cubic = benchmark.open("cubic", Compute(), None)(case)
    results = {"ground truth": case.ground_truth, "cubic": cubic}
    rows = real_lesions("p26", case.ground_truth, mask, results, benchmark.step(case), "mm")
    own = [row for row in rows if row.model == "ground truth" and row.stands_out]
    assert len(rows) == 2 * 19
    assert all(row.contrast_kept == row.extent_kept == 1 for row in own)
    assert all(row.contrast > 0 for row in own)  # bright in FLAIR: so the mask lies where its image does
    summaries = by_size(rows, "cubic")
    sizes = ("below 0.01 ml", "0.5 ml and above")
    small, large = (_summary(summaries, "cubic", size).contrast_kept.mean for size in sizes)
    assert small < 0.7 < large < 1


def _fail(line: str) -> None:
    raise AssertionError(line)
