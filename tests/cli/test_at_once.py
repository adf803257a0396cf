"""Several commands at work in one folder of results at once: real processes, and no row is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest

from medsr.batch import journal, status
from tests.helpers.kit import Kit

EACH = 3


def _start(kit: Kit, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "medsr", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=kit.work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _ended(*processes: subprocess.Popen[str]) -> list[int]:
    codes = []
    for process in processes:
        _, err = process.communicate(timeout=240)
        assert "Traceback" not in err
        assert "bug" not in err
        codes.append(process.returncode)
    return codes


def _copies(kit: Kit, source: str, suffix: str) -> None:
    for which in "ab":
        (kit.work / which).mkdir()
        for n in range(EACH):
            shutil.copy(kit.folder / source, kit.work / which / f"{which}{n}{suffix}")


def _rows(folder: Path) -> list[tuple[str, str]]:
    return sorted((Path(row.output).name, row.outcome) for row in status.read(folder / "status.tsv"))


@pytest.mark.slow
def test_two_upscale(kit: Kit) -> None:
    _copies(kit, "eyes/eye.png", ".png")
    given = [("upscale", which, "--out", "out", "--model", "bicubic") for which in "ab"]
    assert _ended(*(_start(kit, *one) for one in given)) == [0, 0]
    names = sorted(f"{which}{n}.png" for which in "ab" for n in range(EACH))
    assert _rows(kit.work / "out") == [(name, "done") for name in names]
    assert sorted(json.loads((kit.work / "out/upscale.json").read_text())["results"]) == names
    again = kit.run("upscale", "a", "b", "--out", "out", "--model", "bicubic", "--skip-done")
    assert again.stdout.count("done before") == 2 * EACH


@pytest.mark.slow
def test_two_volume(kit: Kit) -> None:
    _copies(kit, "scans/scan.nii.gz", ".nii.gz")
    given = [("volume", which, "--out", "out", "--model", "cubic") for which in "ab"]
    assert _ended(*(_start(kit, *one) for one in given)) == [0, 0]
    names = sorted(f"{which}{n}.nii.gz" for which in "ab" for n in range(EACH))
    assert _rows(kit.work / "out") == [(name, "done") for name in names]
    for name in names:
        assert (kit.work / "out" / name.replace(".nii.gz", ".json")).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prepare", "cohort", "finetune", "evaluate", "lesions"])
def test_two_of_the_others(kit: Kit, name: str) -> None:
    """One ends well; the other too, or is refused."""
    codes = _ended(*(_start(kit, *kit.command(name)) for _ in range(2)))
    assert 0 in codes
    assert set(codes) <= {0, 2, 1 if name == "finetune" else 0}
    if name in ("cohort", "evaluate"):
        assert {row.outcome for row in status.read(kit.work / "out/status.tsv")} == {"done"}


def _add(path: Path, who: int) -> None:
    book = journal.Journal(path)
    for n in range(200):
        book.add(f"{who} {n}", {"text": "x" * 3000})


def test_journals_keep_the_lines_of_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('["half", {"a":')
    context = get_context("fork")
    processes = [context.Process(target=_add, args=(path, who)) for who in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert journal.read(path).keys() == {f"{who} {n}" for who in range(3) for n in range(200)}
