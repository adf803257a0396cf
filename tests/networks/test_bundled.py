"""Without --model the bundled model is chosen by what the input is; where none was made for it, nothing is invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import medsr
from medsr.batch.outcome import Outcome
from medsr.commands.reproduce import reproduce
from medsr.core.errors import UsageError
from medsr.io.images import image as image_io
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.networks import bundled
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

FIELD = (np.add.outer(np.arange(40), np.arange(48)) * 20 + 500).astype(np.uint16)


@pytest.mark.parametrize(("scale", "expected"), [(1.5, "x2"), (2, "x2"), (3, "x4"), (4, "x4"), (8, "x4")])
def test_a_fundus_gets_the_retinal_model_of_the_factor(
    tmp_path: Path, whole_fundus: np.ndarray, scale: float, expected: str
) -> None:
    image = image_io.read(write_png(tmp_path / "eye.png", whole_fundus))
    assert bundled.for_image(image, scale).model == f"medsr-retina-{expected}"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "medsr-cxr-x2"),
        ({"Modality": "CR", "BodyPartExamined": "Chest PA"}, "medsr-cxr-x2"),
        ({"BodyPartExamined": "RIBS"}, "medsr-cxr-x2"),
        ({"BodyPartExamined": "KNEE"}, "bicubic"),
        ({"BodyPartExamined": "CRIBRIFORM PLATE"}, "bicubic"),
        ({"Modality": "US"}, "bicubic"),
        ({"Modality": "DOE JANE"}, "bicubic"),
        ({"Modality": "MG", "BodyPartExamined": "BREAST"}, "bicubic"),
    ],
)
def test_a_dicom_says_what_it_is(tmp_path: Path, tags: dict[str, str], expected: str) -> None:
    """Only DICOM's own terms are told on: anything may stand in a tag, a name too."""
    chosen = bundled.for_image(image_io.read(write_xray(tmp_path / "x.dcm", FIELD, **tags)), 2)
    assert chosen.model == expected
    assert chosen.fits == (expected != "bicubic")
    assert not any(word in str(chosen) for word in ("KNEE", "RIB", "DOE", "BREAST", "PA"))


