"""`medsr volume` on files: every voxel in its place, everything beside it, nothing half-written."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.commands.volume.pictures import Pictures
from medsr.commands.volume.run import volume
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.volumes.dicom.display import shown_range
from medsr.volumes.models import open_slice_model
from tests.helpers.dicom import slice_of, write_slices
from tests.helpers.scans import smooth_volume

OBLIQUE = np.array([[1.0, 0.02, 0.1, -10], [0.03, 1.0, 0.0, 5], [-0.05, 0.04, 2.5, 7], [0, 0, 0, 1]])


def scan(path: Path, array: np.ndarray | None = None, affine: np.ndarray = OBLIQUE) -> Path:
    array = np.rint(smooth_volume()).astype(np.int16) if array is None else array
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(array, affine).to_filename(path)
    return path


@pytest.mark.parametrize("affine", [np.diag([1, 1, 2.5, 1]), OBLIQUE], ids=["straight", "oblique"])
def test_all_48_orientations_give_the_same_volume(
    refiner_file: Path, affine: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "medsr.commands.volume.arguments.open_slice_model", functools.cache(open_slice_model)
    )  # opened 49 times else
    base = np.rint(smooth_volume((12, 11, 7))).astype(np.int16)
    reference = volume(base, affine=affine, model=refiner_file)
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            orientation = np.array(list(zip(order, signs, strict=True)), float)
            turned = np.ascontiguousarray(apply_orientation(base, orientation))
            there = affine @ inv_ornt_aff(orientation, base.shape)
            result = volume(turned, affine=there, model=refiner_file)
            np.testing.assert_array_equal(result.image, apply_orientation(reference.image, orientation))
            expected = reference.affine @ inv_ornt_aff(orientation, reference.image.shape)
            np.testing.assert_allclose(result.affine, expected, atol=1e-9)


def test_a_scan_in_any_order_of_axes_is_told_its_own_refined_spacing(refiner_file: Path, tmp_path: Path) -> None:
    base = np.rint(smooth_volume((12, 20, 7))).astype(np.int16)
    turned = np.ascontiguousarray(base.transpose(2, 0, 1))
    there = np.diag([2.0, 2.0, 4.0, 1.0])[:, [2, 0, 1, 3]]
    [outcome] = volume(scan(tmp_path / "s.nii", turned, there), tmp_path / "out", model=refiner_file)
    assert outcome.error is None
    told = json.loads((tmp_path / "out" / "s.json").read_text())
    assert any("the refined scan has 2 x 2 x 2 mm" in warning for warning in told["warnings"]), told["warnings"]


@pytest.mark.parametrize("options", [{}, {"scale": 2}, {"spacing": (0.9, 0.9, 0.7)}, {"scale": 1.7}])
@pytest.mark.parametrize("model", ["cubic", "fresh"])
def test_landmarks_stay_at_their_millimetre(model: str, options: dict, fresh_refiner: Path) -> None:
    """The centre of mass of a smooth spot, before and after."""
    index = np.indices((24, 22, 16), dtype=float)
    spot = np.exp(-((index[0] - 11.3) ** 2 + (index[1] - 9.8) ** 2) / 8 - (index[2] - 7.4) ** 2 / 5)
    chosen = fresh_refiner if model == "fresh" else model
    result = volume((1000 * spot).astype(np.float32), affine=OBLIQUE, model=chosen, **options)

    def centre(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
        places = np.indices(values.shape).reshape(3, -1)
        mean = (places * values.ravel()).sum(1) / values.sum()
        return (affine @ [*mean, 1])[:3]

    before, after = centre(spot, OBLIQUE), centre(result.image.astype(float), result.affine)
    np.testing.assert_allclose(after, before, atol=0.01)


def test_one_scan_and_everything_beside_it(refiner_file: Path, tmp_path: Path) -> None:
    source = scan(tmp_path / "in" / "scan.nii.gz")
    said: list[str] = []
    [outcome] = volume(source, tmp_path / "out", model=refiner_file, uncertainty=True, report=True, notify=said.append)
    assert outcome.error is None
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != "status.tsv")
    beside = ["scan.json", "scan.nii.gz", "scan_preview.png", "scan_report.html", "scan_uncertainty.nii.gz"]
    assert names == beside
    refined = nib.load(tmp_path / "out" / "scan.nii.gz")
    assert refined.shape == (20, 18, 22)
    assert refined.get_data_dtype() == np.int16
    np.testing.assert_allclose(refined.header.get_zooms(), 1.0, atol=0.03)
    summary = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert summary["planes"] == ["sagittal", "coronal"]
    assert summary["input_sha256"] == volume_files.digest(source)
    assert len(summary["model"]["sha256"]) == 64
    assert summary["seconds"] > 0
    assert summary["peak_memory_bytes"] > 1e7
    assert summary["consistency"]["after"]["rms"] < summary["consistency"]["before"]["rms"]
    assert str(tmp_path) not in json.dumps(summary)
    page = (tmp_path / "out" / "scan_report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png") > 60
    assert re.search(r"<title>scan\.nii\.gz, \d{4}-\d\d-\d\d: ", page)
    assert re.search(r"""<h1>scan\.nii\.gz, <span class="date">\d{4}-\d\d-\d\d</span>: """, page)
    assert "Back-projection enforces this agreement. It does not show that new detail is real." in page
    full = f"{0.05 * summary['consistency']['range']:.3g}"[:3]  # the same share of every scan's range
    assert re.search(rf"Disagreement with the scan: 0 <img [^>]*> {full}[0-9.]* or more, 5 % of the scan", page)
    assert any("20 x 18 x 9" in line and "20 x 18 x 22" in line for line in said)


def test_the_command_line(refiner_file: Path, tmp_path: Path) -> None:
    source = scan(tmp_path / "scan.nii.gz", affine=np.diag([1, 1, 2.5, 1]))
    runner = CliRunner()
    done = runner.invoke(app, ["volume", str(source), "--out", str(tmp_path / "o.mha"), "--model", str(refiner_file)])
    assert done.exit_code == 0, done.output
    assert "o.mha" in done.output
    assert "consistency with the input: RMS error" in done.output
    assert volume_io.read(tmp_path / "o.mha").stored.shape == (20, 18, 22)
    alone = runner.invoke(
        app, ["volume", str(source), "--adapt", "--out", str(tmp_path / "b"), "--model", "cubic"], standalone_mode=False
    )
    assert isinstance(alone.exception, UsageError)
    assert "`adapt`" in str(alone.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "bicubic"}, "for images"),
        ({"model": "medsr-mir"}, "did you mean 'medsr-mri'"),
        ({"planes": "transverse"}, "transverse"),
        ({"fuse": "max"}, "`fuse=max`"),
        ({"scale": 2, "isotropic": True}, "one of"),
        ({"uncertainty": True}, "`uncertainty`"),
        ({"profile": "triangle"}, "`profile=triangle`"),
        ({"kind": "mask"}, "`kind=mask`"),
        ({"adapt": -1.0}, "`adapt=-1`"),
        ({"model": "scratch"}, "`adapt=MINUTES`"),
        ({"thickness": 0.0}, "`thickness=0`"),
        ({"out": "o.nii.gz"}, "one file for 2 scans"),
        ({"out": "o.zip"}, "writes"),
        ({"also": ("x.nii.gz",)}, "`also` goes with one scan"),
    ],
)
def test_a_wrong_command_is_refused_before_anything_is_read(tmp_path: Path, arguments: dict, words: str) -> None:
    given = {"out": "out", "model": "cubic"} | arguments
    out = tmp_path / given.pop("out")
    with pytest.raises(UsageError, match=words):
        volume(["a.nii.gz", "b.nii.gz"], out, **given)
    assert not out.exists()


def test_results_never_replace_inputs_or_each_other(tmp_path: Path) -> None:
    one, other = scan(tmp_path / "a" / "s.nii.gz"), scan(tmp_path / "b" / "s.nii.gz")
    with pytest.raises(UsageError, match="overwrite the input"):
        volume(one, one.parent, model="cubic")
    with pytest.raises(UsageError, match="both be written"):
        volume([one, other], tmp_path / "out", model="cubic")


def test_headers_and_data_are_one_input(tmp_path: Path) -> None:
    nib.Spm99AnalyzeImage(np.rint(smooth_volume()).astype(np.int16), np.diag([1, 1, 3, 1])).to_filename(
        tmp_path / "x.hdr"
    )
    with pytest.raises(UsageError, match="overwrite the input"):
        volume(tmp_path / "x.hdr", tmp_path / "x.img", model="cubic")


def test_data_of_an_older_header_are_not_lost(tmp_path: Path) -> None:
    """o.mhd is there and names o.raw; p.mhd is stored in o.zraw: writing o.mhd would replace that."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.rint(smooth_volume()).astype(np.int16).T)
    image.SetSpacing((1.0, 1.0, 2.0))
    sitk.WriteImage(image, str(tmp_path / "p.mhd"), useCompression=True)
    (tmp_path / "p.zraw").rename(tmp_path / "o.zraw")
    (tmp_path / "p.mhd").write_text((tmp_path / "p.mhd").read_text().replace("p.zraw", "o.zraw"))
    sitk.WriteImage(image, str(tmp_path / "o.mhd"), useCompression=False)
    with pytest.raises(UsageError, match="overwrite the input"):
        volume(tmp_path / "p.mhd", tmp_path / "o.mhd", model="cubic")


