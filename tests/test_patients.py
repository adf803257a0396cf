"""What a DICOM header says of the patient stays in DICOM: no log, sidecar, report, table or file name repeats it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medsr.commands.upscale.run import upscale
from medsr.core.errors import ChoiceError, MedsrError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.series_list import list_series
from tests.helpers.dicom import slice_of, write_xray
from tests.helpers.patients import DECISIVE, SECRET, marked, with_secret
from tests.helpers.processes import ALL_IN_TURN


@pytest.fixture(
    params=[ExplicitVRLittleEndian, pytest.param(ImplicitVRLittleEndian, marks=pytest.mark.slow)],
    ids=["explicit", "implicit"],
)
def scans(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """`x.dcm`, an X-ray, and `series/`, a CT."""
    folder = tmp_path / "scans"
    (folder / "series").mkdir(parents=True)
    (folder / "rays").mkdir()
    for number in range(5):
        path = folder / "series" / f"{number}.dcm"
        slice_of(number).save_as(path, enforce_file_format=True)
        marked(path, request.param)
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 50)).astype(np.uint16)
    marked(write_xray(folder / "rays" / "x.dcm", pixels), request.param)
    damaged = marked(write_xray(folder / "rays" / "y.dcm", pixels), request.param)
    damaged.write_bytes(damaged.read_bytes()[:-900])
    return folder


COMMANDS = {
    "upscale": "upscale scans/rays --model bicubic --out out/upscale",
    "volume": "volume scans/series --model cubic --report --out out/volume/v.nii.gz",
    "upscale-chosen": "upscale scans/rays --out out/upscale-chosen",
    "volume-chosen": "volume scans/series --out out/volume-chosen/v.nii.gz",
    "volume-dicom": "volume scans/series --model cubic --dicom --out out/volume-dicom",
    "prepare": "prepare generic_images scans --out out/prepare",
    "evaluate": "evaluate folder --data scans/rays --out out/evaluate",
}


@pytest.mark.parametrize("vr", ["its own", "LO"])
def test_a_technical_tag_that_is_not_understood_is_not_repeated(
    tmp_path: Path, vr: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in messages nor in the table, whether the image is read all the same or refused."""
    caplog.set_level("CRITICAL", "pydicom")  # a library's own log, of which medsr shows nothing
    pixels = np.random.default_rng(0).integers(0, 4096, (10, 12)).astype(np.uint16)
    refused = []
    for keyword in DECISIVE:
        folder = tmp_path / keyword
        folder.mkdir()
        with_secret(write_xray(folder / "x.dcm", pixels), keyword, vr)
        [outcome] = upscale([folder / "x.dcm"], folder / "out", model="bicubic")
        said = [str(outcome.error), *outcome.notes]
        (folder / "out" / "x.dcm").unlink(missing_ok=True)
        for number in range(3):
            slice_of(number).save_as(folder / f"{number}.dcm", enforce_file_format=True)
        with_secret(folder / "1.dcm", keyword, vr)
        (folder / "x.dcm").unlink()
        said += series_listed(folder)
        try:
            said += volume_io.read(folder).notes
        except MedsrError as error:
            said.append(str(error))
        refused.append(outcome.error is not None)
        said += [path.read_text() for path in folder.rglob("*.*") if path.suffix in (".tsv", ".json")]
        assert not [text for text in said if SECRET in text], keyword
        assert not [text for text in said if "bug in medsr" in text], keyword
    assert 5 < sum(refused) < len(DECISIVE)


def test_the_list_of_series_in_a_message_names_nobody(tmp_path: Path) -> None:
    """With every tag marked. For the terminal alone there is the description."""
    for number, uid in enumerate(("1.2.3", "1.2.4")):
        folder = tmp_path / uid
        folder.mkdir()
        for index in range(3):
            path = folder / f"{index}.dcm"
            slice_of(index, SeriesInstanceUID=uid, SeriesNumber=number).save_as(path, enforce_file_format=True)
            marked(path, ExplicitVRLittleEndian)
    for wanted in (None, f"{SECRET}SeriesDescription", SECRET):
        with pytest.raises(ChoiceError) as refused:
            volume_io.read(tmp_path, wanted)
        assert SECRET not in str(refused.value)
        assert [line.count(SECRET) for line in refused.value.choices] == [1, 1]


def series_listed(folder: Path) -> list[str]:
    try:
        return [entry.words for entry in list_series(folder)]
    except MedsrError as error:
        return [str(error)]


def test_nothing_of_a_person_leaves_the_dicom(scans: Path) -> None:
    """Every command, in one process: starting takes longer than what they do."""
    root = scans.parent
    call = [sys.executable, "-W", "always", "-c", ALL_IN_TURN, *COMMANDS.values()]
    done = subprocess.run(call, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    codes = [line for line in done.stdout.splitlines() if line.startswith("ended with ")]
    assert len(codes) == len(COMMANDS)
    assert set(codes) <= {"ended with 0", "ended with 5"}, done.stderr
    assert SECRET not in done.stdout + done.stderr
    results = [path for path in (root / "out").rglob("*") if path.is_file()]
    assert {path.relative_to(root / "out").parts[0] for path in results} == set(COMMANDS)
    for path in results:
        assert SECRET not in path.name
        if path.suffix == ".dcm":  # a derived image is the patient's, and says so
            assert pydicom.dcmread(path).PatientID == f"{SECRET}PatientID"
        else:
            content = path.read_bytes()
            assert SECRET.encode() not in (gzip.decompress(content) if path.suffix == ".gz" else content), path
