"""What a DICOM header says of the patient stays in DICOM: no log, sidecar, report, table or file name repeats it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.io.test_dicom import make_dicom
from tests.io.test_dicom_series import slice_of

SECRET = "SENTINEL"
PERSONAL = (  # of the patient, study, series and equipment modules (PS3.3 C.7): most of them with invalid values too
    *("PatientName", "PatientID", "PatientBirthDate", "PatientAge", "PatientWeight", "PatientSex", "PatientComments"),
    *("OtherPatientIDs", "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers", "EthnicGroup"),
    *("ReferringPhysicianName", "OperatorsName", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress", "StationName"),
    *(
        "DeviceSerialNumber",
        "ImageComments",
        "DerivationDescription",
        "AcquisitionDate",
        "ContentTime",
        "BodyPartExamined",
    ),
)


def marked(path: Path, syntax: str) -> Path:
    """The file at `path` with the secret, as raw bytes, in every tag of a person."""
    dataset = pydicom.dcmread(path)
    implicit = syntax == ImplicitVRLittleEndian
    for keyword in PERSONAL:
        tag = Tag(tag_for_keyword(keyword) or 0)
        vr = None if implicit else pydicom.datadict.dictionary_VR(tag)
        value = f"{SECRET}{keyword}".encode()
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, implicit, True)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, implicit_vr=implicit, little_endian=True)
    assert path.read_bytes().count(SECRET.encode()) == len(PERSONAL)
    return path


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
    marked(make_dicom(folder / "rays" / "x.dcm", pixels), request.param)
    damaged = marked(make_dicom(folder / "rays" / "y.dcm", pixels), request.param)
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
ALL_IN_TURN = """
import os, sys
from medsr.cli import main
for line in sys.argv[1:]:
    sys.argv = ["medsr", *line.split(), "--debug"]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    os.write(1, f"ended with {code}\\n".encode())
"""


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
            assert SECRET.encode() not in path.read_bytes(), path