@pytest.mark.parametrize(("tags", "doubtful"), [({}, True), ({"BodyPartExamined": "CHEST"}, False)])
def test_a_radiograph_of_no_named_part_of_the_body_is_taken_for_a_chest_with_a_warning(
    tmp_path: Path, tags: dict[str, str], doubtful: bool
) -> None:
    image = image_io.read(write_xray(tmp_path / "x.dcm", FIELD, **tags))
    chosen = bundled.for_image(image, 2)
    assert chosen.model == "medsr-cxr-x2"
    assert str(chosen).startswith("warning: ") == doubtful
    assert ("names no part of the body" in chosen.why) == doubtful
    assert "`model`" not in chosen.why  # the page of `serve` shows it, too
    assert "nodules of 3 mm lose more than half of their contrast" in str(bundled.for_image(image, 4))


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_taken_for_a_chest_x_ray_however_it_is_stored(tmp_path: Path, channels: int) -> None:
    grey = np.repeat((FIELD // 16).astype(np.uint8)[:, :, None], channels, axis=2).squeeze()
    chosen = bundled.for_image(image_io.read(write_png(tmp_path / "x.png", grey)), 2)
    assert chosen.model == "medsr-cxr-x2"
    assert str(chosen).startswith("warning: medsr-cxr-x2: grey, so taken for a chest X-ray (its file does not say)")


@pytest.mark.parametrize("brightness", [1.0, 0.1])
def test_a_dark_fundus_is_a_fundus(tmp_path: Path, whole_fundus: np.ndarray, brightness: float) -> None:
    dark = (whole_fundus * brightness).astype(np.uint8)
    assert bundled.for_image(image_io.read(write_png(tmp_path / "eye.png", dark)), 2).model == "medsr-retina-x2"


def test_other_photographs_are_only_interpolated(tmp_path: Path, whole_fundus: np.ndarray) -> None:
    blue = np.ascontiguousarray(whole_fundus[::4, ::4, ::-1])
    [outcome] = medsr.upscale(write_png(tmp_path / "blue.png", blue), tmp_path / "out")
    assert any(note.startswith("warning: no bundled model") for note in outcome.notes)
    medsr.upscale(tmp_path / "blue.png", tmp_path / "bicubic", model="bicubic")
    assert outcome.output.read_bytes() == (tmp_path / "bicubic" / "blue.png").read_bytes()


@pytest.mark.parametrize("name", ["immunohistochemistry", "chelsea", "coffee"])
def test_warm_colours_alone_make_no_fundus(tmp_path: Path, name: str) -> None:
    """Stained tissue, a cat, a cup; and a piece of a fundus, which may be anything reddish."""
    photograph = getattr(data, name)()
    for piece in (photograph, photograph[:200, :200], data.retina()[500:800, 500:800]):
        path = write_png(tmp_path / "x.png", np.ascontiguousarray(piece))
        assert bundled.for_image(image_io.read(path), 2).model == "bicubic"


def test_every_image_of_a_mixed_folder_gets_its_own_and_can_be_made_again(
    tmp_path: Path, whole_fundus: np.ndarray
) -> None:
    write_png(tmp_path / "in" / "eye.png", whole_fundus[::4, ::4])
    write_xray(tmp_path / "in" / "chest.dcm", FIELD)
    medsr.upscale(tmp_path / "in", tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "upscale.json").read_text())["results"]
    assert {name: one["model"]["name"] for name, one in summary.items()} == {
        "eye.png": "medsr-retina-x2",
        "chest.dcm": "medsr-cxr-x2",
    }
    assert all(one.same for one in reproduce(tmp_path / "out" / "upscale.json"))
    again: list[Outcome] = medsr.upscale(tmp_path / "in", tmp_path / "out", skip_done=True)
    assert all(outcome.skipped for outcome in again)


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_real_photographs_are_recognised(every: int, real_data: Path) -> None:
    """One in five of each collection; all of them in the slow tests."""
    eyes = [*(real_data / "retina" / "DRIVE").rglob("*_t*.tif"), *(real_data / "retina" / "CHASE_DB1").rglob("*.jpg")]
    eyes += (real_data / "retina" / "STARE").rglob("*.ppm")
    assert len(eyes) > 50
    assert {bundled.for_image(image_io.read(path), 2).model for path in sorted(eyes)[::every]} == {"medsr-retina-x2"}
    chests = [*(real_data / "chest").rglob("*.png"), *(real_data / "chest").rglob("*.dcm")]
    assert {bundled.for_image(image_io.read(path), 4).model for path in sorted(chests)[::every]} == {"medsr-cxr-x4"}
    photographs = sorted((real_data / "classic" / "BSD100_part").glob("*.png"))[::every]
    mistaken = sum(bundled.for_image(image_io.read(path), 2).fits for path in photographs)
    assert mistaken <= len(photographs) // 8


def _volume(low: float, modality: str = "") -> Volume:
    return Volume((smooth_volume() + low).astype(np.int16), np.diag([1.0, 1, 3, 1]), modality=modality)


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (_volume(0), "medsr-mri"),
        (_volume(0, "MR"), "medsr-mri"),
        (_volume(0, "CT"), "cubic"),
        (_volume(0, "PT"), "cubic"),
        (_volume(-1024), "cubic"),
    ],
)
def test_only_what_may_be_mri_gets_the_model_for_mri(volume: Volume, expected: str) -> None:
    chosen = bundled.for_volume(volume)
    assert (chosen.model, chosen.fits) == (expected, expected != "cubic")


@pytest.mark.slow
def test_ct_is_only_interpolated_unless_a_model_is_named(tmp_path: Path) -> None:
    ct = tmp_path / "ct.nii"
    volume_io.write(ct, _volume(-1024))
    lines: list[str] = []
    medsr.volume(ct, tmp_path / "auto", notify=lines.append)
    assert any("warning: no bundled model was made for CT" in line for line in lines)
    summary = json.loads((tmp_path / "auto" / "ct.json").read_text())
    assert summary["model"]["name"] == "cubic"
    assert "no bundled model" in summary["chosen"]
    medsr.volume(ct, tmp_path / "cubic", model="cubic")
    assert (tmp_path / "auto" / "ct.nii").read_bytes() == (tmp_path / "cubic" / "ct.nii").read_bytes()
    assert "no bundled model" in summary["warnings"][0]
    summary = medsr.volume(_volume(-1024).stored, affine=np.diag([1.0, 1, 3, 1]), uncertainty=True).summary
    assert "it has no `uncertainty`" in summary["warnings"][0]
    medsr.volume(ct, tmp_path / "auto", model="medsr-mri", skip_done=True)  # asked for by name: another thing to do
    assert json.loads((tmp_path / "auto" / "ct.json").read_text())["model"]["name"] == "medsr-mri"


def test_what_cannot_be_is_said_before_anything_is_begun(tmp_path: Path, whole_fundus: np.ndarray) -> None:
    with pytest.raises(UsageError, match="`device=bogus`"):
        medsr.upscale(write_png(tmp_path / "eye.png", whole_fundus[:40, :40]), tmp_path / "out", device="bogus")


def test_a_file_of_that_name_is_not_taken_for_the_bundled_model(
    tmp_path: Path, whole_fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "medsr-retina-x2").touch()
    [outcome] = medsr.upscale(write_png(tmp_path / "eye.png", whole_fundus[100:140, 100:140]), tmp_path / "out")
    assert outcome.error is None
