"""Whoever measures a bundled model on images that it learned from is told so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import medsr
from medsr.commands.evaluate.case import Item
from medsr.commands.evaluate.seen import seen_before
from medsr.networks import weight_store
from medsr.networks.learned_from import learned_from, of_bundled

EYES, CHESTS, SCANS = "retina/CHASE_DB1", "chest/nih", "mri/ds002748"
UNSEEN = {
    "fundus": [f"{EYES}/Image_01L_1stHO.png", "retina/DRIVE/test/images/01_test.tif", "retina/STARE/images/im0001.ppm"],
    "chest": [f"{CHESTS}/00003350_000.png", f"{CHESTS}/00029050_000.png", "chest/dicom/966_fixed.dcm"],
    "mri": ["mri/other/MR_Gd.nii.gz", "mri/t1/uih1_T1w_1mm.nii.gz"],
}
TRAINED = {
    "fundus": [f"{EYES}/Image_01L.jpg", f"{EYES}/Image_06R.jpg"],
    "chest": [f"{CHESTS}/00003614_000.png", "chest/kermany/IM-0147-0001.jpeg"],
    "mri": [f"{SCANS}/sub-01_T1w.nii.gz", f"{SCANS}/sub-63_T1w.nii.gz"],
}
CHOSE = {"fundus": f"{EYES}/Image_07L.jpg", "chest": f"{CHESTS}/00001873_000.png", "mri": f"{SCANS}/sub-67_T1w.nii.gz"}
BUNDLED = {name: entry.suits for name, entry in weight_store.entries().items() if entry.suits}


def _items(folder: Path, names: list[str]) -> list[Item]:
    assert [name for name in names if not (folder / name).is_file()] == []
    return [Item(name, {"image": folder / name}) for name in names]


@pytest.mark.parametrize(("model", "kind"), BUNDLED.items())
def test_every_bundled_model_knows_what_it_learned_from(model: str, kind: str, real_data: Path) -> None:
    unseen = UNSEEN[kind]
    assert seen_before([model], _items(real_data, unseen)) == []
    every = _items(real_data, [*unseen, *TRAINED[kind], CHOSE[kind]])
    assert seen_before([model, "bicubic"], every) == [
        f"{model} was trained on 2 of these {len(every)} images: its figures are too good, measure others",
        f"1 of these {len(every)} images chose the weights of {model}: its figures are a little too good",
    ]


def test_the_hashes_are_of_the_weights_that_are_here_and_of_no_others(tmp_path: Path) -> None:
    for name in BUNDLED:
        entry = weight_store.get(name)
        assert of_bundled(entry.sha256), f"{name}: its new weights say what they learned from, or seen_images.yml does"
    copy = Path(shutil.copyfile(weight_store.get("medsr-mri").path, tmp_path / "mine.safetensors"))
    assert learned_from(copy) == of_bundled(weight_store.get("medsr-mri").sha256)
    with copy.open("ab") as stream:
        stream.write(b"other weights")
    assert not learned_from(copy)


def test_a_bundled_model_as_onnx_is_known_too(real_data: Path) -> None:
    beside = weight_store.get("medsr-cxr-x2").path.with_suffix(".onnx")
    [line] = seen_before([str(beside)], _items(real_data, TRAINED["chest"]))
    assert line.startswith("medsr-cxr-x2.onnx was trained on 2 of these 2 images")


@pytest.mark.slow
def test_evaluate_warns(real_data: Path, tmp_path: Path) -> None:
    shutil.copyfile(real_data / TRAINED["fundus"][0], tmp_path / "mine.jpg")
    lines: list[str] = []
    evaluation = medsr.evaluate("folder", tmp_path, models=["medsr-retina-x2"], scale=2, notify=lines.append)
    warning = "medsr-retina-x2 was trained on this image: its figures are too good, measure others"
    assert evaluation.seen == [warning]
    assert f"warning: {warning}" in lines