def test_nothing_beside_a_result_is_lost(tmp_path: Path) -> None:
    source = scan(tmp_path / "x.nii.gz")
    (tmp_path / "x.json").write_text('{"EchoTime": 0.03}')
    with pytest.raises(UsageError, match="not medsr's"):
        volume(source, tmp_path / "x.mha", model="cubic")
    masks = [scan(tmp_path / name / "m.nii.gz", (smooth_volume() > 500).astype(np.uint8)) for name in "ab"]
    with pytest.raises(UsageError, match="each other"):
        volume(source, tmp_path / "out", model="cubic", also=masks)
    named = scan(tmp_path / "uncertainty.nii.gz", (smooth_volume() > 500).astype(np.uint8))
    with pytest.raises(UsageError, match="the uncertainty"):
        volume(source, tmp_path / "out", model="medsr-mri", uncertainty=True, also=named)
    scan(tmp_path / "x.nii")
    with pytest.raises(UsageError, match="both be written"):
        volume([source, tmp_path / "x.nii"], tmp_path / "out", model="cubic")
    assert volume(source, tmp_path / "out", model="cubic")[0].error is None
    assert volume(source, tmp_path / "out", model="cubic")[0].error is None  # ours may be written again


@pytest.mark.parametrize(
    ("dtype", "affine", "out"),
    [("uint32", np.diag([1, 1, 3, 1]), "o.mgz"), ("int16", OBLIQUE, "o.mha"), ("int16", OBLIQUE, "o.nrrd")],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, dtype: str, affine: np.ndarray, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsr.commands.volume.job.refine_scan", lambda *_: pytest.fail("the work was begun"))
    source = scan(tmp_path / "s.nii.gz", smooth_volume().astype(dtype), affine)
    error = volume(source, tmp_path / out, model="cubic")[0].error
    assert isinstance(error, UsageError)
    assert out in str(error)


def test_one_bad_scan_does_not_stop_the_others(tmp_path: Path) -> None:
    good = scan(tmp_path / "good.nii.gz")
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(good.read_bytes()[:200])
    outcomes = volume([bad, good], tmp_path / "out", model="cubic")
    assert [type(outcome.error) for outcome in outcomes] == [InputError, type(None)]
    done = CliRunner().invoke(app, ["volume", str(bad), str(good), "--out", str(tmp_path / "out"), "--model", "cubic"])
    assert done.exit_code == 5
    alone = ["volume", str(bad), "--out", str(tmp_path / "o"), "--model", "cubic"]
    assert CliRunner().invoke(app, alone).exit_code == 3


def test_a_series_goes_volume_by_volume(refiner_file: Path, tmp_path: Path) -> None:
    array = np.stack([np.rint(smooth_volume(seed=seed)) for seed in range(3)], axis=3).astype(np.int16)
    source = tmp_path / "bold.nii.gz"
    image = nib.Nifti1Image(array, OBLIQUE)
    image.header.set_zooms((*image.header.get_zooms()[:3], 1.5))
    image.to_filename(source)
    assert volume(source, tmp_path / "out", model=refiner_file)[0].error is None
    refined = nib.load(tmp_path / "out" / "bold.nii.gz")
    assert refined.shape == (20, 18, 22, 3)
    assert refined.header.get_zooms()[3] == 1.5
    second = volume(np.ascontiguousarray(array[..., 1]), affine=OBLIQUE, model=refiner_file).image
    np.testing.assert_array_equal(np.asarray(refined.dataobj)[..., 1], second)


def test_a_label_map_keeps_its_labels_and_says_so(tmp_path: Path) -> None:
    labels = (smooth_volume() // 200).astype(np.uint8)
    said: list[str] = []
    assert (
        volume(scan(tmp_path / "l.nii.gz", labels), tmp_path / "out", model="cubic", notify=said.append)[0].error
        is None
    )
    refined = np.asarray(nib.load(tmp_path / "out" / "l.nii.gz").dataobj)
    assert set(np.unique(refined)) == set(np.unique(labels))
    assert any("label map" in line for line in said)
    as_image = volume(labels, affine=OBLIQUE, model="cubic", kind="image").image
    assert not np.array_equal(as_image, refined)


def test_companions_come_onto_the_same_grid(tmp_path: Path) -> None:
    source = scan(tmp_path / "s.nii.gz")
    mask = scan(tmp_path / "mask.nii.gz", (smooth_volume() > 500).astype(np.uint8))
    other = np.diag([1.5, 1.5, 1.5, 1])
    other[:3, 3] = OBLIQUE[:3, 3] - 2
    image = scan(tmp_path / "t2.nii.gz", smooth_volume((20, 18, 20)), other)
    outcomes = volume(source, tmp_path / "o" / "sr.nii.gz", model="cubic", also=[mask, image])
    assert outcomes[0].error is None
    refined = nib.load(tmp_path / "o" / "sr.nii.gz")
    labels, moved = (nib.load(tmp_path / "o" / f"sr_{name}.nii.gz") for name in ("mask", "t2"))
    for companion in (labels, moved):
        assert companion.shape == refined.shape
        np.testing.assert_allclose(companion.affine, refined.affine, atol=1e-5)
    assert set(np.unique(np.asarray(labels.dataobj))) == {0, 1}
    centre = np.array([9, 9, 9, 1])
    there = np.linalg.inv(other) @ refined.affine @ centre
    nearest = np.rint(there[:3]).astype(int)
    around = smooth_volume((20, 18, 20))[tuple(slice(n - 1, n + 2) for n in nearest)]
    assert around.min() - 50 < np.asarray(moved.dataobj)[9, 9, 9] < around.max() + 50


@pytest.mark.parametrize(("kind", "suffix"), [("sitk", ".nrrd"), ("sitk", ".mha"), ("analyze", ".hdr")])
def test_companions_in_every_format(tmp_path: Path, kind: str, suffix: str) -> None:
    import SimpleITK as sitk

    def write(path: Path, array: np.ndarray) -> Path:
        if kind == "sitk":
            image = sitk.GetImageFromArray(array.T)
            image.SetSpacing((1.0, 1.0, 2.0))
            sitk.WriteImage(image, str(path))
        else:
            nib.Spm99AnalyzeImage(array, np.diag([1, 1, 2, 1.0])).to_filename(path)
        return path

    source = write(tmp_path / f"s{suffix}", np.rint(smooth_volume()).astype(np.int16))
    other = write(tmp_path / f"t{suffix}", np.rint(smooth_volume(seed=1)).astype(np.int16))
    [outcome] = volume(source, tmp_path / "out", model="cubic", also=other)
    assert outcome.error is None, outcome.error
    refined, moved = (volume_io.read(tmp_path / "out" / f"{name}{suffix}") for name in ("s", "s_t"))
    assert refined.stored.shape == moved.stored.shape
    np.testing.assert_allclose(moved.affine, refined.affine, atol=1e-4)


def test_a_constant_companion_stays_constant_and_nothing_leaks_outside(tmp_path: Path) -> None:
    source = scan(tmp_path / "s.nii.gz", affine=np.diag([1, 1, 2.5, 1]))
    constant = scan(tmp_path / "c.nii.gz", np.full((20, 18, 9), 100.5, np.float32), np.diag([1, 1, 2.5, 1]))
    assert volume(source, tmp_path / "out", model="cubic", also=constant)[0].error is None
    moved = np.asarray(nib.load(tmp_path / "out" / "s_c.nii.gz").dataobj)
    np.testing.assert_allclose(moved, 100.5, rtol=1e-5)
    small = nib.Nifti1Image(np.full((8, 8, 4), 1024 + 500, np.int16), np.diag([1, 1, 2.5, 1]))
    small.header.set_slope_inter(1, -1024)
    small.to_filename(tmp_path / "ct.nii.gz")
    assert volume(source, tmp_path / "out", model="cubic", also=tmp_path / "ct.nii.gz")[0].error is None
    values = nib.load(tmp_path / "out" / "s_ct.nii.gz").get_fdata()
    np.testing.assert_allclose(np.unique(values.round(2)), [0, 500])


def test_dicom_in_nifti_out_or_a_derived_series(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "dicom", [slice_of(index) for index in range(5)])
    assert volume(folder, tmp_path / "a", model="cubic")[0].error is None
    refined = nib.load(tmp_path / "a" / "dicom.nii.gz")
    assert (refined.dataobj.slope, refined.dataobj.inter) == (1, -1024)
    assert volume(folder, tmp_path / "b", model="cubic", dicom=True)[0].error is None
    series = volume_io.read(tmp_path / "b" / "dicom")
    np.testing.assert_allclose(series.affine, refined.affine, atol=1e-3)
    assert "Doe" not in (tmp_path / "b" / "dicom.json").read_text() + (tmp_path / "a" / "dicom.json").read_text()
    error = volume(scan(tmp_path / "s.nii.gz"), tmp_path / "c", model="cubic", dicom=True)[0].error
    assert isinstance(error, UsageError)


def test_volumes_in_memory(refiner_file: Path) -> None:
    import SimpleITK as sitk

    array = np.rint(smooth_volume()).astype(np.int16)
    affine = np.diag([1, 1, 2.5, 1.0])
    plain = medsr.volume(array, affine=affine, model=refiner_file, uncertainty=True)
    assert plain.image.shape == plain.uncertainty.shape == (20, 18, 22)
    image = medsr.volume(nib.Nifti1Image(array, affine), model=refiner_file, uncertainty=True)
    assert isinstance(image.image, nib.Nifti1Image)
    np.testing.assert_array_equal(np.asarray(image.image.dataobj), plain.image)
    np.testing.assert_allclose(image.image.affine, plain.affine, atol=1e-6)
    given = sitk.GetImageFromArray(array.T)
    given.SetSpacing((1, 1, 2.5))
    given.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    result = medsr.volume(given, model=refiner_file)
    assert isinstance(result.image, sitk.Image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result.image).T, plain.image)
    assert result.image.GetPixelIDValue() == given.GetPixelIDValue()
    np.testing.assert_allclose(result.image.GetOrigin(), (0, 0, plain.affine[2, 3]), atol=1e-6)
    with pytest.raises(UsageError, match="affine"):
        medsr.volume(array)
    scaled = nib.Nifti1Image(array, affine)
    scaled.header.set_slope_inter(0.5, -100)
    read = medsr.volume(type(scaled).from_bytes(scaled.to_bytes()), model=refiner_file).image
    np.testing.assert_allclose(
        read.get_fdata(), medsr.volume(array, affine=affine, model=refiner_file).image * 0.5 - 100
    )
    with pytest.raises(InputError, match="several numbers"):
        medsr.volume(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), model="cubic")
    for dtype in (bool, np.float16):
        with pytest.raises(InputError, match="not handled"):
            medsr.volume(array.astype(dtype), affine=affine, model="cubic", kind="image")
    with pytest.raises(InputError, match="NaN"):
        medsr.volume(np.full((5, 5, 5), np.nan), affine=np.eye(4), model="cubic")


