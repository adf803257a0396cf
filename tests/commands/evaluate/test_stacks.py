"""Several thick stacks of each scan, the patient moved between them, put together and measured."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import affine_transform

import medsr
from medsr.commands.evaluate import tables
from medsr.commands.evaluate.choose import benchmark
from medsr.commands.evaluate.stack_runners import StackedScan, Together
from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import Grid
from medsr.degradation import moved_stacks
from medsr.degradation.moved_stacks import NOISE
from medsr.engines.base import Compute
from medsr.volumes.stacks.on_grid import placed

pytestmark = pytest.mark.usefixtures("without_drawings")

ROWS = ["averaged", "cubic alone", "back-projected alone", "back-projected together"]
TURN = np.array([0.1, -0.07, 0.05])
ROWS.append("back-projected together, true motion")


def _head(shape: tuple[int, int, int] = (52, 56, 50), seed: int = 0) -> np.ndarray:
    """An ellipsoid of structures of different size and brightness, in nothing."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    texture = sum(gaussian_filter(rng.standard_normal(shape), sigma) * sigma**1.5 for sigma in (1.0, 2.0, 4.0))
    middle = (np.array(shape) - 1) / 2
    radius = np.linalg.norm((np.moveaxis(np.indices(shape), 0, 3) - middle) / (0.4 * np.array(shape)), axis=3)
    values = (500 + 250 * texture / texture.std()).clip(100, None) / (1 + np.exp((radius - 1) * 25))
    return values.astype(np.int16)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scan, its axes to left, posterior, superior."""
    folder = tmp_path_factory.mktemp("scans")
    affine = np.diag([-1.1, -1.1, 1.1, 1.0])
    affine[:3, 3] = [30, 20, -15]
    nib.save(nib.Nifti1Image(_head()[::-1, ::-1], affine), folder / "head.nii.gz")
    return folder


def test_stacks_are_thick_by_their_headers_and_the_true_motion_brings_them_onto_the_ground_truth(scans: Path) -> None:
    bench = benchmark("volume", scans, 4, stacks=3)
    case = bench.load(bench.items()[0])
    scan: StackedScan = case.extra
    shapes = [volume.stored.shape for _, volume in scan.stacks]
    assert case.ground_truth.shape == (52, 56, 48)  # 50 slices hold 12 thick ones
    assert shapes == [(52, 56, 12), (13, 56, 48), (52, 14, 48)]
    for (_, volume), axis in zip(scan.stacks, (2, 0, 1), strict=True):
        assert volume.grid.spacing == pytest.approx([4.4 if other == axis else 1.1 for other in range(3)])
        offset = [1.65 if other == axis else 0 for other in range(3)]  # the middle of the first four voxels
        np.testing.assert_allclose(volume.affine[:3, 3], offset, atol=1e-6)
    np.testing.assert_allclose(case.ground_truth[20:30], _to_unit(_head())[20:30, :, :48], atol=1e-4)
    for index, ((_, volume), disturbance) in enumerate(zip(scan.stacks, scan.disturbances, strict=True)):
        truth = case.ground_truth
        there = placed(volume, scan.grid, disturbance.motion) / disturbance.gain
        assert np.corrcoef(there.ravel(), truth.ravel())[0, 1] > 0.97
        if index:
            assert np.corrcoef(placed(volume, scan.grid).ravel(), truth.ravel())[0, 1] < 0.9
            inside = case.regions["foreground"]
            assert np.median(there[inside]) == pytest.approx(np.median(truth[inside]), rel=0.05)
    assert scan.disturbances[0].gain == 1


def test_a_case_is_the_same_with_two_stacks_another_factor_and_another_folder(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/head.nii.gz").write_bytes((scans / "head.nii.gz").read_bytes())
    (tmp_path / "other.nii.gz").write_bytes((scans / "head.nii.gz").read_bytes())
    three = benchmark("volume", scans, 4, stacks=3)
    two = benchmark("volume", tmp_path, 4, stacks=2)
    coarser = benchmark("volume", tmp_path, 3, stacks=2)
    case = three.load(three.items()[0]).extra
    other, same = (two.load(item).extra for item in two.items())
    assert len(same.stacks) == 2
    np.testing.assert_array_equal(same.stacks[0][1].stored, case.stacks[0][1].stored)
    np.testing.assert_array_equal(same.disturbances[1].motion, case.disturbances[1].motion)
    assert not np.array_equal(other.disturbances[1].motion, case.disturbances[1].motion)
    assert not np.array_equal(other.stacks[0][1].stored, case.stacks[0][1].stored)  # other noise
    thinner = coarser.load(coarser.items()[1]).extra
    np.testing.assert_array_equal(thinner.disturbances[1].motion, case.disturbances[1].motion)


@pytest.mark.slow
def test_every_row_is_measured_and_the_protocol_says_all_numbers(scans: Path, tmp_path: Path) -> None:
    result = medsr.evaluate(
        "volume",
        scans,
        scale=4,
        stacks=3,
        models=["back-projected"],
        out=tmp_path / "out",
        json=tmp_path / "all.json",
        inputs=tmp_path / "inputs",
        device="cpu",
    )
    assert list(result.means) == ROWS
    assert result.baseline == "averaged"
    registered = {row for row in ROWS if "registration_error" in result.means[row]}
    assert registered == {"averaged", "back-projected together"}
    text = tables.text(result)
    for words in ("8 mm", "8 degrees", "0.8 to 1.25", "2 %", "order 5", "axial, sagittal, coronal", "scale: 4"):
        assert words in text
    assert "the true motion given" in text
    figures = json.loads((tmp_path / "all.json").read_text())
    assert figures["models"]["averaged"]["registration_worst"]["n"] == 1
    assert figures["protocol"]["difference_to"] == "averaged"
    assert (tmp_path / "out/report.html").is_file()
    written = sorted(path.name for path in (tmp_path / "inputs").iterdir())
    assert written == ["grids", "head_axial.nii.gz", "head_coronal.nii.gz", "head_sagittal.nii.gz"]


@pytest.mark.slow
def test_another_programs_volume_is_measured_beside(scans: Path, tmp_path: Path) -> None:
    bench = benchmark("volume", scans, 4, stacks=2)
    case = bench.load(bench.items()[0])
    bench.export_inputs(case, tmp_path / "inputs/head")
    axial = nib.load(tmp_path / "inputs/head_axial.nii.gz")
    assert axial.get_data_dtype() == np.float32
    np.testing.assert_allclose(axial.get_fdata(), case.extra.stacks[0][1].stored)
    grid = nib.load(tmp_path / "inputs/grids/head_grid.nii.gz")
    assert grid.shape == case.ground_truth.shape
    assert not np.any(grid.dataobj)
    (tmp_path / "joint").mkdir()
    noisy = case.ground_truth + NOISE * np.random.default_rng(0).standard_normal(case.ground_truth.shape)
    nib.save(nib.Nifti1Image(noisy.astype(np.float32), grid.affine), tmp_path / "joint/head.nii.gz")
    result = medsr.evaluate("volume", scans, scale=4, stacks=2, results={"other": tmp_path / "joint"}, device="cpu")
    assert list(result.means) == ["averaged", "cubic alone", "other"]
    assert result.means["other"]["psnr"].mean == pytest.approx(-20 * np.log10(NOISE), abs=0.1)
    assert "registration_error" not in result.means["other"]
    assert result.means["other"]["psnr"].mean > result.means["averaged"]["psnr"].mean


def test_a_result_of_another_program_may_lie_on_another_grid_of_such_voxels(scans: Path, tmp_path: Path) -> None:
    bench = benchmark("volume", scans, 4, stacks=3)
    case = bench.load(bench.items()[0])
    truth, grid = case.ground_truth, case.extra.grid
    (tmp_path / "other").mkdir()

    def psnr(values: np.ndarray, affine: np.ndarray) -> float:
        nib.save(nib.Nifti1Image(values.astype(np.float32), affine), tmp_path / "other/head.nii.gz")
        result = bench.import_results(tmp_path / "other/head.nii.gz", case)
        assert result.shape == truth.shape
        return bench.score(result, case)["psnr_foreground"]

    noisy = truth + NOISE * np.random.default_rng(0).standard_normal(truth.shape)
    as_it_is = psnr(noisy, grid.affine)
    larger = grid.affine @ _shift([-3, -2, -4])
    padded = np.pad(noisy, ((3, 1), (2, 5), (4, 0)))
    assert psnr(padded, larger) == pytest.approx(as_it_is, abs=0.01)
    turn = larger @ np.diag([-1, -1, 1, 1]) @ _shift([1 - padded.shape[0], 1 - padded.shape[1], 0])
    assert psnr(padded[::-1, ::-1], turn) == pytest.approx(as_it_is, abs=0.01)
    half = grid.affine @ _shift([0.5, 0, 0])  # the header says where the voxels lie, though there are as many
    assert psnr(noisy, half) < as_it_is - 3
    oblique = Grid((70, 74, 66), larger @ _shift([-5, -6, -5]) @ moved_stacks.turned_around(np.zeros(3), TURN, TURN))
    source = np.linalg.inv(grid.affine) @ oblique.affine
    there = affine_transform(truth, source, output_shape=oblique.shape, order=5)
    assert psnr(there, oblique.affine) > 45


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        (slice(None, None, 4), np.diag([1, 1, 4, 1]), r"voxels of 1.1 x 1.1 x 4.4 mm, the ground truth has 1.1 mm"),
        (slice(24), np.eye(4), r"\d+\.\d% of the foreground lies outside it"),
        (slice(None), np.diag([-1, 1, 1, 1]), "of the foreground lies outside it"),
        (slice(None), np.diag([0.5, 0.5, 0.5, 1]), "voxels of 0.55 x 0.55 x 0.55 mm"),
    ],
)
def test_a_result_of_other_voxels_or_another_place_is_refused_and_what_to_do_is_said(
    part: slice, change: np.ndarray, words: str, scans: Path, tmp_path: Path
) -> None:
    bench = benchmark("volume", scans, 4, stacks=2)
    case = bench.load(bench.items()[0])
    image = nib.Nifti1Image(case.ground_truth[:, :, part], case.extra.grid.affine @ change)
    nib.save(image, tmp_path / "head.nii.gz")
    with pytest.raises(InputError, match=f"head.nii.gz: .*{words}.*; bring it onto the grid .* folder `grids`"):
        bench.import_results(tmp_path / "head.nii.gz", case)


@pytest.mark.slow
def test_stacks_written_for_another_program_and_joined_by_ourselves_score_the_same(scans: Path, tmp_path: Path) -> None:
    """The way of another program: stacks and grid out, the result on that grid in."""
    bench = benchmark("volume", scans, 4, stacks=2)
    case = bench.load(bench.items()[0])
    bench.export_inputs(case, tmp_path / "knees/head")
    medsr.volume(
        [tmp_path / "knees/head_axial.nii.gz", tmp_path / "knees/head_sagittal.nii.gz"],
        tmp_path / "made/head.nii.gz",
        together=True,
        like=tmp_path / "knees/grids/head_grid.nii.gz",
        model="back-projected",
        device="cpu",
    )
    own = bench.score(bench.open("back-projected", Compute("cpu"), None)(case), case)["psnr_foreground"]
    result = bench.import_results(tmp_path / "made/head.nii.gz", case)
    assert bench.score(result, case)["psnr_foreground"] == pytest.approx(own, abs=0.01)


def test_the_error_of_a_registration_that_is_known_to_be_wrong_is_that_error(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = benchmark("volume", scans, 4, stacks=3)
    case = bench.load(bench.items()[0])
    scan: StackedScan = case.extra
    wrong = [disturbance.motion.copy() for disturbance in scan.disturbances]
    wrong[1][:3, 3] += [0.3, 0, 0.4]
    wrong[2][:3, 3] += [1, 0, 0]
    monkeypatch.setattr(scan, "_registered", wrong)
    scores = bench.score(case.ground_truth, case)
    assert scores["registration_error"] == pytest.approx(0.75)
    assert scores["registration_worst"] == pytest.approx(1)
    assert "registration_error" not in bench.score(case.ground_truth, case)  # of another result, nothing is known


def test_what_cannot_be_measured_is_said(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`stacks=4`: expected 2 or 3"):
        medsr.evaluate("volume", scans, stacks=4)
    with pytest.raises(UsageError, match="`stacks`: folder has none; volume has"):
        medsr.evaluate("folder", scans, stacks=2)
    for way in ({"planes": "sagittal"}, {"fuse": "median"}, {"adapt": 1.0}):
        with pytest.raises(UsageError, match="`planes`, `fuse` and `adapt`: not with `stacks`"):
            medsr.evaluate("volume", scans, stacks=2, models=["medsr-mri"], **way)  # type: ignore[arg-type]
    nib.save(nib.Nifti1Image(_head((52, 56, 12)), np.eye(4)), tmp_path / "flat.nii.gz")
    with pytest.raises(InputError, match="12 slices are too few"):
        medsr.evaluate("volume", tmp_path, scale=8, stacks=2, models=["cubic"], device="cpu")


def test_a_file_is_shown_by_its_name_in_every_row(scans: Path, refiner_file: Path) -> None:
    from medsr.commands.evaluate.choose import open_runners

    bench = benchmark("volume", scans, 4, stacks=2)
    runners = open_runners(bench, [refiner_file], {}, {}, Compute("cpu"), None)
    name = refiner_file.name
    ways = [f"{name} {way}" for way in ("alone", "together", "together, true motion")]
    assert list(runners) == ["averaged", "cubic alone", *ways]
    assert len({runners[way].sha256 for way in ways}) == 1
    assert isinstance(runners[ways[1]], Together)


@pytest.mark.slow
def test_together_beats_the_average_and_the_best_single_stack_on_a_real_head(real_data: Path, tmp_path: Path) -> None:
    image = nib.load(real_data / "mri/other/stroke_T1.nii.gz")
    (tmp_path / "data").mkdir()
    nib.save(image.slicer[12:108, 32:128, 44:140], tmp_path / "data/head.nii.gz")
    data = tmp_path / "data"
    result = medsr.evaluate("volume", data, scale=4, stacks=3, out=tmp_path / "out", device="cpu")
    psnr = {row: summaries["psnr_foreground"].mean for row, summaries in result.means.items()}
    together = psnr["medsr-mri together"]
    assert together > psnr["averaged"] + 2
    assert together > psnr["medsr-mri alone"] + 2 > psnr["cubic alone"] + 2
    assert together > psnr["medsr-mri together, true motion"] - 0.3
    assert result.means["medsr-mri together"]["registration_worst"].mean < 0.3
    again = medsr.evaluate("volume", data, scale=4, stacks=3, out=tmp_path / "out", skip_done=True, device="cpu")
    assert [row.metrics for row in again.rows] == [
        row.metrics for row in result.rows
    ]  # seconds, too: not measured anew


def _shift(voxels: list[float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = voxels
    return matrix


def _to_unit(stored: np.ndarray) -> np.ndarray:
    low, high = np.percentile(stored, (0.5, 99.5))
    return (stored - low) / (high - low)
