"""One series of a study, named by its number or description: what the terminal shows, and what files never hold."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import medsr
from medsr.core.errors import ChoiceError, UsageError
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import axial_slice, write_slices
from tests.helpers.processes import ALL_IN_TURN

NAME = "DOE JANE"
FIRST, SECOND = "1.2.826.9", "1.2.826.10"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two series in one folder, whose descriptions hold a name."""
    slices = []
    for number, (uid, count, word) in enumerate(((FIRST, 4, "T1"), (SECOND, 5, "T2")), 1):
        tags = {"SeriesInstanceUID": uid, "SeriesNumber": number, "SeriesDescription": f"{word} {NAME}"}
        slices += [axial_slice(3 * k, 100 * k + number, k + 1, Modality="MR", **tags) for k in range(count)]
    return write_slices(tmp_path / "study", slices)


@pytest.fixture
def bundle(study: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in study.iterdir():
            archive.write(path, path.name)
    return tmp_path / "study.zip"


def written(folder: Path) -> str:
    """All that medsr wrote as text."""
    texts = (".tsv", ".json", ".jsonl", ".html", ".csv", ".log")
    files = [path for path in folder.rglob("*") if path.suffix in texts and path.is_file()]
    assert files
    return "".join(path.read_text() for path in files)


@pytest.mark.parametrize("wanted", ["2", "t2 doe", SECOND])
def test_a_sidecar_holds_the_uid_whatever_named_the_series(study: Path, tmp_path: Path, wanted: str) -> None:
    lines: list[str] = []
    out = tmp_path / "out"
    [outcome] = medsr.volume(study, out, series=wanted, model="cubic", report=True, notify=lines.append)
    assert outcome.error is None
    assert volume_io.read(outcome.output).stored.shape[2] > 5
    assert json.loads((out / "study.json").read_text())["series"] == SECOND
    assert any("study: series 2: MR, axial, 8 x 6 x 5" in line for line in lines) == (wanted != SECOND)
    assert NAME not in written(out) + "".join(lines)
    [compared] = medsr.reproduce(out / "study.json")
    assert compared.same, compared.how


def test_skip_done_goes_by_the_series_and_not_by_what_named_it(study: Path, tmp_path: Path) -> None:
    shapes = []
    for wanted, skipped in (("2", False), ("t2", True), (SECOND, True), ("1", False), ("T1", True)):
        [outcome] = medsr.volume(study, tmp_path / "out", series=wanted, model="cubic", skip_done=True)
        assert outcome.skipped == skipped, wanted
        shapes.append(volume_io.read(outcome.output).stored.shape)
    assert shapes[0] == shapes[2]
    assert shapes[2] != shapes[3]


def test_one_volume_of_a_series_chosen_by_its_number(study: Path, tmp_path: Path) -> None:
    [outcome] = medsr.volume(study, tmp_path / "out", series="2:1", model="cubic")
    assert outcome.output.name == "study_volume1.nii.gz"
    assert json.loads(outcome.output.with_name("study_volume1.json").read_text())["series"] == f"{SECOND}:1"


def test_a_table_holds_no_description(bundle: Path, tmp_path: Path) -> None:
    [outcome] = medsr.volume(bundle, tmp_path / "out", model="cubic")
    assert isinstance(outcome.error, ChoiceError)
    assert any(f"T2 {NAME}" in line for line in outcome.error.choices)
    assert "holds 2 series; choose one with `series`: 1 (MR, axial, 8 x 6 x 4" in written(tmp_path / "out")
    assert NAME not in written(tmp_path / "out")


@pytest.mark.slow
def test_a_cohort_holds_no_description(study: Path, bundle: Path, tmp_path: Path) -> None:
    status = medsr.cohort("volume", [str(study), str(bundle)], out=tmp_path / "out", model="cubic")
    assert len(status.failed) == 1
    assert "holds 2 series" in written(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or NAME.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("wanted", [["1", "2"], ["1", "1"], "", "T", "7"])
def test_what_names_no_single_series_is_refused_before_anything_is_written(
    study: Path, tmp_path: Path, wanted: str | list[str]
) -> None:
    with pytest.raises(UsageError, match="`series") as refused:
        medsr.volume(study, tmp_path / "out", series=wanted, model="cubic")
    assert NAME not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_invalid_uid_stays_out_of_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, uid in enumerate((NAME, FIRST)):
        slices = [axial_slice(3 * k, k, k + 1, SeriesInstanceUID=uid, SeriesNumber=number) for k in range(3)]
        write_slices(tmp_path / "in" / str(number), slices)
    [outcome] = medsr.volume(tmp_path / "in", tmp_path / "out", series="1", model="cubic")
    assert outcome.error is None
    assert json.loads((tmp_path / "out" / "in.json").read_text())["series"] is None
    assert NAME not in written(tmp_path / "out")


@pytest.mark.slow
def test_the_terminal_lists_the_series(study: Path, bundle: Path, tmp_path: Path) -> None:
    commands = [
        f"info {study}",
        f"info {bundle} --json",
        f"volume {study} --out {tmp_path}/one.nii.gz --model cubic",
        f"volume {bundle} --out {tmp_path}/out --model cubic",
        f"volume {study} --series T --out {tmp_path}/one.nii.gz --model cubic",
        f"volume {study} --series 1 --series 2 --out {tmp_path}/one.nii.gz --model cubic",
        f"info {tmp_path}/nothing",
    ]
    done = subprocess.run([sys.executable, "-c", ALL_IN_TURN, *commands], capture_output=True, text=True, check=False)
    table = [f"  1  MR  axial  T1 {NAME}  8 x 6 x 4", f"  2  MR  axial  T2 {NAME}  8 x 6 x 5"]
    codes = [line for line in done.stdout.splitlines() if line.startswith("ended with ")]
    assert codes == [f"ended with {code}" for code in (0, 0, 2, 2, 2, 2, 3)], done.stderr
    assert all(line in done.stdout for line in table)
    assert f'"uid": "{SECOND}"' in done.stdout
    errors = done.stderr.splitlines()
    for headline in (
        f"medsr: {study}: holds 2 series; choose one with --series, or let --out be a folder:",
        f"medsr: {bundle}: holds 2 series; choose one with --series:",
        f"medsr: --series T: 2 series match in {study}; choose one of:",
    ):
        at = errors.index(headline)
        assert [line.startswith(text) for line, text in zip(errors[at + 1 : at + 3], table, strict=True)] == [True] * 2
    assert "medsr: --series: one series makes one result, 2 are named; name one, or say --together" in errors
    assert f"medsr: {tmp_path}/nothing: no such file or folder" in errors
    assert not (tmp_path / "one.nii.gz").exists()
