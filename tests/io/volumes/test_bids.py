"""What a BIDS name and the JSON of a converter say of a scan's content."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.io.volumes import volume as volume_io


def noise(path: Path, **said: object) -> Path:
    values = np.random.default_rng(0).integers(0, 4096, (8, 6, 5)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([1, 1, 3, 1])), path)
    if said:
        path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("name", "is_phase"),
    [
        ("sub-01_part-phase_bold", True),
        ("sub-01_phase1", True),
        ("sub-01_phasediff", True),
        ("swi_e1_ph", True),
        ("sub-01_part-mag_bold", False),
        ("liver_arterial_phase", False),
        ("phase", False),
        ("sub-01_phasetest", False),
    ],
)
def test_the_name_tells_a_phase(tmp_path: Path, name: str, is_phase: bool) -> None:
    assert volume_io.read(noise(tmp_path / f"{name}.nii.gz")).wrapped == is_phase


def test_a_phase_by_its_name_is_not_interpolated_unasked(tmp_path: Path) -> None:
    scan = noise(tmp_path / "in/sub-01_part-phase_T2starw.nii.gz")
    lines: list[str] = []
    medsr.volume(scan, tmp_path / "out.nii.gz", notify=lines.append)
    result = volume_io.read(tmp_path / "out.nii.gz").stored
    np.testing.assert_array_equal(result, np.repeat(volume_io.read(scan).stored, 3, axis=2))
    assert any("nearest neighbour" in line for line in lines)
    warnings = json.loads((tmp_path / "out.json").read_text())["warnings"]
    assert any("phase wraps" in line for line in warnings)


def test_a_converters_json_tells_phase_part_and_modality(tmp_path: Path) -> None:
    phase = volume_io.read(noise(tmp_path / "a.nii.gz", Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]))
    assert (phase.wrapped, phase.signed, phase.elsewhere) == (True, False, "")
    real = volume_io.read(noise(tmp_path / "b.nii.gz", Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "REAL"]))
    assert (real.wrapped, real.signed) == (False, True)
    knee = volume_io.read(noise(tmp_path / "c.nii.gz", Modality="MR", SeriesDescription="Doe_pd_knee_left"))
    assert knee.elsewhere == "KNEE"
    pet = volume_io.read(noise(tmp_path / "d.nii.gz", Modality="PT", ImageType=["ORIGINAL", "PRIMARY", "P"]))
    assert (pet.modality, pet.wrapped) == ("PT", False)


@pytest.mark.parametrize("content", ["[1]", "{", '{"ImageType": 3, "ProtocolName": ["x"], "Modality": [1]}', ""])
def test_a_strange_json_beside_a_scan_says_nothing(tmp_path: Path, content: str) -> None:
    scan = noise(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text(content)
    volume = volume_io.read(scan)
    assert (volume.wrapped, volume.elsewhere, volume.modality) == (False, "", "")


def test_the_real_part_of_a_signal_gets_no_network_unasked_and_its_text_is_not_repeated(tmp_path: Path) -> None:
    scan = noise(tmp_path / "in/a.nii.gz", Modality="MR", ImageType=["REAL"], ProtocolName="Doe Jane knee")
    lines: list[str] = []
    medsr.volume(scan, tmp_path / "out.nii.gz", notify=lines.append)
    assert json.loads((tmp_path / "out.json").read_text())["model"]["name"] == "cubic"
    medsr.volume(scan, tmp_path / "asked.nii.gz", model="medsr-mri", notify=lines.append)
    written = (tmp_path / "asked.json").read_text()
    assert "trained on magnitudes" in written
    assert "KNEE" in written
    assert "Jane" not in written + "".join(lines)


def test_a_phase_that_goes_with_a_scan_is_not_interpolated_either(tmp_path: Path) -> None:
    scan, phase = noise(tmp_path / "scan.nii.gz"), noise(tmp_path / "sub-01_part-phase_bold.nii.gz")
    lines: list[str] = []
    medsr.volume(scan, tmp_path / "out", model="cubic", also=[phase], notify=lines.append)
    (moved,) = (file for file in (tmp_path / "out").rglob("*.nii.gz") if "part-phase" in file.name)
    before, after = volume_io.read(phase).stored, volume_io.read(moved).stored
    np.testing.assert_array_equal(after, np.repeat(before, 3, axis=2))
    assert any("phase, nearest neighbour" in line for line in lines)
