"""What the user says about a header that contradicts itself or says nothing, through every door."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.commands.cohort.run import cohort
from medsr.core.errors import InputError, UsageError
from medsr.io.volumes import volume as volume_io
from tests.helpers.scans import NRRD_3D, ONE_MM, QFORM, ramp, smooth_volume, write_nrrd


def torn(path: Path) -> Path:
    """A scan of 0.5 x 0.5 x 5 mm by its qform, of 1 mm by its sform."""
    image = nib.Nifti1Image(np.rint(smooth_volume((12, 11, 7))).astype(np.int16), None)
    image.set_qform(QFORM, 1)
    image.set_sform(ONE_MM, 1)
    image.to_filename(path)
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["volume", *map(str, arguments), "--model", "cubic"])
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.output


def test_the_command_line_refuses_in_one_line_and_takes_the_option(tmp_path: Path) -> None:
    scan, out = torn(tmp_path / "a.nii.gz"), tmp_path / "out.nii.gz"
    code, output = run(scan, "--out", out)
    assert code == 3
    [line] = [line for line in output.splitlines() if line.startswith("medsr:")]
    assert "--affine sform or --affine qform" in line
    assert not out.exists()
    code, output = run(scan, "--out", out, "--affine", "qform")
    assert code == 0
    assert "note: the qform is taken as asked for" in output
    assert nib.load(out).header.get_zooms() == pytest.approx((0.5, 0.5, 0.5))
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["parameters"]["affine"] == "qform"
    assert any("qform is taken" in warning for warning in sidecar["warnings"])
    [comparison] = medsr.reproduce(tmp_path / "out.json")
    assert comparison.same
    with pytest.raises(UsageError, match="expected one of sform, qform"):
        run(scan, "--out", out, "--affine", "other")


def test_the_command_line_takes_a_spacing_that_no_header_states(tmp_path: Path) -> None:
    scan, out = write_nrrd(tmp_path / "a.nrrd", NRRD_3D, ramp()), tmp_path / "out.nrrd"
    code, output = run(scan, "--out", out)
    assert code == 3
    assert "--input-spacing" in output
    code, output = run(scan, "--out", out, "--input-spacing", "1,1,4")
    assert code == 0
    assert sitk.ReadImage(str(out)).GetSpacing() == pytest.approx((1, 1, 1))
    [comparison] = medsr.reproduce(tmp_path / "out.json")
    assert comparison.same
    for wrong in ("1,1", "1,1,0", "a"):
        with pytest.raises(UsageError, match="spacing"):
            run(scan, "--out", out, "--input-spacing", wrong)


@pytest.mark.slow
def test_a_cohort_names_the_scan_and_takes_the_option(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    torn(tmp_path / "in" / "a.nii.gz")
    standing = cohort("volume", tmp_path / "in", out=tmp_path / "no", model="cubic")
    assert "voxel sizes 1 x 1 x 1 and 0.5 x 0.5 x 5" in standing.failed[0].reason
    standing = cohort("volume", tmp_path / "in", out=tmp_path / "yes", model="cubic", affine="sform")
    assert len(standing.done) == 1
    sizes = nib.affines.voxel_sizes(nib.load(tmp_path / "yes" / "a.nii.gz").affine)
    np.testing.assert_allclose(sizes, 0.5)


def test_images_in_memory(tmp_path: Path) -> None:
    image = nib.load(torn(tmp_path / "a.nii"))
    with pytest.raises(InputError, match="`affine=sform` or `affine=qform`"):
        medsr.volume(image, model="cubic")
    result = medsr.volume(image, model="cubic", affine="qform")
    np.testing.assert_allclose(nib.affines.voxel_sizes(result.image.affine), 0.5)
    with pytest.raises(UsageError, match="leave the matrix away"):
        medsr.volume(image, model="cubic", affine=np.eye(4))
    with pytest.raises(UsageError, match="a matrix goes with an array"):
        medsr.volume(tmp_path / "a.nii", tmp_path / "out.nii", model="cubic", affine=np.eye(4))
    with pytest.raises(UsageError, match="needs its affine"):
        medsr.volume(np.zeros((5, 5, 5)), model="cubic", affine="sform")
    with pytest.raises(UsageError, match="SimpleITK image states both"):
        medsr.volume(sitk.Image(5, 5, 5, sitk.sitkInt16), model="cubic", affine="sform")


def test_an_affine_changed_in_memory_is_the_one_written() -> None:
    image = nib.Nifti1Image(np.rint(smooth_volume((12, 11, 7))).astype(np.int16), QFORM)
    image.affine[:3, 3] += 100
    result = medsr.volume(image, model="cubic", spacing=(0.5, 0.5, 2.5))
    half = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    np.testing.assert_allclose(result.image.affine, image.affine @ half, atol=1e-5)
    np.testing.assert_allclose(result.affine, image.affine @ half, atol=1e-5)


def test_axes_of_length_1_at_the_end_of_an_array_come_back() -> None:
    array = np.rint(smooth_volume((12, 11, 7))).astype(np.int16)[..., None, None]
    result = medsr.volume(array, affine=QFORM, model="cubic", spacing=(0.5, 0.5, 2.5))
    assert result.image.shape == (12, 11, 14, 1, 1)


def test_a_companion_with_the_same_header_is_read_by_the_same_choice(tmp_path: Path) -> None:
    scan, mask = torn(tmp_path / "a.nii.gz"), tmp_path / "mask.nii.gz"
    image = nib.load(scan)
    labels = (np.asanyarray(image.dataobj) > 100).astype(np.int16)
    nib.Nifti1Image(labels, None, image.header).to_filename(mask)
    code, output = run(scan, "--out", tmp_path / "o" / "a.nii.gz", "--also", mask, "--affine", "qform")
    assert code == 0
    assert "mask.nii.gz: note: the qform is taken" in output
    moved = nib.load(tmp_path / "o" / "a_mask.nii.gz")
    np.testing.assert_allclose(moved.affine, nib.load(tmp_path / "o" / "a.nii.gz").affine)
    assert moved.shape == nib.load(tmp_path / "o" / "a.nii.gz").shape


def test_the_page_refuses_in_words_without_options(tmp_path: Path) -> None:
    from medsr.commands.serve.inspect_upload import inspect_upload
    from medsr.commands.serve.settings import Limits

    for path in (torn(tmp_path / "a.nii.gz"), write_nrrd(tmp_path / "b.nrrd", NRRD_3D, ramp())):
        with pytest.raises(InputError) as caught:
            inspect_upload(path, "seen", None, Limits(), lambda *_: None)
        assert str(caught.value).endswith("; correct the header and send it again")
        assert "affine" not in str(caught.value)
        assert "input_spacing" not in str(caught.value)


def test_training_and_measuring_name_a_volume_whose_grid_is_not_known(tmp_path: Path) -> None:
    from medsr.data.volumes import split
    from medsr.recipe import Data

    (tmp_path / "in").mkdir()
    write_nrrd(tmp_path / "in" / "a.nrrd", NRRD_3D, ramp())
    torn(tmp_path / "in" / "b.nii.gz")
    array = np.rint(smooth_volume((12, 12, 12))).astype(np.int16)
    nib.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / "in" / "c.nii.gz")
    nib.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / "in" / "d.nii.gz")
    parts = split(Data(train=str(tmp_path / "in"), pattern="*", validation=0.5), 4, 0)
    assert {path.name: reason.partition(": ")[2] for path, reason in parts.skipped}.keys() == {"a.nrrd", "b.nii.gz"}
    for name, word in (("a.nrrd", "states no voxel spacing"), ("b.nii.gz", "disagree")):
        assert word in next(reason for path, reason in parts.skipped if path.name == name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
def test_scale_1_writes_a_scan_anew_as_it_is(tmp_path: Path, name: str) -> None:
    image = nib.Nifti1Image(np.rint(smooth_volume((12, 11, 7))).astype(np.int16), QFORM)
    image.to_filename(tmp_path / "scan.nii")
    out = tmp_path / name
    assert run(tmp_path / "scan.nii", "--out", out, "--scale", 1)[0] == 0
    after = volume_io.read(out)
    np.testing.assert_array_equal(after.stored, np.asanyarray(image.dataobj))
    np.testing.assert_allclose(after.affine, QFORM, atol=1e-5)
    [comparison] = medsr.reproduce(out.with_name("a.json"))
    assert comparison.same
    with pytest.raises(UsageError, match="only `model=cubic`"):
        medsr.volume(image, scale=1)
