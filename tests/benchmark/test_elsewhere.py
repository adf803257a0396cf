"""What another program made, measured beside ours."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

import medsr
from medsr.benchmark.elsewhere import find, parse
from medsr.errors import InputError, UsageError
from tests.conftest import smooth_volume, write_png


def test_our_own_results_taken_in_again_score_the_same(fundus: np.ndarray, tiny_model: Path, tmp_path: Path) -> None:
    """The round trip another program makes: inputs out, results in."""
    write_png(tmp_path / "truth/sub/eye.1.png", fundus[:120, :130])
    inputs, there = tmp_path / "inputs", tmp_path / "there"
    first = medsr.evaluate("folder", tmp_path / "truth", [tiny_model], inputs=inputs, device="cpu")
    assert [path.relative_to(inputs).as_posix() for path in inputs.rglob("*.png")] == ["sub/eye.1.png"]
    assert Pillow.open(inputs / "sub/eye.1.png").size == (65, 60)
    medsr.upscale([inputs], there, model=tiny_model, device="cpu")
    (there / "sub/eye.1.png").rename(there / "sub/eye.1_out.png")
    result = medsr.evaluate("folder", tmp_path / "truth", results={"ours": there}, device="cpu")
    assert list(result.means) == ["bicubic", "ours"]
    for metric in ("psnr", "ssim", "lr_psnr"):
        own, again = first.means[tiny_model.name][metric].mean, result.means["ours"][metric].mean
        assert again == pytest.approx(own, rel=1e-6)


def test_volumes_go_out_and_come_back_whatever_way_they_lie(tmp_path: Path) -> None:
    truth = smooth_volume((24, 22, 26))
    affine = np.array([[0, -1, 0, 29], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    (tmp_path / "truth").mkdir()
    turned = np.ascontiguousarray(truth[::-1].transpose(2, 0, 1))
    nib.save(nib.Nifti1Image(turned, affine), tmp_path / "truth/scan.nii.gz")
    first = medsr.evaluate("volume", tmp_path / "truth", ["back-projected"], inputs=tmp_path / "thick", device="cpu")
    thick = nib.load(tmp_path / "thick/scan.nii.gz")
    assert thick.shape == (24, 22, 13)
    np.testing.assert_allclose(thick.affine, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    medsr.volume(tmp_path / "thick/scan.nii.gz", tmp_path / "fine", model="back-projected", device="cpu")
    made = nib.load(tmp_path / "fine/scan.nii.gz")
    upside_down = nib.Nifti1Image(made.get_fdata(dtype=np.float32)[:, :, ::-1], made.affine @ np.diag([1, 1, -1, 1]))
    nib.save(upside_down, tmp_path / "fine/scan.nii.gz")
    result = medsr.evaluate("volume", tmp_path / "truth", results={"ours": tmp_path / "fine"}, device="cpu")
    own, again = (one.means[name]["psnr"].mean for one, name in ((first, "back-projected"), (result, "ours")))
    assert again == pytest.approx(own, abs=1e-3)
    assert own > first.means["cubic"]["psnr"].mean
    nib.save(nib.Nifti1Image(made.get_fdata(dtype=np.float32)[:, :, 1:], made.affine), tmp_path / "fine/scan.nii.gz")
    with pytest.raises(InputError, match="24 x 22 x 25, the ground truth is 24 x 22 x 26"):
        medsr.evaluate("volume", tmp_path / "truth", results={"ours": tmp_path / "fine"}, device="cpu")


def test_the_way_of_refining_is_measured_and_printed(refiner_file: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(smooth_volume((72, 64, 48)), np.eye(4)), tmp_path / "a.nii.gz")
    seen = {}
    for name, way in {
        "both": {},
        "one": {"planes": "sagittal"},
        "weighted": {"fuse": "weighted"},
        "raw": {"consistency": False},
        "taught": {"adapt": 0.01},
    }.items():
        found = medsr.evaluate("volume", tmp_path, [refiner_file], device="cpu", **way)  # type: ignore[arg-type]
        seen[name] = found.means[refiner_file.name]["psnr"].mean
        assert found.means["cubic"]["psnr"].mean == pytest.approx(
            seen.setdefault("cubic", found.means["cubic"]["psnr"].mean)
        )
        told = " ".join(map(str, found.protocol.values()))
        words = {"one": "sagittal slices", "weighted": "by agreement", "raw": "not made", "taught": "0.01 minutes"}
        assert words.get(name, "all planes that hold that axis, averaged, made consistent") in told
    assert len(set(seen.values())) == len(seen)
    with pytest.raises(UsageError, match="--planes axial: holds no axis to be refined"):
        medsr.evaluate("volume", tmp_path, [refiner_file], planes="axial", device="cpu")
    with pytest.raises(UsageError, match="say how long to train it"):
        medsr.evaluate("volume", tmp_path, ["scratch"], device="cpu")


def test_results_that_are_not_there_or_another_size_are_named(fundus: np.ndarray, tmp_path: Path) -> None:
    write_png(tmp_path / "truth/eye.png", fundus[:120, :130])
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(InputError, match=r"expected one result named eye or eye_\.\.\., found none"):
        medsr.evaluate("folder", tmp_path / "truth", results={"other": there}, device="cpu")
    write_png(there / "eye.png", fundus[:60, :65])
    with pytest.raises(InputError, match="60 x 65 x 3, the ground truth is 120 x 130 x 3"):
        medsr.evaluate("folder", tmp_path / "truth", results={"other": there}, device="cpu")
    write_png(there / "eye.png", fundus[:120, :130, 0])
    with pytest.raises(InputError, match="grey, the ground truth is in colour"):
        medsr.evaluate("folder", tmp_path / "truth", results={"other": there}, device="cpu")


def test_a_result_is_found_by_its_name_and_never_guessed(tmp_path: Path) -> None:
    for name in ("eye_1_out.png", "eye_10_out.png", "scan_eclare.nii.gz", "scan2_eclare.nii.gz", "scan_psf.npy"):
        (tmp_path / name).touch()
    assert find(tmp_path, "eye_1").name == "eye_1_out.png"
    assert find(tmp_path, "scan.nii.gz").name == "scan_eclare.nii.gz"
    (tmp_path / "eye_1_other.png").touch()
    with pytest.raises(InputError, match=r"found eye_1_other\.png, eye_1_out\.png"):
        find(tmp_path, "eye_1")
    (tmp_path / "eye_1.tif").touch()
    assert find(tmp_path, "eye_1").name == "eye_1.tif"


def test_what_was_said_of_results(tmp_path: Path) -> None:
    assert parse([f"a={tmp_path}", f"b={tmp_path}"]) == {"a": tmp_path, "b": tmp_path}
    for wrong in (["a"], [f"={tmp_path}"], [f"a={tmp_path}"] * 2, ["a=/nowhere"]):
        with pytest.raises(UsageError, match="--results"):
            parse(wrong)
