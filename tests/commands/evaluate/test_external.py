"""What another program made, measured beside ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

import medsr
from medsr.commands.evaluate.case import Item
from medsr.commands.evaluate.choose import benchmark
from medsr.commands.evaluate.external import names, parse, results
from medsr.core.errors import InputError, UsageError
from medsr.io.files import sha256
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume


def test_our_own_results_taken_in_again_score_the_same(fundus: np.ndarray, tiny_model: Path, tmp_path: Path) -> None:
    """The round trip another program makes: inputs out, results in."""
    write_png(tmp_path / "truth/sub/eye.1.png", fundus[:120, :130])
    inputs, there = tmp_path / "inputs", tmp_path / "there"
    first = medsr.evaluate("folder", tmp_path / "truth", models=[tiny_model], inputs=inputs, device="cpu")
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
    first = medsr.evaluate(
        "volume", tmp_path / "truth", models=["back-projected"], inputs=tmp_path / "thick", device="cpu"
    )
    thick = nib.load(tmp_path / "thick/scan.nii.gz")
    assert thick.shape == (24, 22, 13)
    np.testing.assert_allclose(thick.affine, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    medsr.volume(tmp_path / "thick/scan.nii.gz", tmp_path / "fine", model="back-projected", device="cpu")
    made = nib.load(tmp_path / "fine/scan.nii.gz")
    turn = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 25], [0, 0, 0, 1]])
    upside_down = nib.Nifti1Image(made.get_fdata(dtype=np.float32)[:, :, ::-1], made.affine @ turn)
    nib.save(upside_down, tmp_path / "fine/scan.nii.gz")
    result = medsr.evaluate("volume", tmp_path / "truth", results={"ours": tmp_path / "fine"}, device="cpu")
    own, again = (one.means[name]["psnr"].mean for one, name in ((first, "back-projected"), (result, "ours")))
    assert again == pytest.approx(own, abs=1e-3)
    assert own > first.means["cubic"]["psnr"].mean
    nib.save(nib.Nifti1Image(made.get_fdata(dtype=np.float32)[:, :, 1:], made.affine), tmp_path / "fine/scan.nii.gz")
    with pytest.raises(InputError, match="24 x 22 x 25 voxels, the ground truth has 24 x 22 x 26"):
        medsr.evaluate("volume", tmp_path / "truth", results={"ours": tmp_path / "fine"}, device="cpu")


def test_the_hash_is_that_of_the_weights_measured_not_of_a_namesake_here(
    refiner_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nib.save(nib.Nifti1Image(smooth_volume((24, 22, 26)), np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / refiner_file.name).write_bytes(b"another")
    monkeypatch.chdir(tmp_path)
    found = medsr.evaluate("volume", tmp_path, models=[refiner_file.absolute()], device="cpu")
    assert found.models[refiner_file.name]["sha256"] == sha256(refiner_file)
    assert found.models["cubic"]["sha256"] is None


@pytest.mark.slow
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
        found = medsr.evaluate("volume", tmp_path, models=[refiner_file], device="cpu", **way)  # type: ignore[arg-type]
        seen[name] = found.means[refiner_file.name]["psnr"].mean
        assert found.means["cubic"]["psnr"].mean == pytest.approx(
            seen.setdefault("cubic", found.means["cubic"]["psnr"].mean)
        )
        told = " ".join(map(str, found.protocol.values()))
        words = {"one": "sagittal slices", "weighted": "by agreement", "raw": "not made", "taught": "0.01 minutes"}
        assert words.get(name, "all planes that hold that axis, averaged, made consistent") in told
    assert len(set(seen.values())) == len(seen)
    with pytest.raises(UsageError, match="`planes=axial`: holds no axis to be refined"):
        medsr.evaluate("volume", tmp_path, models=[refiner_file], planes="axial", device="cpu")
    for way in ({"fuse": "best"}, {"adapt": -1.0}):
        with pytest.raises(UsageError, match=r"`fuse=best`|`adapt=-1`"):
            medsr.evaluate("volume", tmp_path, models=[refiner_file], device="cpu", **way)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="are of networks, and none is measured"):
        medsr.evaluate("volume", tmp_path, models=["back-projected"], fuse="median", device="cpu")
    with pytest.raises(UsageError, match="say how long to train it"):
        medsr.evaluate("volume", tmp_path, models=["scratch"], device="cpu")


def test_results_that_are_not_there_or_another_size_are_named(fundus: np.ndarray, tmp_path: Path) -> None:
    write_png(tmp_path / "truth/eye.png", fundus[:120, :130])
    there = tmp_path / "there"
    there.mkdir()

    def measured() -> None:
        medsr.evaluate("folder", tmp_path / "truth", results={"other": there}, device="cpu")

    with pytest.raises(InputError, match="expected one result of eye, named as its input is, found none"):
        measured()
    write_png(there / "eye.png", fundus[:60, :65])
    with pytest.raises(InputError, match="65x60 pixels, expected 130x120"):
        measured()
    write_png(there / "eye.png", fundus[:120, :130, 0])
    with pytest.raises(InputError, match="grey, the ground truth is in colour"):
        measured()


def test_sixteen_bits_of_a_dim_picture_are_not_taken_for_twelve(tmp_path: Path) -> None:
    dim = np.random.default_rng(0).integers(0, 50, (40, 40), np.uint8)
    write_png(tmp_path / "truth/eye.png", dim)
    write_png(tmp_path / "there/eye.png", dim.astype(np.uint16) * 257)
    result = medsr.evaluate("folder", tmp_path / "truth", results={"other": tmp_path / "there"}, device="cpu")
    assert result.means["other"]["psnr"].mean == 100
    assert "seconds" not in result.means["other"]  # which nobody measured


def test_published_tables_are_of_y_and_so_may_results_be(fundus: np.ndarray, tmp_path: Path) -> None:
    from medsr.metrics.psnr_ssim import luma

    write_png(tmp_path / "truth/eye.png", fundus[:60, :60])
    y = np.rint(luma(fundus[:60, :60].astype(np.float32) / 255) * 255).astype(np.uint8)
    write_png(tmp_path / "there/eye.png", y[:, :, 0])
    result = medsr.evaluate("classic", tmp_path / "truth", results={"other": tmp_path / "there"}, device="cpu")
    assert result.means["other"]["psnr"].mean > 50


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda image: nib.Nifti1Image(image.dataobj, image.affine @ np.diag([-1, 1, 1, 1])), "lies elsewhere"),
        (lambda image: nib.Nifti1Image(image.dataobj, None), "lies elsewhere"),
        (lambda image: nib.Nifti1Image(image.dataobj, np.diag([2, 2, 2, 1])), "lies elsewhere"),
        (lambda image: nib.Nifti1Image(image.get_fdata(dtype=np.float32) * 255, image.affine), "rescaled"),
        (lambda image: nib.Nifti1Image(np.stack([image.dataobj] * 2, -1), image.affine), "2 volumes"),
    ],
)
def test_a_volume_that_lies_elsewhere_or_means_something_else_is_refused(
    spoil: Callable[[Any], Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "truth").mkdir()
    nib.save(nib.Nifti1Image(smooth_volume((24, 22, 26)), np.diag([0.9, 0.9, 1, 1])), tmp_path / "truth/scan.nii")
    medsr.evaluate("volume", tmp_path / "truth", models=["cubic"], inputs=tmp_path / "in", device="cpu")
    medsr.volume(
        tmp_path / "in/scan.nii.gz", tmp_path / "made/scan.nii.gz", isotropic=True, model="cubic", device="cpu"
    )
    told = {"results": {"other": tmp_path / "made"}, "device": "cpu"}
    again = medsr.evaluate("volume", tmp_path / "truth", **told)  # type: ignore[arg-type]
    assert again.differences["other"]["psnr"].mean == pytest.approx(0, abs=1e-3)
    nib.save(spoil(nib.load(tmp_path / "made/scan.nii.gz")), tmp_path / "made/scan.nii.gz")
    with pytest.raises(InputError, match=said):
        medsr.evaluate("volume", tmp_path / "truth", **told)  # type: ignore[arg-type]


def test_every_result_belongs_to_the_case_it_is_named_after(tmp_path: Path) -> None:
    cases = ["eye", "eye_1", "eye_10", "scan.nii.gz", "scan.mha", "sub/scan.nii"]
    items = [Item(case, {"image": tmp_path / Path(case).name}) for case in cases]
    assert names(items) == dict(
        zip(cases, ["eye", "eye_1", "eye_10", "scan.nii.gz", "scan.mha", "sub/scan"], strict=True)
    )
    for name in ("eye_1_out.png", "eye_10.png", "eye_10_old.png", "eye_2.png", "eye_3.txt", "sub/eye.png"):
        write_png(tmp_path / "there" / name, np.zeros((8, 8), np.uint8)) if name.endswith("png") else None
    bench = benchmark("folder", tmp_path)
    found = {
        case: [path.name for path in files]
        for case, files in results("x", tmp_path / "there", bench, names(items)).files.items()
    }
    assert found["eye"] == ["eye_2.png"]
    assert found["eye_1"] == ["eye_1_out.png"]
    assert found["eye_10"] == ["eye_10.png"]
    with pytest.raises(InputError, match="leads out of the folder"):
        names([Item("../x", {"image": tmp_path / "x.png"})])
    for own in ("bicubic", "ground truth", "medsr-mri"):
        with pytest.raises(UsageError, match="a name of our own"):
            results(own, tmp_path / "there", bench, names(items))


def test_what_limit_leaves_out_keeps_its_results(fundus: np.ndarray, tmp_path: Path) -> None:
    """`eye` is drawn of these 2, and has no result: another's is not taken for it."""
    for name in ("eye", *(f"eye_{index}" for index in range(1, 2))):
        write_png(tmp_path / "truth" / f"{name}.png", fundus[:64, :66])
    write_png(tmp_path / "there/eye_1.png", fundus[:64, :66])
    with pytest.raises(InputError, match="expected one result of eye, named as its input is, found none"):
        medsr.evaluate("folder", tmp_path / "truth", results={"x": tmp_path / "there"}, limit=1, device="cpu")


def test_inputs_are_written_beside_nothing_and_a_bad_image_stops_none(fundus: np.ndarray, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    write_png(truth / "eye.png", fundus[:64, :66])
    (truth / "bad.png").write_bytes((truth / "eye.png").read_bytes()[:200])
    for folder, said in ((truth, "lies in `data`"), (truth / "in", "lies in `data`"), (tmp_path, "is not empty")):
        with pytest.raises(UsageError, match=said):
            medsr.evaluate("folder", truth, inputs=folder, device="cpu")
    result = medsr.evaluate("folder", truth, inputs=tmp_path / "in", device="cpu")
    assert len(result.failed) == 1
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["eye.png"]


def test_what_was_said_of_results(tmp_path: Path) -> None:
    assert parse([f"a={tmp_path}", f"b={tmp_path}"]) == {"a": tmp_path, "b": tmp_path}
    for wrong in (["a"], [f"={tmp_path}"], [f"a={tmp_path}"] * 2):
        with pytest.raises(UsageError, match="`results="):
            parse(wrong)
