"""What a run takes as ground truth: neither what medsr wrote itself nor masks; patterns in upper and lower case."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import UsageError
from medsr.data import manifest, sources, volumes
from medsr.data.masks import is_mask
from medsr.data.own_outputs import is_own
from medsr.io import scans
from medsr.io.images import image as image_io
from medsr.recipe import Data
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

NO_BORDER = {"validation": 0.0, "workers": 0}


def _names(folder: Path, **data: object) -> list[str]:
    split = sources.split(Data(train=str(folder), **{**NO_BORDER, **data}), 32, 0)
    return sorted({source.path.relative_to(folder).as_posix() for source in split.train})


@pytest.fixture
def photographs(tmp_path: Path, fundus: np.ndarray) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(3):
        write_png(folder / f"eye{index}.png", np.roll(fundus[:96, :96], 7 * index, 0))
    return folder


def test_results_and_samples_are_left_out_counted_and_named(photographs: Path, tmp_path: Path) -> None:
    upscale([photographs / "eye0.png"], photographs / "finer", model="bicubic", outscale=2)
    upscale([photographs / "eye1.png"], photographs / "finer" / "deeper", model="bicubic", outscale=2)
    (photographs / "finer" / "deeper" / "upscale.json").unlink()  # status.tsv says it as well
    samples = photographs / "run" / "samples"
    samples.mkdir(parents=True)
    (samples.parent / "log.jsonl").touch()
    write_png(samples / "00000500.png", np.arange(96 * 96, dtype=np.uint8).reshape(96, 96))
    split = sources.split(Data(train=str(photographs), **NO_BORDER), 32, 0)
    assert sorted({source.path.name for source in split.train}) == ["eye0.png", "eye1.png", "eye2.png"]
    [reason] = [reason for _, reason in split.skipped if "medsr wrote itself" in reason]  # log.jsonl is named apart
    assert "3 files that medsr wrote itself" in reason
    for name in ("finer/eye0.png", "finer/deeper/eye1.png", "run/samples/00000500.png"):
        assert name in reason
    moved = photographs.rename(tmp_path / "elsewhere")
    assert _names(moved) == ["eye0.png", "eye1.png", "eye2.png"]
    with pytest.raises(UsageError, match="medsr wrote itself"):
        _names(moved / "finer")


def test_a_run_or_a_result_in_the_folder_of_the_photographs_costs_none_of_them(photographs: Path) -> None:
    upscale([photographs / "eye0.png"], photographs / "x", model="bicubic", outscale=2)
    (photographs / "x" / "eye0.png").rename(photographs / "result.png")
    for name in ("recipe.yml", "log.jsonl", "eye0.json"):
        (photographs / name).write_text("{}")
    (photographs / "status.tsv").write_bytes((photographs / "x" / "status.tsv").read_bytes())
    (photographs / "samples").mkdir()
    write_png(photographs / "samples" / "patient.png", np.asarray(Pillow.open(photographs / "eye0.png")))
    assert {"eye1.png", "eye2.png", "samples/patient.png"} < set(_names(photographs))


def test_results_of_volume_are_left_out(tmp_path: Path) -> None:
    scan = tmp_path / "a.nii.gz"
    nib.Nifti1Image(smooth_volume((40, 40, 20)), np.diag([1, 1, 2, 1])).to_filename(scan)
    nib.Nifti1Image(smooth_volume((40, 40, 40)), np.eye(4)).to_filename(tmp_path / "b.nii.gz")
    volume([scan], out=tmp_path / "finer", model="cubic")
    split = volumes.split(Data(train=str(tmp_path), validation=0.0), 16, 0)
    assert [source.path.name for source in split.train] == ["b.nii.gz"]
    assert any("medsr wrote itself" in reason for _, reason in split.skipped)
    previews = list((tmp_path / "finer").glob("*_preview.png"))
    assert all(map(is_own, previews))
    assert not is_own(scan)


def test_what_prepare_made_stays(photographs: Path) -> None:
    (photographs / "status.tsv").write_text("")
    rows = [
        manifest.ManifestRow(f"eye{i}.png", f"{i}", f"{i}", "train", "image", "c", "96x96", True, "s", "h", "h")
        for i in range(3)
    ]
    (photographs / manifest.NAME).write_text(manifest.render(rows))
    assert _names(photographs, pattern="*.PNG") == ["eye0.png", "eye1.png", "eye2.png"]


@pytest.mark.parametrize("pattern", ["*.PNG", "EYE?.png", "*"])
def test_patterns_know_no_upper_and_lower_case(photographs: Path, pattern: str) -> None:
    (photographs / "eye0.png").rename(photographs / "eye0.PNG")
    assert len(_names(photographs, pattern=pattern)) == 3
    split = sources.split(Data(train=str(photographs), validation="eye[0].png", pattern=pattern, workers=0), 32, 0)
    assert [path.name for path in split.held_out] == ["eye0.PNG"]


def test_patterns_of_volumes_know_no_upper_and_lower_case(tmp_path: Path) -> None:
    nib.Nifti1Image(smooth_volume((40, 40, 40)), np.eye(4)).to_filename(tmp_path / "a.nii")
    (tmp_path / "a.nii").rename(tmp_path / "A.NII")
    assert [path.name for path in scans.paths_below(tmp_path, "a*.nii")[0]] == ["A.NII"]


def _vessels(side: int = 160) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    thin = np.abs(np.sin(x / 17 + np.sin(y / 23)) * np.cos(y / 29)) < 0.08
    return np.where(thin, 255, 0).astype(np.uint8)


def _compressed(pixels: np.ndarray, quality: int, scale: float = 1.0) -> np.ndarray:
    picture, stream = Pillow.fromarray(pixels), io.BytesIO()
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Pillow.Resampling.LANCZOS).save(stream, "JPEG", quality=quality)
    return np.asarray(Pillow.open(stream))


def test_masks_are_told_from_pictures_by_what_they_hold(fundus: np.ndarray, whole_fundus: np.ndarray) -> None:
    labels = np.zeros((160, 160), np.uint8)
    for value in range(1, 12):
        labels[10 * value : 10 * value + 9, 20:140] = 20 * value
    grey = np.full((160, 160), 200, np.uint8)
    for mask in (_vessels(), 255 - _vessels(), grey, labels, np.zeros((64, 64), np.uint16)):
        assert is_mask(mask[..., None])
    for quality, scale in ((90, 1.0), (75, 1.0), (75, 0.5)):
        assert is_mask(_compressed(_vessels(480), quality, scale)[..., None])
    bordered = np.pad(fundus, ((600, 600), (600, 600), (0, 0)))
    film = (fundus[..., 1:2].astype(np.uint16)) * 16
    film[film < 900] = 0
    film[:12, :60] = 65535  # burnt-in writing
    hot = (np.random.default_rng(0).integers(0, 3000, (96, 80, 1))).astype(np.uint16)
    hot[0, 0] = 65000
    for picture in (fundus, whole_fundus, bordered, bordered[..., 1:2], 255 - bordered, film, hot, fundus[:40] // 8):
        assert not is_mask(picture)


def test_masks_beside_photographs_are_named_and_left_out_unless_asked_for(photographs: Path) -> None:
    write_png(photographs / "eye0_vessels.png", _vessels())
    write_png(photographs / "eye0_field.png", np.full((96, 96), 255, np.uint8))
    split = sources.split(Data(train=str(photographs), **NO_BORDER), 32, 0)
    assert {path.name for path, reason in split.skipped if "mask" in reason} == {"eye0_vessels.png", "eye0_field.png"}
    assert "eye0_vessels.png" not in _names(photographs)
    assert "eye0_vessels.png" in _names(photographs, keep_masks=True)


def test_label_maps_beside_volumes_are_left_out(tmp_path: Path) -> None:
    scan = smooth_volume((40, 40, 40))
    labels = (np.digitize(scan, np.quantile(scan, [0.5, 0.7, 0.9])) * 500).astype(np.int16)
    lesions = (scan > np.quantile(scan, 0.99)).astype(np.float32)
    for name, content in (("a", scan), ("a_labels", labels), ("a_lesions", lesions)):
        nib.Nifti1Image(content, np.eye(4)).to_filename(tmp_path / f"{name}.nii.gz")
    split = volumes.split(Data(train=str(tmp_path), validation=0.0), 16, 0)
    assert [source.path.name for source in split.train] == ["a.nii.gz"]
    assert len(volumes.split(Data(train=str(tmp_path), validation=0.0, keep_masks=True), 16, 0).train) == 3


def test_no_real_photograph_or_film_is_taken_for_a_mask(real_data: Path) -> None:
    taken = []
    for region in ("retina/STARE/images", "classic/Set5/original", "chest/kermany", "retina/DRIVE/training/images"):
        paths = image_io.list_images(real_data / region)[:6]
        assert paths
        taken += [path for path in paths if is_mask(image_io.read_as_shown(path).pixels)]
    assert taken == []


@pytest.mark.slow
def test_every_real_picture_stays_and_every_real_mask_goes(real_data: Path) -> None:
    pictures = [path for top in ("retina", "classic", "chest") for path in image_io.list_images(real_data / top)]
    pictures = [path for path in pictures if "HO" not in path.name]  # of one bit, refused when read
    assert len(pictures) > 200
    assert [path for path in pictures if is_mask(image_io.read_as_shown(path).pixels)] == []
    masks = [*real_data.glob("retina/DRIVE/*/*/*.gif"), *real_data.glob("retina/CHASE_DB1/*HO.png")]
    assert len(masks) > 80
    for path in masks:
        pixels = np.asarray(Pillow.open(path).convert("L"))
        assert is_mask(pixels[..., None]), path
        assert is_mask(_compressed(pixels, 75, 0.5)[..., None]), path