def test_outside_what_the_model_was_trained_for(refiner_file: Path) -> None:
    hounsfield = (smooth_volume((12, 12, 4)) - 1000).astype(np.int16)
    found = volume(hounsfield, affine=np.diag([3, 3, 30, 1.0]), model=refiner_file).summary["warnings"]
    assert any("look like CT" in line for line in found)
    assert any("3 x 3 x 3 mm" in line for line in found)
    assert any("factors 2 to 6" in line for line in found)
    usual = volume(smooth_volume(), affine=np.diag([1, 1, 2.5, 1.0]), model=refiner_file).summary["warnings"]
    assert usual == []


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medsr.core.platform.sync", full)
    error = volume(scan(tmp_path / "s.nii.gz"), tmp_path / "out", model="cubic")[0].error
    assert type(error) is MedsrError
    assert "s.nii.gz: cannot be written: No space left on device" in str(error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.tsv"]


@pytest.mark.slow
def test_killed_half_way_there_is_no_result(refiner_file: Path, tmp_path: Path) -> None:
    source = scan(tmp_path / "s.nii.gz", smooth_volume((90, 90, 60)))
    command = [sys.executable, "-m", "medsr", "volume", str(source), "--out", str(tmp_path / "out")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--scale", "4", "--model", str(refiner_file)], env=environment, stderr=subprocess.PIPE
    )
    time.sleep(6)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    for path in (tmp_path / "out").glob("s*"):
        volume_io.read(path) if path.name.endswith(".nii.gz") else path.read_bytes()
        assert path.stat().st_size > 0


def test_too_large_a_result_is_refused_at_once(tmp_path: Path) -> None:
    array = np.zeros((400, 400, 400), np.uint8)
    array[::7] = np.arange(400)
    began = time.monotonic()
    error = volume(scan(tmp_path / "s.nii.gz", array, np.eye(4)), tmp_path / "out", model="cubic", scale=16)[0].error
    assert error is not None
    assert error.exit_code == 6
    assert "GB" in str(error)
    assert time.monotonic() - began < 30


def test_a_scan_is_shown_through_the_window_that_its_dicom_asks_for(tmp_path: Path) -> None:
    slices = [slice_of(index, WindowCenter=[35, 400], WindowWidth=[101, 2000]) for index in range(4)]
    write_slices(tmp_path / "ct", slices)
    scan_read = volume_io.read(tmp_path / "ct")
    assert shown_range(scan_read) == (-15.5, 84.5)
    pictures = Pictures(scan_read, scan_read)
    low, high = pictures.shown
    stored = np.array([low, high]) * (pictures.window.high - pictures.window.low) + pictures.window.low
    np.testing.assert_allclose(stored * scan_read.slope + scan_read.intercept, [-15.5, 84.5], atol=1e-3)
