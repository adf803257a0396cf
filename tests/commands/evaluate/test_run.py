from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import medsr
from medsr.batch import status
from medsr.commands.evaluate import tables
from medsr.commands.evaluate.benchmarks import BENCHMARKS, ENTRIES, BenchmarkEntry
from medsr.commands.evaluate.choose import benchmark
from medsr.commands.evaluate.gallery import Gallery
from medsr.core.errors import ComputationError, InputError, UsageError, WeightsError
from medsr.metrics import psnr_ssim
from medsr.networks.bundled import CHEST, FUNDUS, MRI
from tests.helpers.images import write_png
from tests.helpers.models import convert

pytestmark = pytest.mark.usefixtures("without_drawings")


def test_everything_promised_is_written_and_agrees(photographs: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = medsr.evaluate(
        "folder",
        photographs,
        models=["bicubic", "lanczos", tiny_model],
        out=out,
        json=tmp_path / "all.json",
        device="cpu",
    )
    found = json.loads((tmp_path / "all.json").read_text())
    assert set(found) >= {"benchmark", "protocol", "n", "models", "images"}
    assert found["benchmark"] == "folder"
    assert found["n"] == 4
    assert list(found["models"]) == ["bicubic", "lanczos", "tiny.safetensors"]
    assert found["protocol"]["blur_sigma"] == 1.0
    assert found["about_models"]["tiny.safetensors"]["sha256"]
    for model, told in found["models"].items():
        for metric in ("psnr", "ssim", "mse", "psnr_foreground", "sharpness", "seconds", "memory_mb"):
            values = [row[metric] for row in found["images"] if row["model"] == model]
            assert told[metric]["mean"] == pytest.approx(np.mean(values))
            assert told[metric]["ci95"][0] <= told[metric]["mean"] <= told[metric]["ci95"][1]
    gains = [row["psnr"] - base["psnr"] for row, base in zip(found["images"][1::3], found["images"][::3], strict=True)]
    assert found["differences"]["lanczos"]["psnr"]["mean"] == pytest.approx(np.mean(gains))
    images = list(csv.DictReader(io.StringIO((out / "images.csv").read_text())))
    assert len(images) == 12
    assert float(images[0]["psnr"]) == found["images"][0]["psnr"]
    means = list(csv.DictReader(io.StringIO((out / "results.csv").read_text())))
    assert {row["model"] for row in means} == set(found["models"])
    markdown = (out / "results.md").read_text()
    assert f"{result.means['bicubic']['psnr'].mean:.2f} [" in markdown
    widths = {len(line) for line in markdown.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    assert "bicubic (antialiased) down by 2, Gaussian blur of sigma 1" in markdown


def test_figures_are_those_of_the_protocol_done_by_hand(photographs: Path) -> None:
    from scipy.ndimage import gaussian_filter

    result = medsr.evaluate("folder", photographs, models=["bicubic"], scale=2, blur_sigma=0.7, device="cpu")
    truth = np.asarray(Pillow.open(photographs / "eye 0.png")).astype(np.float32)
    planes = [Pillow.fromarray(truth[:, :, c]).resize((65, 60), Pillow.Resampling.BICUBIC) for c in range(3)]
    low = np.stack([gaussian_filter(np.clip(plane, 0, 255), 0.7) for plane in planes], axis=2).round()
    large = [
        np.clip(Pillow.fromarray(low[:, :, c].astype(np.float32)).resize((130, 120), Pillow.Resampling.BICUBIC), 0, 255)
        for c in range(3)
    ]
    coefficients = np.array([65.481, 128.553, 24.966]) / 255
    y = [np.round(16 + one.round() @ coefficients) for one in (np.stack(large, axis=2), truth)]
    psnr = 10 * np.log10(255**2 / np.mean((y[0] - y[1]) ** 2))
    assert result.values("bicubic", "psnr")["eye 0"] == pytest.approx(psnr, abs=0.01)


def test_the_truth_itself_would_score_best(photographs: Path) -> None:
    bench = benchmark("folder", photographs)
    bench.items()
    case = bench.load(bench.items()[0])
    found = bench.score(case.ground_truth, case)
    assert found["psnr"] == psnr_ssim.IDENTICAL
    assert found["ssim"] == pytest.approx(1)
    assert found["mse"] == 0


@pytest.mark.slow
def test_one_bad_image_is_named_and_counts_for_nobody(photographs: Path, tmp_path: Path) -> None:
    (photographs / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbad")
    write_png(photographs / "tiny.png", np.zeros((5, 5, 3), np.uint8))
    command = [sys.executable, "-m", "medsr", "evaluate", "folder", "--data", str(photographs), "--model", "bicubic"]
    command += ["--json", str(tmp_path / "x/all.json"), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "bad.png" in done.stderr
    assert "tiny.png: 4x4 pixels are too few" in done.stderr
    assert "2 of 6 inputs failed" in done.stderr
    assert "PSNR" in done.stdout
    found = json.loads((tmp_path / "x/all.json").read_text())
    assert found["n"] == 4
    assert len(found["failed"]) == 2


def test_where_nothing_can_be_measured_the_first_reason_is_given(tmp_path: Path) -> None:
    write_png(tmp_path / "data/00000001_000.png", np.zeros((512, 512), np.uint8))
    with pytest.raises(InputError, match="512x512 pixels, expected 1024x1024"):
        medsr.evaluate("nih-cxr", tmp_path / "data", device="cpu")


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (
            {"benchmark": "drve"},
            UsageError,
            "no such benchmark; did you mean 'drive'? (there are: drive, nih-cxr, classic, volume, folder, lesions)",
        ),
        ({"benchmark": "lesions"}, UsageError, "`medsr.evaluate_lesions`"),
        ({"track": "bicubic"}, UsageError, "`track`: folder has none; classic has"),
        ({"benchmark": "classic", "blur_sigma": 1.0}, UsageError, "`blur_sigma`: classic has no blur"),
        ({"benchmark": "classic", "track": "unkown"}, UsageError, "expected bicubic or unknown"),
        ({"benchmark": "classic", "scale": 5}, UsageError, "takes 2, 3, 4"),
        ({"benchmark": "drive", "scale": 3}, UsageError, "takes 2, 4, 8"),
        ({"benchmark": "volume", "scale": 0.5}, UsageError, "above 1"),
        ({"scale": 2.5}, UsageError, "2 to 16"),
        ({"blur_sigma": -1.0}, UsageError, "from 0"),
        ({"limit": 0}, UsageError, "from 1"),
        ({"benchmark": "volume", "tile": 64}, UsageError, "`tile`: volume runs whole slices"),
        ({"models": ["cubic"]}, UsageError, "is for volumes"),
        ({"out": "/proc/nowhere/x"}, UsageError, "cannot be written"),
        ({"json": "/proc/nowhere/x.json"}, UsageError, "cannot be written"),
        ({"models": ["nobody"]}, UsageError, "no weight file and no known name"),
        ({"models": ["realesrgan-x4plus"]}, WeightsError, "medsr weights fetch"),
        ({"benchmark": "volume", "models": ["bicubic"]}, (UsageError, InputError), ""),
        ({"planes": "axial"}, UsageError, "`adapt`: folder has none; volume has"),
        ({"consistency": False, "models": ["bicubic"]}, UsageError, "none is measured"),
        ({"adapt": 1.0}, UsageError, "`adapt`: folder has none; volume has"),
        ({"models": ["back-projected"]}, UsageError, "is for volumes"),
        ({"results": {"other": "nowhere"}}, UsageError, "`results=other=nowhere`: no such folder"),
        ({"inputs": "/proc/nowhere/x"}, UsageError, "`inputs=/proc/nowhere/x`: cannot be written"),
        ({"results": {"lanczos": "."}, "models": ["lanczos"]}, UsageError, "choose another"),
        ({"results": {"other": "."}, "skip_done": True, "out": "out"}, UsageError, "`skip_done`: leave it out"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, error: type[Exception], said: str, photographs: Path) -> None:
    with pytest.raises(error) as caught:
        medsr.evaluate(**{"benchmark": "folder", "data": photographs, "device": "cpu"} | arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_says_what_its_benchmark_is(entry: BenchmarkEntry, tmp_path: Path) -> None:
    bench = benchmark(entry.name, tmp_path)
    assert (bench.name, bench.scale) == (entry.name, entry.default_scale)
    for scale in entry.scales:
        assert benchmark(entry.name, tmp_path, scale).scale == scale
    for track in entry.tracks:
        assert benchmark(entry.name, tmp_path, track=track).protocol()["track"] == track
    if entry.blur:
        assert benchmark(entry.name, tmp_path, blur_sigma=0.5).protocol()["blur_sigma"] == 0.5
    assert entry.suits in ("", FUNDUS, CHEST, MRI)


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_an_empty_or_missing_folder_is_an_input_error(name: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=re.escape(str(folder))):
            medsr.evaluate(name, folder, device="cpu")


def test_a_model_that_answers_nonsense_is_not_perfect(photographs: Path, tmp_path: Path) -> None:
    import torch

    from medsr.networks import checkpoint
    from tests.helpers.models import TINY

    net = TINY.build()
    torch.nn.init.constant_(net.conv_last.bias, float("nan"))
    checkpoint.save(tmp_path / "nan.safetensors", net.state_dict(), TINY)
    convert(tmp_path / "nan.safetensors")
    with pytest.raises(
        ComputationError, match=r"nan\.safetensors: in fp32 the network gives values that are not numbers"
    ):
        medsr.evaluate("folder", photographs, models=[tmp_path / "nan.safetensors"], device="cpu")


def test_images_that_differ_in_their_suffix_only_are_different_images(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "1.png", fundus[:64, :64])
    Pillow.fromarray(fundus[64:128, :64]).save(tmp_path / "1.jpg")
    write_png(tmp_path / "2.png", fundus[:64, 64:128])
    write_png(tmp_path / "blank.png", np.zeros((64, 64), np.uint8))
    result = medsr.evaluate("folder", tmp_path, models=["bicubic"], device="cpu")
    assert result.ids == ["1.jpg", "1.png", "2"]
    assert [one.input.name for one in result.failed] == ["blank.png"]
    assert any("fewer than 10 images" in remark for remark in tables.remarks(result))


def test_a_test_list_that_names_none_of_the_images_is_not_ignored(tmp_path: Path) -> None:
    write_png(tmp_path / "00000001_000.png", np.zeros((1024, 1024), np.uint8))
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    with pytest.raises(InputError, match="these are not test images"):
        medsr.evaluate("nih-cxr", tmp_path, device="cpu")


def test_two_different_files_for_one_image_are_refused(real_data: Path, tmp_path: Path) -> None:
    for folder, number in (("a", "01"), ("b", "02")):
        (tmp_path / folder).mkdir()
        shutil.copy(real_data / f"retina/DRIVE/test/images/{number}_test.tif", tmp_path / folder / "01_test.tif")
    with pytest.raises(InputError, match="differ; remove one"):
        medsr.evaluate("drive", tmp_path, models=["bicubic"], device="cpu")


def test_what_was_measured_is_not_measured_again(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.commands.evaluate.folder import Folder

    out = tmp_path / "out"
    (photographs / "bad.png").write_bytes(b"bad")
    first = medsr.evaluate("folder", photographs, models=["lanczos"], out=out, device="cpu")
    assert [row.outcome for row in status.read(out / "status.tsv")] == ["failed", *["done"] * 4]
    lines = (out / "measured.jsonl").read_text().splitlines()
    (out / "measured.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:50])  # as after a kill
    loaded: list[str] = []
    load = Folder.load
    monkeypatch.setattr(Folder, "load", lambda bench, item: (loaded.append(item.id), load(bench, item))[1])
    monkeypatch.setattr("medsr.commands.evaluate.page.write", lambda *_: None)
    again = medsr.evaluate("folder", photographs, models=["lanczos"], out=out, skip_done=True, device="cpu")
    assert loaded == ["bad", "eye 2", "eye 3"]
    assert again.ids == first.ids
    assert again.values("lanczos", "psnr") == first.values("lanczos", "psnr")
    loaded.clear()
    medsr.evaluate("folder", photographs, models=["lanczos"], out=out, blur_sigma=0.5, skip_done=True, device="cpu")
    assert len(loaded) == 5  # another protocol is another figure
    with pytest.raises(UsageError, match="needs `out`"):
        medsr.evaluate("folder", photographs, skip_done=True)


def test_a_limit_draws_the_same_images_every_time(photographs: Path) -> None:
    first, second = (medsr.evaluate("folder", photographs, models=["bicubic"], limit=2, device="cpu") for _ in range(2))
    assert first.ids == second.ids
    assert len(first.ids) == 2
    assert first.protocol["drawn"] == "2 at random, seed 0"


def test_a_factor_that_is_not_the_models_own_is_said(photographs: Path, tiny_model: Path) -> None:
    result = medsr.evaluate("folder", photographs, models=[tiny_model], scale=3, device="cpu")
    assert "own factor 2, brought to 3 by Lanczos" in tables.text(result)


def test_pictures_beyond_the_budget_are_made_again(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medsr.commands.evaluate import gallery

    bench = benchmark("folder", photographs)
    items = {item.id: item for item in bench.items()}
    runner = bench.open("bicubic", "cpu", None)
    pictures = Gallery(bench, items, {"bicubic": runner})
    case = bench.load(items["eye 1"])
    pictures.keep("eye 1", {"bicubic": runner(case), gallery.TRUTH: case.ground_truth})
    kept = pictures.get("eye 1", "bicubic")
    pictures.get("eye 2", "bicubic")  # not kept: made, in place of what there was
    np.testing.assert_array_equal(pictures.get("eye 1", "bicubic"), kept)
    np.testing.assert_array_equal(pictures.get("eye 1", gallery.TRUTH), case.ground_truth)


@pytest.mark.slow
def test_drive_without_masks_training_part_or_annotations_says_so(real_data: Path, tmp_path: Path) -> None:
    for number in ("01", "02"):
        shutil.copy(real_data / f"retina/DRIVE/test/images/{number}_test.tif", tmp_path)
    shutil.copy(real_data / "retina/DRIVE/test/1st_manual/01_manual1.gif", tmp_path)
    result = medsr.evaluate("drive", tmp_path, models=["bicubic"], device="cpu")
    assert "vessel_auc" not in result.means["bicubic"]
    assert "psnr_fov" not in result.means["bicubic"]  # nor is a field of view guessed
    shutil.copy(real_data / "retina/DRIVE/test/mask/01_test_mask.gif", tmp_path)
    (tmp_path / "21_training.tif").write_bytes(b"II*\0damaged")
    shutil.copy(real_data / "retina/DRIVE/training/mask/21_training_mask.gif", tmp_path)
    shutil.copy(real_data / "retina/DRIVE/training/1st_manual/21_manual1.gif", tmp_path)
    result = medsr.evaluate("drive", tmp_path, models=["bicubic"], device="cpu")
    assert result.means["bicubic"]["vessel_auc"].n == 1
    assert any("vessel AUC: on 1 of 2 images" in note for note in tables.remarks(result))
    assert "not calibrated" in result.protocol["vessel_calibration"]


def test_a_mask_that_is_not_the_images_is_an_error_of_that_image(real_data: Path, tmp_path: Path) -> None:
    for number in ("01", "02"):
        shutil.copy(real_data / f"retina/DRIVE/test/images/{number}_test.tif", tmp_path)
    Pillow.fromarray(np.full((100, 100), 255, np.uint8)).save(tmp_path / "01_test_mask.gif")
    Pillow.open(tmp_path / "02_test.tif").resize((512, 512)).save(tmp_path / "03_test.tif")
    result = medsr.evaluate("drive", tmp_path, models=["bicubic"], device="cpu")
    reasons = sorted(str(one.error) for one in result.failed)
    assert result.ids == ["02_test"]
    assert "100x100 pixels, but its image has 565x584" in reasons[0]
    assert "512x512 pixels, expected 565x584" in reasons[1]


@pytest.mark.slow
def test_the_bundled_retinal_model_keeps_thin_vessels(real_data: Path) -> None:
    """Over four test images: PSNR, SSIM and thin-vessel sensitivity above bicubic, every interval clear of zero."""
    result = medsr.evaluate("drive", real_data / "retina/DRIVE", limit=4, device="cpu")
    gains = result.differences["medsr-retina-x2"]
    for metric in ("psnr", "ssim", "psnr_fov", "thin_vessel_sensitivity"):
        assert gains[metric].above_zero, metric
    assert gains["psnr"].mean > 2.5
    assert gains["thin_vessel_sensitivity"].mean > 0.05


def test_chest_images_have_their_missing_and_added_detail(real_data: Path) -> None:
    result = medsr.evaluate("nih-cxr", real_data / "chest/nih", models=["bicubic"], limit=1, device="cpu")
    assert result.means["bicubic"]["detail_missing"].mean > 0.95
    assert result.means["bicubic"]["detail_added"].mean < 0.05
    assert result.protocol["scale"] == 4


def test_a_volume_is_measured_in_its_foreground_whatever_way_it_lies(refiner_file: Path, tmp_path: Path) -> None:
    import nibabel

    from tests.helpers.scans import smooth_volume

    volume = smooth_volume((30, 28, 26))
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii.gz")
    turned = np.ascontiguousarray(volume[::-1].transpose(2, 0, 1))
    affine = np.array([[0, -1, 0, 29], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(turned, affine), tmp_path / "b.nii.gz")
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 3, 1.0])), tmp_path / "thick.nii.gz")
    labels = np.repeat(np.arange(30, dtype=np.uint8) // 10, 28 * 26).reshape(30, 28, 26)
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "labels.nii.gz")
    result = medsr.evaluate("volume", tmp_path, models=[refiner_file], out=tmp_path / "out", device="cpu")
    assert result.ids == ["a.nii.gz", "b.nii.gz"]
    assert "a label map" in str(result.failed[0].error)
    assert "not isotropic" in str(result.failed[1].error)
    with pytest.raises(InputError, match="nothing to refine"):
        medsr.evaluate("volume", tmp_path, scale=1.001, device="cpu")
    for model in ("cubic", "refiner.safetensors"):
        one, other = result.values(model, "psnr_foreground").values()
        assert one == pytest.approx(other, abs=1e-3)
    assert "3D" in result.protocol["ssim"]
    assert (tmp_path / "out/report.html").is_file()


def test_scans_are_found_as_volume_finds_them_and_what_is_left_out_is_named(tmp_path: Path) -> None:
    import zipfile

    import nibabel

    from tests.helpers.scans import smooth_volume

    nibabel.save(nibabel.Nifti1Image(smooth_volume((24, 22, 20)), np.eye(4)), tmp_path / "a.nii.gz")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "a.nii.gz", "inside.nii.gz")
    (tmp_path / "notes.txt").write_text("no scan")
    said: list[str] = []
    result = medsr.evaluate("volume", tmp_path, models=["cubic"], device="cpu", notify=said.append)
    assert result.ids == ["a.nii.gz", "b.zip"]
    one, other = result.values("cubic", "psnr").values()
    assert one == other
    assert any("notes.txt" in line for line in said)


def test_the_data_of_a_header_apart_are_looked_at_before_a_measurement_counts_as_done(tmp_path: Path) -> None:
    import nibabel

    from tests.helpers.scans import smooth_volume

    means = []
    (tmp_path / "data").mkdir()
    for seed in (0, 1):
        nibabel.save(nibabel.Nifti1Pair(smooth_volume((24, 22, 20), seed), np.eye(4)), tmp_path / "data" / "a.hdr")
        result = medsr.evaluate(
            "volume", tmp_path / "data", models=["cubic"], out=tmp_path / "out", skip_done=True, device="cpu"
        )
        means.append(result.values("cubic", "psnr"))
    assert means[0] != means[1]


def _drive(folder: Path, count: int) -> Path:
    """A set with DRIVE's names and sizes; every image has its masks."""
    rng = np.random.default_rng(0)
    inside = np.zeros((584, 565), np.uint8)
    inside[50:500, 50:500] = 255
    for number in range(1, count + 1):
        base = f"{number:02d}"
        write_png(folder / "plain.png", rng.integers(0, 255, (584, 565, 3), np.uint8))
        Pillow.open(folder / "plain.png").save(folder / f"{base}_test.tif")
        Pillow.fromarray(inside).save(folder / f"{base}_test_mask.gif")
        Pillow.fromarray(np.where(rng.random((584, 565)) > 0.9, inside, 0).astype(np.uint8)).save(
            folder / f"{base}_manual1.gif"
        )
    (folder / "plain.png").unlink()
    return folder


@pytest.mark.slow
def test_one_bad_mask_costs_no_other_image_its_figures(tmp_path: Path) -> None:
    data = _drive(tmp_path / "data", 4)
    (data / "02_test_mask.gif").write_bytes(b"GIF89a")
    Pillow.fromarray(np.full((20, 20), 255, np.uint8)).save(data / "03_manual1.gif")
    (data / "04_test_mask.gif").unlink()
    os.mkfifo(data / "04_test_mask.gif")  # as if there were none
    told: list[str] = []
    result = medsr.evaluate("drive", data, models=["bicubic"], out=tmp_path / "out", device="cpu", notify=told.append)
    assert [one.input.name for one in result.failed] == ["02_test.tif", "03_test.tif"]
    assert result.ids == ["01_test", "04_test"]
    assert any("cannot open them: 04_test_mask.gif" in line for line in told)


def test_an_image_that_goes_while_it_is_measured_costs_no_other_its_figures(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.commands.evaluate.folder import Folder

    score, read = Folder.score, Folder.read

    def gone(self: Folder, result: np.ndarray, case: Any) -> dict[str, float]:
        (photographs / f"{case.id}.png").unlink(missing_ok=True)
        return score(self, result, case)

    def changed(self: Folder, path: Path) -> np.ndarray:
        pixels = read(self, path)
        if path.name == "eye 1.png":
            path.write_bytes(b"another")
        return pixels

    monkeypatch.setattr(Folder, "score", gone)
    monkeypatch.setattr(Folder, "read", changed)
    result = medsr.evaluate("folder", photographs, models=["bicubic"], out=tmp_path / "out", device="cpu")
    assert [str(one.error).partition(": ")[2][:15] for one in result.failed] == ["changed while i"]
    assert result.ids == ["eye 0", "eye 2", "eye 3"]
    rows = status.read(tmp_path / "out/status.tsv")
    assert [row.outcome for row in rows] == ["done", "failed", "done", "done"]
    assert all(row.input_sha256 for row in rows if row.outcome == "done")
