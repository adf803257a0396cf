from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import medsr
from medsr.batch import status
from medsr.core.errors import UsageError
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume


@pytest.fixture
def pictures(tmp_path: Path, fundus: np.ndarray) -> Path:
    folder = tmp_path / "in"
    for index in range(4):
        write_png(folder / f"eye\t{index}.png", fundus[30 * index : 30 * index + 60, :64])
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbad\ttext")
    return folder


def test_every_outcome_is_in_the_table_and_a_bad_file_stops_nobody(pictures: Path, tmp_path: Path) -> None:
    outcomes = medsr.upscale([pictures], tmp_path / "out", model="bicubic", device="cpu")
    rows = status.read(tmp_path / "out/status.tsv")
    assert len(rows) == len(outcomes) == 5
    by_name = {Path(row.input).name: row for row in rows}
    bad = by_name["bad.png"]
    assert bad.outcome == "failed"
    assert "bad.png" in bad.reason
    assert all(
        row.outcome == "done" and Path(row.output).is_file() for name, row in by_name.items() if name != "bad.png"
    )


def test_only_what_is_missing_damaged_or_changed_is_done_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    medsr.upscale([pictures], out, model="bicubic", device="cpu")
    results = sorted(out.glob("*.png"))
    results[0].unlink()
    results[1].write_bytes(results[1].read_bytes()[:-10])
    write_png(pictures / "eye\t2.png", np.full((60, 64, 3), 9, np.uint8))
    outcomes = {
        outcome.input.name: outcome
        for outcome in medsr.upscale([pictures], out, model="bicubic", device="cpu", skip_done=True)
    }
    assert {name for name, outcome in outcomes.items() if outcome.skipped} == {"eye\t3.png"}
    assert outcomes["bad.png"].error is not None
    again = medsr.upscale([pictures], out, model="bicubic", device="cpu", skip_done=True)
    assert sum(outcome.skipped for outcome in again) == 4
    assert len(status.read(out / "status.tsv")) == 5
    other = medsr.upscale([pictures], out, model="lanczos", device="cpu", skip_done=True)
    assert not [outcome for outcome in other if outcome.skipped]  # another model is another result


def test_without_the_option_everything_is_done_again(pictures: Path, tmp_path: Path) -> None:
    for _ in range(2):
        outcomes = medsr.upscale([pictures], tmp_path / "out", model="bicubic", device="cpu")
        assert not [outcome for outcome in outcomes if outcome.skipped]


@pytest.mark.slow
def test_killed_in_the_middle_the_rest_is_done_and_every_result_is_whole(tmp_path: Path, fundus: np.ndarray) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for index in range(12):
        write_png(source / f"{index:02d}.png", np.roll(fundus, index, 0)[:128, :128])
    command = [sys.executable, "-m", "medsr", "upscale", str(source), "--out", str(out), "--model", "medsr-retina-x2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(status.read(out / "status.tsv")) < 3:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {row.output for row in status.read(out / "status.tsv")}
    assert 3 <= len(before) < 12
    done = subprocess.run([*command, "--skip-done"], capture_output=True, text=True, check=True)
    assert done.stdout.count("done before") == len(before)
    whole = tmp_path / "whole"
    medsr.upscale([source], whole, model="medsr-retina-x2")
    for path in whole.glob("*.png"):
        assert path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.slow
def test_scans_are_skipped_too(tmp_path: Path, fresh_refiner: Path) -> None:
    import nibabel

    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for index in range(2):
        nibabel.save(
            nibabel.Nifti1Image(smooth_volume(seed=index), np.diag([1, 1, 2, 1.0])), source / f"{index}.nii.gz"
        )
    (source / "bad.nii.gz").write_bytes(b"bad")
    first = medsr.volume(source, out, model=fresh_refiner, device="cpu")
    assert [outcome.error is None for outcome in first] == [True, True, False]
    again = medsr.volume(source, out, model=fresh_refiner, device="cpu", skip_done=True)
    assert [outcome.skipped for outcome in again] == [True, True, False]
    finer = medsr.volume(source, out, model=fresh_refiner, device="cpu", scale=2, skip_done=True)
    assert not [outcome for outcome in finer if outcome.skipped]
    with pytest.raises(UsageError, match="give a folder"):
        medsr.volume(source / "0.nii.gz", tmp_path / "x.nii.gz", model="cubic", skip_done=True)


def test_a_table_that_is_not_ours_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.tsv").write_text("a\tb\n1\t2\n")
    assert status.read(tmp_path / "status.tsv") == []
    shutil.copy(tmp_path / "status.tsv", tmp_path / "other.tsv")
    assert status.read(tmp_path / "nowhere.tsv") == []
