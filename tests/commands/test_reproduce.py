from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import medsr
from medsr.core.errors import InputError, UsageError, WeightsError
from tests.helpers.dicom import slice_of, write_slices
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "in/scan.nii.gz"
    path.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(smooth_volume(), np.diag([1, 1, 2, 1.0])), path)
    return path


def test_a_refined_scan_is_made_again_with_the_same_values(scan: Path, refiner_file: Path, tmp_path: Path) -> None:
    options = {"planes": "axial,coronal", "fuse": "median", "consistency": False, "spacing": 0.8}
    medsr.volume(scan, tmp_path / "out", model=refiner_file, device="cpu", **options)
    [compared] = medsr.reproduce(tmp_path / "out/scan.json", model=refiner_file)
    assert compared.same, compared.how
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "out", moved)
    with pytest.raises(InputError, match="`input`"):
        medsr.reproduce(moved / "scan.json", scan.parent / "gone.nii.gz", model=refiner_file)
    assert medsr.reproduce(moved / "scan.json", scan, model=refiner_file)[0].same


@pytest.mark.slow
def test_a_result_that_was_touched_is_found_out(scan: Path, tmp_path: Path) -> None:
    medsr.volume(scan, tmp_path / "out", model="cubic", device="cpu")
    result = nibabel.load(tmp_path / "out/scan.nii.gz")
    values = np.asarray(result.dataobj).copy()
    values[5, 5, 5] += 3
    nibabel.save(nibabel.Nifti1Image(values, result.affine, result.header), tmp_path / "out/scan.nii.gz")
    command = [sys.executable, "-m", "medsr", "reproduce", str(tmp_path / "out/scan.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 of" in done.stdout
    assert "by at most 3" in done.stdout


def test_another_input_or_other_weights_are_refused(scan: Path, refiner_file: Path, tmp_path: Path) -> None:
    medsr.volume(scan, tmp_path / "out", model=refiner_file, device="cpu")
    sidecar = tmp_path / "out/scan.json"
    with pytest.raises(WeightsError, match="not those the result was made with"):
        medsr.reproduce(sidecar, model="medsr-mri")
    nibabel.save(nibabel.Nifti1Image(smooth_volume(seed=1), np.diag([1, 1, 2, 1.0])), scan)
    with pytest.raises(InputError, match="is not the input"):
        medsr.reproduce(sidecar, model=refiner_file)
    told = json.loads(sidecar.read_text())
    told["parameters"]["adapt_minutes"] = 2
    sidecar.write_text(json.dumps(told))
    with pytest.raises(UsageError, match="`adapt`"):
        medsr.reproduce(sidecar)
    for text in ("{}", "[1]", "no json", '{"tool": "medsr", "version": "0"}'):
        sidecar.write_text(text)
        with pytest.raises(InputError, match=r"scan\.json"):
            medsr.reproduce(sidecar)


def test_images_are_made_again_all_of_a_batch(tmp_path: Path, fundus: np.ndarray, tiny_model: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for index in range(2):
        write_png(source / f"{index}.png", fundus[60 * index : 60 * index + 60, :64])
    write_png(source / "deep/grey.png", fundus[:50, :50, 1])
    medsr.upscale([source], out, model=tiny_model, device="cpu")
    medsr.upscale([source / "0.png"], out, model="lanczos", outscale=3, device="cpu")
    compared = medsr.reproduce(out / "upscale.json", model=tiny_model)
    assert len(compared) == 3
    assert all(one.how == "the same bytes" for one in compared)


def test_a_folder_that_holds_the_results_is_not_read_for_the_input(tmp_path: Path) -> None:
    series = write_slices(tmp_path / "series", [slice_of(index) for index in range(5)])
    shutil.copytree(series, tmp_path / "copy")
    [outcome] = medsr.volume(series, series / "finer" / "scan.nii", model="cubic")
    sidecar = outcome.output.with_suffix(".json")
    with pytest.raises(InputError, match="holds this sidecar"):
        medsr.reproduce(sidecar)
    assert medsr.reproduce(sidecar, tmp_path / "copy")[0].same
    content = json.loads(sidecar.read_text())
    for folder in ("/", "..", "../../.."):  # all of the disk would be read
        sidecar.write_text(json.dumps(content | {"input_file": folder, "input_sha256": "0" * 64}))
        with pytest.raises(InputError, match="holds this sidecar"):
            medsr.reproduce(sidecar)


@pytest.mark.slow
def test_the_same_bytes_whatever_the_threads_and_the_order(tmp_path: Path, fundus: np.ndarray, scan: Path) -> None:
    """Two processes, one with one thread and files in order, one with two and files reversed."""
    for index in range(2):
        write_png(tmp_path / f"in/{index}.png", np.roll(fundus[:160, :160], 9 * index, 0))
    digests = []
    for name, order, count in (("one", (0, 1), 1), ("other", (1, 0), 2)):
        code = (
            "import sys, torch, medsr\n"
            f"torch.set_num_threads({count})\n"
            f"inputs = [f'{tmp_path}/in/{{n}}.png' for n in {order}]\n"
            f"medsr.upscale(inputs, '{tmp_path}/{name}', model='medsr-retina-x2')\n"
            f"medsr.volume('{scan}', '{tmp_path}/{name}', model='medsr-mri', device='cpu')\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        pixels = [(tmp_path / name / f"{index}.png").read_bytes() for index in range(2)]
        digests.append((pixels, np.asarray(nibabel.load(tmp_path / name / "scan.nii.gz").dataobj).tobytes()))
    assert digests[0] == digests[1]
