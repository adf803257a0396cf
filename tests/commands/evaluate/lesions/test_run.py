"""`medsr.evaluate_lesions`: what it refuses, what it takes from files, what one bad image costs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.commands.evaluate.lesions.ground_truths import Choices, ground_truths
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.lesions.kinds import Kind
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that lesions could be drawn into."""
    folder = tmp_path_factory.mktemp("grey")
    write_png(folder / "one.png", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8))
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "ct"}, "`kind=ct`: expected mri, cxr, fundus"),
        ({"rounds": 0}, "`rounds=0`: expected a number from 1 to 20"),
        ({"limit": 0}, "`limit=0`: expected a number of images from 1"),
        ({"seed": -1}, "`seed=-1`: expected a number from 0"),
        ({"scale": 0}, "`scale=0`: cxr takes whole numbers from 2 to 16"),
        ({"scale": 2.5}, "`scale=2.5`: cxr takes whole numbers from 2 to 16"),
        ({"kind": "mri", "scale": 0}, "`scale=0`: expected a through-plane factor above 1"),
        ({"blur_sigma": -1.0}, "`blur_sigma=-1`: expected low-resolution pixels from 0 to 20"),
        ({"blur_sigma": float("nan")}, "`blur_sigma=nan`: expected low-resolution pixels from 0 to 20"),
        ({"bits": 7}, "`bits=7`: expected 8 to 16"),
        ({"pixel_mm": 0.0}, "`pixel_mm=0`: expected millimetres from 0.05 to 2"),
        ({"kind": "fundus", "pixel_mm": 0.0}, "`pixel_mm`: of radiographs only; leave it out with `kind=fundus`"),
        ({"kind": "mri", "pixel_mm": 0.4}, "`pixel_mm`: of radiographs only; leave it out with `kind=mri`"),
        ({"kind": "mri", "tile": 64}, "`tile`: scans run in whole slices"),
        ({"kind": "mri", "bits": 12}, "`bits`: scans have none"),
        ({"kind": "mri", "blur_sigma": 0.0}, "`blur_sigma`: scans have none"),
        ({"masks": "nowhere"}, "`masks=nowhere`: not a folder"),
        ({"models": ["cubic"]}, "is for volumes"),
        ({"json": "."}, "`json=.`: is a folder"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, said: str, grey: Path) -> None:
    with pytest.raises(UsageError) as caught:
        medsr.evaluate_lesions(**{"kind": "cxr", "data": grey, "device": "cpu"} | arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["mri", "cxr", "fundus"])
@pytest.mark.parametrize("names", [(), ("eye_mask.png", "scan_lesions.nii.gz")], ids=["empty", "only masks"])
def test_a_folder_without_ground_truth_is_said_to_be_so(tmp_path: Path, kind: Kind, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(MedsrError, match=r"expected") as caught:
        medsr.evaluate_lesions(kind, tmp_path, device="cpu")
    assert str(caught.value).startswith(f"{tmp_path}: ")


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, (48, 64)).astype(np.uint16)


def test_every_radiograph_is_measured_at_the_spacing_of_its_header(tmp_path: Path) -> None:
    write_xray(tmp_path / "fine.dcm", _noise(), ImagerPixelSpacing=[0.2, 0.2])
    write_xray(tmp_path / "calibrated.dcm", _noise(), ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.15, 0.15])
    write_png(tmp_path / "plain.png", (_noise() // 16).astype(np.uint8))
    truths = ground_truths("cxr", tmp_path, Choices())
    cases = [truths.bench.load(item) for item in truths.bench.items()]
    assert {case.id: truths.step(case) for case in cases} == {"fine": 0.2, "calibrated": 0.15, "plain": 0.4}
    assert truths.protocol([case.id for case in cases])["pixel_mm"] == (
        "0.15 mm of the chest, as the header says (1 image); 0.2 mm of the chest, as the header says (1 image); "
        "0.4 mm of the chest, assumed: no header says it (1 image)"
    )
    assert truths.protocol(["fine"])["pixel_mm"] == "0.2 mm of the chest, as the header says"
    asked = ground_truths("cxr", tmp_path, Choices(pixel_mm=0.3))
    cases = [asked.bench.load(item) for item in asked.bench.items()]
    assert {asked.step(case) for case in cases} == {0.3}
    assert asked.protocol([case.id for case in cases])["pixel_mm"] == "0.3 mm of the chest, as asked for"


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({}, "pixels of 0.16 x 0.2 mm by its header"),
        ({"ImagerPixelSpacing": [4, 4]}, "pixels of 4 mm by its header, expected 0.05 to 2; give `pixel_mm`"),
        ({"BodyPartExamined": "HAND"}, "another part of the body, by its header"),
        ({"Modality": "MR"}, "MR by its header"),
    ],
)
def test_a_header_that_says_otherwise_is_not_overruled(tmp_path: Path, tags: dict, said: str) -> None:
    write_xray(tmp_path / "a.dcm", _noise(), **tags)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'a.dcm'}: {said}")):
        medsr.evaluate_lesions("cxr", tmp_path, models=["bicubic"], device="cpu")


@pytest.mark.parametrize(
    ("kind", "colours", "said"),
    [
        ("cxr", (1.0, 0.5, 0.2), "in colour"),
        ("fundus", (1.0, 1.0, 1.0), "grey"),
        ("fundus", (0.4, 0.5, 0.6), "not a fundus by its colours and corners"),
    ],
)
def test_a_picture_of_something_else_is_named(
    tmp_path: Path, kind: Kind, colours: tuple[float, ...], said: str
) -> None:
    pixels = np.rint(_noise()[:, :, None] / 4000 * 255 * np.array(colours)).astype(np.uint8)
    write_png(tmp_path / "a.png", pixels)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'a.png'}: {said}")):
        medsr.evaluate_lesions(kind, tmp_path, models=["bicubic"], device="cpu")


@pytest.mark.parametrize(
    ("low", "sidecar", "said"), [(-1000, {}, "CT, which values"), (0, {"BodyPartExamined": "KNEE"}, "KNEE by")]
)
def test_a_scan_of_something_else_is_named(tmp_path: Path, low: int, sidecar: dict, said: str) -> None:
    voxels = np.full((30, 30, 30), low, np.int16)
    voxels[5:25, 5:25, 5:25] = np.random.default_rng(0).integers(20, 60, (20, 20, 20))
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'a.nii.gz'}: ") + ".*" + said):
        medsr.evaluate_lesions("mri", tmp_path, models=["cubic"], device="cpu")


def test_masks_beside_images_are_said_to_be_left_out(grey: Path, tmp_path: Path) -> None:
    for name in ("one.png", "one_mask.png", "two_seg.png"):
        shutil.copy(grey / "one.png", tmp_path / name)
    lines: list[str] = []
    with pytest.raises(InputError, match=r"one\.png: no lung was found"):
        medsr.evaluate_lesions("cxr", tmp_path, models=["bicubic"], device="cpu", notify=lines.append)
    assert lines == [f"{tmp_path}: not measured: 2 masks, by name", "lesions: 1 image, ground truth, bicubic"]
