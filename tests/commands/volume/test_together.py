"""`medsr volume --together`: several scans in, one volume out, and what stands beside it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Pillow
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.core.errors import ChoiceError, InputError, UsageError
from medsr.io.scans import find
from medsr.io.volumes import volume_files
from tests.helpers.dicom import slice_of, write_slices

SIDE, THICK = 32, 4
NAMES = ("axial", "sagittal", "coronal")
AXES = (2, 0, 1)
ORDINARY = {"model": "cubic"}


def truth() -> np.ndarray:
    """Smooth blobs within a ball, from 0 to about 1000."""
    from scipy.ndimage import gaussian_filter

    blobs = gaussian_filter(np.random.default_rng(3).random((SIDE,) * 3), 1.6)
    blobs = (blobs - blobs.min()) / np.ptp(blobs) * 1000
    distance = np.sqrt(sum((index - (SIDE - 1) / 2) ** 2 for index in np.indices(blobs.shape)))
    return blobs / (1 + np.exp(distance - SIDE * 0.42))


def stack(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Thick slices across `axis`: voxels and affine."""
    parts = np.moveaxis(values, axis, 0).reshape(SIDE // THICK, THICK, SIDE, SIDE).mean(1)
    affine = np.eye(4)
    affine[axis, axis], affine[axis, 3] = THICK, (THICK - 1) / 2
    return np.rint(np.moveaxis(parts, 0, axis)).astype(np.int16), affine


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("alice")
    paths = [folder / f"{name}.nii.gz" for name in NAMES]
    for path, axis in zip(paths, AXES, strict=True):
        nib.Nifti1Image(*stack(truth(), axis)).to_filename(path)
    return paths


@pytest.fixture
def scans(kept: list[Path], tmp_path: Path) -> list[Path]:
    """Copies that a test may do with as it likes."""
    folder = tmp_path / "alice"
    folder.mkdir()
    return [Path(shutil.copy(path, folder)) for path in kept]


@pytest.fixture(scope="module")
def out(kept: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result with all that may stand beside it."""
    folder = tmp_path_factory.mktemp("out")
    arguments = [*map(str, kept), "--together", "--out", str(folder / "one.nii.gz"), "--report", "--uncertainty"]
    done = CliRunner().invoke(app, ["volume", *arguments])
    assert done.exit_code == 0, done.output
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_one_volume_is_finer_than_each_and_closer_to_the_truth(out: Path, kept: list[Path]) -> None:
    result = nib.load(out / "one.nii.gz")
    assert result.shape == (SIDE,) * 3
    assert result.get_data_dtype() == np.int16
    np.testing.assert_allclose(result.affine, np.eye(4), atol=0.02)

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(((values - truth()) ** 2)[2:-2, 2:-2, 2:-2].mean()))

    alone = medsr.volume(nib.load(kept[0]), spacing=1, model="cubic").image
    assert error(result.get_fdata()) < 0.6 * error(alone.get_fdata())


def test_everything_stands_beside_it(out: Path) -> None:
    names = {path.name for path in out.iterdir()} - {"printed.txt"}
    beside = {"_uncertainty.nii.gz", "_coverage.nii.gz", "_preview.png", "_report.html", ".json", ".nii.gz"}
    assert names == {f"one{ending}" for ending in beside}
    coverage = np.asarray(nib.load(out / "one_coverage.nii.gz").dataobj)
    assert coverage.dtype == np.uint8
    assert set(np.unique(coverage)) <= {0, 1, 2, 3}
    assert coverage[SIDE // 2, SIDE // 2, SIDE // 2] == 3
    assert Pillow.open(out / "one_preview.png").size[0] > 1000
    assert find(out).scans == []  # a result is not read as a scan, nor a map of one


def test_what_is_printed(out: Path) -> None:
    lines = (out / "printed.txt").read_text().splitlines()
    header = next(line for line in lines if "similarity" in line)
    table = lines[lines.index(header) + 1 :][:3]
    assert [line.split()[0] for line in table] == [f"{name}.nii.gz" for name in NAMES]
    columns = [match.start() for match in re.finditer(r"\S+( \S+)*", header)]
    assert all(line[column - 1] == " " and line[column] != " " for line in table for column in columns)
    assert "the first" in table[0]
    assert re.search(r"\d mm, \d+\.\d+ deg +\d\.\d+ to \d\.\d+ ", table[1])
    assert all("4 mm every 4 mm" in line for line in table)


def test_the_sidecar_says_how_and_of_what(out: Path, kept: list[Path]) -> None:
    summary = json.loads((out / "one.json").read_text())
    assert [stack["name"] for stack in summary["stacks"]] == [path.name for path in kept]
    assert [stack["plane"] for stack in summary["stacks"]] == list(NAMES)
    assert sum(stack["share"] for stack in summary["stacks"]) == pytest.approx(1, abs=1e-4)
    assert np.shape(summary["stacks"][1]["motion"]) == (4, 4)
    assert [entry["file"] for entry in summary["input_files"]] == [path.name for path in kept]
    assert [entry["sha256"] for entry in summary["input_files"]] == [volume_files.digest(path) for path in kept]
    assert summary["output_file"] == "one.nii.gz"
    parameters = {"together": True, "extent": "first", "registration": True, "matching": True, "force": False}
    assert parameters.items() <= summary["parameters"].items()
    assert "alice" not in json.dumps(summary)


def test_the_page_shows_all_and_names_no_place(out: Path, kept: list[Path]) -> None:
    page = (out / "one_report.html").read_text()
    text = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert "http" not in text
    assert str(out) not in page
    assert "alice" not in page
    assert page.count('<figure>\n<div class="stage"') == 4 * page.count('class="row view"')
    assert all(page.count(f"<td>{path.name}</td>") == 1 for path in kept)
    assert 'id="spread"' in page


@pytest.mark.slow
def test_it_is_made_again_from_its_sidecar(kept: list[Path], scans: list[Path], tmp_path: Path) -> None:
    [outcome] = medsr.volume(kept, tmp_path / "out", together=True, **ORDINARY)
    assert outcome.error is None
    assert outcome.output.name == "axial_together.nii.gz"
    sidecar = tmp_path / "out" / "axial_together.json"
    assert [each.same for each in medsr.reproduce(sidecar)] == [True]
    assert [each.same for each in medsr.reproduce(sidecar, scans)] == [True]
    with pytest.raises(InputError, match="is not the input"):
        medsr.reproduce(sidecar, scans[::-1])
    with pytest.raises(UsageError, match="give each, in this order"):
        medsr.reproduce(sidecar, scans[:2])
    summary = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(summary | {"input_files": summary["input_files"][:1]}))
    with pytest.raises(InputError, match="input_files"):
        medsr.reproduce(sidecar)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 2}, "`scale` does not go"),
        ({"isotropic": True}, "`isotropic`"),
        ({"spacing": (1, 1, 2)}, "`spacing` does not go"),
        ({"planes": "axial"}, "`planes`"),
        ({"noise": 3.0}, "`noise`"),
        ({"input_spacing": (1, 1, 1)}, "`input_spacing`"),
        ({"kind": "labels"}, "`kind=labels`"),
        ({"adapt": 1.0, "model": "auto"}, "`adapt`"),
        ({"also": ["mask.nii"]}, "`also`"),
        ({"dicom": True}, "`dicom`"),
        ({"skip_done": True}, "`skip_done`"),
        ({"extent": "all"}, "`extent=all`"),
        ({"like": "a.nii", "spacing": 1.0}, "`like` is a grid"),
        ({"like": "a.nii", "extent": "union"}, "`like` is a grid"),
        ({"like": ""}, "`like`: expected"),
        ({"series": ["1", "2"]}, "give that folder alone"),
        ({"together": False, "extent": "union"}, "`extent` goes with `together`"),
        ({"together": False, "like": "a.nii"}, "`like` goes with"),
        ({"together": False, "registration": False}, "`registration=False` goes with"),
        ({"together": False, "matching": False}, "`matching=False` goes with"),
        ({"together": False, "force": True}, "`force` goes with"),
        ({"together": False, "series": ["1", "2"]}, "say `together`"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        medsr.volume(["a.nii", "b.nii"], tmp_path / "out", **({"together": True, **ORDINARY} | options))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_command_line_ends_with_2(scans: list[Path], tmp_path: Path) -> None:
    arguments = ["volume", *map(str, scans), "--out", str(tmp_path / "o"), "--no-registration"]
    wrong = CliRunner().invoke(app, arguments, standalone_mode=False)
    assert isinstance(wrong.exception, UsageError)
    assert wrong.exception.exit_code == 2


def test_no_input_and_no_foreign_sidecar_is_lost(scans: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"overwrite the input {re.escape(str(scans[1]))}"):
        medsr.volume(scans, scans[1], together=True, **ORDINARY)
    like = Path(shutil.copy(scans[2], tmp_path / "one_uncertainty.nii.gz"))
    with pytest.raises(UsageError, match=f"overwrite the input {re.escape(str(like))}"):
        medsr.volume(scans, tmp_path / "one.nii.gz", together=True, like=like, uncertainty=True)
    (tmp_path / "two.json").write_text('{"EchoTime": 0.03}')
    with pytest.raises(UsageError, match="not medsr's"):
        medsr.volume(scans, tmp_path / "two.nii.gz", together=True, **ORDINARY)
    assert all(path.is_file() for path in scans)


def test_fewer_than_two_scans(scans: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two scans or more"):
        medsr.volume([scans[0], scans[0]], tmp_path / "out", together=True, **ORDINARY)
    copy = Path(shutil.copy(scans[0], tmp_path / "copy.nii.gz"))
    [outcome] = medsr.volume([scans[0], copy], tmp_path / "out", together=True, **ORDINARY)
    assert isinstance(outcome.error, InputError)
    assert "is the same as" in str(outcome.error)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_grid_of_another_scan(scans: list[Path], tmp_path: Path) -> None:
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = 4
    nib.Nifti1Image(np.zeros((10, 11, 12), np.int16), affine).to_filename(tmp_path / "like.nii")
    [outcome] = medsr.volume(
        scans, tmp_path / "one.nii", together=True, like=tmp_path / "like.nii", registration=False, **ORDINARY
    )
    assert outcome.error is None
    result = nib.load(tmp_path / "one.nii")
    assert result.shape == (10, 11, 12)
    np.testing.assert_allclose(result.affine, affine, atol=1e-4)
    assert [each.same for each in medsr.reproduce(tmp_path / "one.json")] == [True]
    (tmp_path / "like.nii").unlink()
    with pytest.raises(InputError, match=r"like\.nii: the input is not there"):
        medsr.reproduce(tmp_path / "one.json")


@pytest.mark.slow
def test_series_of_one_dicom_folder(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    orientations = {"AX": ([1, 0, 0, 0, 1, 0], 2), "COR": ([1, 0, 0, 0, 0, -1], 1)}
    for number, (name, (orientation, axis)) in enumerate(orientations.items(), 1):
        values, _ = stack(truth(), axis)
        images = []
        for n in range(SIDE // THICK):
            pixels = values.take(n, axis).T  # rows are y, or z from the top
            pixels = (pixels if axis == 2 else pixels[::-1]).astype(np.uint16)
            position = [0.0, 0.0, 0.0 if axis == 2 else SIDE - 1.0]
            position[axis] = THICK * n + (THICK - 1) / 2
            tags = {
                "SeriesInstanceUID": f"1.2.3.{number}",
                "SeriesNumber": number,
                "SeriesDescription": f"T2 {name}",
                "ImageOrientationPatient": orientation,
                "ImagePositionPatient": position,
                "PixelSpacing": [1, 1],
                "SliceThickness": THICK,
                "RescaleIntercept": 0,
                "Rows": SIDE,
                "Columns": SIDE,
                "PixelData": pixels.tobytes(),
            }
            images.append(slice_of(n, **tags))
        write_slices(study / name, images)
    with pytest.raises(ChoiceError, match="holds 2 series; name those") as refused:
        medsr.volume(study, tmp_path / "none", together=True, **ORDINARY)
    assert len(refused.value.choices) >= 2
    with pytest.raises(UsageError, match="named twice"):
        medsr.volume(study, tmp_path / "none", together=True, series=["T2 AX", "1"], **ORDINARY)
    [outcome] = medsr.volume(study, tmp_path / "one.nii.gz", together=True, series=["T2 AX", "2"], **ORDINARY)
    assert outcome.error is None, outcome.error
    summary = json.loads((tmp_path / "one.json").read_text())
    assert [entry["series"] for entry in summary["input_files"]] == ["1.2.3.1", "1.2.3.2"]
    assert [each.same for each in medsr.reproduce(tmp_path / "one.json")] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["array", "nibabel", "SimpleITK"])
def test_volumes_in_memory(kind: str) -> None:
    parts = [stack(truth(), axis) for axis in AXES]
    affine: Any = None
    if kind == "array":
        images: list[Any] = [values for values, _ in parts]
        affine = [own for _, own in parts]
    elif kind == "nibabel":
        images = [nib.Nifti1Image(*part) for part in parts]
    else:
        images = []
        for values, own in parts:
            image = sitk.GetImageFromArray(values.transpose(2, 1, 0)[:, ::-1, ::-1].copy())
            image.SetSpacing([float(step) for step in np.diag(own)[:3]])
            last = own @ [values.shape[0] - 1, values.shape[1] - 1, 0, 1]
            image.SetOrigin([-last[0], -last[1], last[2]])
            images.append(image)
    result = medsr.volume(images, affine=affine, together=True, uncertainty=True)
    assert type(result.image) is type(result.coverage) is type(result.uncertainty) is type(images[0])
    shape = result.image.GetSize() if kind == "SimpleITK" else result.image.shape
    assert tuple(shape) == (SIDE,) * 3
    assert [entry["name"] for entry in result.summary["stacks"]] == ["volume 1", "volume 2", "volume 3"]
    assert "input_files" not in result.summary
    corner = result.affine @ [0, 0, 0, 1], result.affine @ [SIDE - 1, SIDE - 1, SIDE - 1, 1]
    np.testing.assert_allclose(np.sort(corner, axis=0)[:, :3], [[0, 0, 0], [SIDE - 1] * 3], atol=0.3)


def test_a_list_in_memory_is_not_taken_apart_silently() -> None:
    image = nib.Nifti1Image(*stack(truth(), 2))
    with pytest.raises(UsageError, match="`together` puts them into one"):
        medsr.volume([image, image], **ORDINARY)
    with pytest.raises(UsageError, match="not both"):
        medsr.volume([image, "a.nii"], together=True, **ORDINARY)
    with pytest.raises(UsageError, match="takes a list"):
        medsr.volume(image, together=True, **ORDINARY)
    with pytest.raises(UsageError, match="matrix for each"):
        medsr.volume([np.ones((4, 4, 4))] * 2, affine=np.eye(4), together=True, **ORDINARY)


def test_scans_that_do_not_fit_are_said_to() -> None:
    """What no volume explains is no detail: streaks come of it, and nobody may take them for anatomy."""
    images = [
        nib.Nifti1Image(values.astype(np.float32), affine) for values, affine in (stack(truth(), n) for n in AXES)
    ]
    assert not [line for line in fit(images) if "do not fit" in line]
    brighter = nib.Nifti1Image(images[1].get_fdata(dtype=np.float32) * 2, images[1].affine)
    assert [
        line for line in fit([images[0], brighter, images[2]]) if line.startswith("volume 2: differs from the result")
    ]


def fit(images: list[Any]) -> list[str]:
    """What is remarked upon, brightness left as it is."""
    return medsr.volume(images, together=True, matching=False, registration=False, model="cubic").summary["warnings"]


@pytest.mark.parametrize(
    ("shape", "affine", "words"),
    [
        ((20, 20, 20), np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0.3, 1, 0], [0, 0, 0, 1.0]]), "not at right angles"),
        ((8, 8, 8), np.array([[1, 0, 0, 500], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "outside all scans"),
    ],
    ids=["sheared", "elsewhere"],
)
def test_a_grid_that_no_result_fits_is_refused(
    shape: tuple[int, ...], affine: np.ndarray, words: str, scans: list[Path], tmp_path: Path
) -> None:
    like = tmp_path / "like.nii.gz"
    nib.Nifti1Image(np.ones(shape, np.float32), affine).to_filename(like)
    [outcome] = medsr.volume(scans, tmp_path / "o.nii.gz", together=True, like=like, registration=False, **ORDINARY)
    assert isinstance(outcome.error, InputError)
    assert words in str(outcome.error)
    assert not (tmp_path / "o.nii.gz").exists()


@pytest.mark.parametrize("spacing", [0.01, 1e-4, 4.0, 40.0])
def test_a_spacing_that_helps_nobody_is_refused(spacing: float, scans: list[Path], tmp_path: Path) -> None:
    [outcome] = medsr.volume(
        scans, tmp_path / "o.nii.gz", together=True, spacing=spacing, registration=False, **ORDINARY
    )
    assert isinstance(outcome.error, UsageError)
    assert "`spacing=" in str(outcome.error)


def test_what_no_scan_shows_is_exactly_0(scans: list[Path], tmp_path: Path) -> None:
    """On the grid of another file that reaches beyond them: no rounding is left of what fades out there."""
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = -8
    nib.Nifti1Image(np.ones((48, 48, 48), np.float32), affine).to_filename(tmp_path / "like.nii.gz")
    images = [nib.load(path) for path in scans]
    values = images[0].get_fdata(dtype=np.float32)
    result = medsr.volume(
        [nib.Nifti1Image(values, images[0].affine), *images[1:]],
        together=True,
        like=tmp_path / "like.nii.gz",
        registration=False,
        model="cubic",
    )
    voxels = np.asarray(result.image.dataobj)
    assert (voxels[:4] == 0).all()
    assert voxels[24, 24, 24] > 0
