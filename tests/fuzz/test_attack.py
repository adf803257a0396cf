"""Files from strangers end in a result or in one of medsr's own errors: no other exception, crash, hour or GB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from medsr.core.errors import MedsrError
from tests.fuzz.attack import seeds_of
from tests.fuzz.crashers import CRASHERS
from tests.fuzz.readers import READERS

MANY = {
    "series": 2_500,
    "metaimage": 4_000,
    "checkpoints": 4_000,
    "archives": 9_000,
    "pictures": 11_000,
    "recipes": 11_500,
    "cards": 11_500,
    "manifests": 11_500,
}
"""Inputs of the slow attack on files from strangers; 9,100 where it is not said. More than 100,000 together, most where
one costs least."""
MANY_MORE = {
    "jpeg-ls": 14_000,
    "jpeg-2000": 8_000,
    "jpeg": 12_000,
    "deflated": 5_000,
    "masks": 14_000,
    "volumes": 2_000,
    "status": 2_500,
    "sidecars": 1_500,
    "journals": 1_500,
    "plans": 14_000,
    "records": 23_000,
    "openmodeldb": 1_500,
    "storages": 2_000,
}
"""On what other code decodes and on what medsr wrote itself: 100,000 too, most where one costs least."""
SHARE = 1 if os.environ.get("MEDSR_FUZZ") == "whole" else 4
GUIDED = ("pictures", "dicom", "nifti", "mgh", "archives", "manifests", "cards")


def _attack(names: Sequence[str], count: int, seed: int) -> list[dict[str, object]]:
    """One process attacks all of them: what each came to."""
    command = [sys.executable, "-m", "tests.fuzz.attack", ",".join(names), str(count), str(seed)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert done.returncode == 0, f"{names}: the process ended with {done.returncode}: {done.stderr[-500:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("name", READERS)
def test_its_seeds_are_read(name: str, tmp_path: Path) -> None:
    for file, content in READERS[name].seeds().items():
        path = tmp_path / file
        path.write_bytes(content)
        READERS[name].read(path)
    for file, content in READERS[name].refused().items():
        path = tmp_path / file
        path.write_bytes(content)
        with pytest.raises(MedsrError):
            READERS[name].read(path)
    assert seeds_of(name)


@pytest.mark.slow
def test_a_thousand_mutated_files() -> None:
    """In one process: starting others takes longer than the files. The slow attack takes 50,000."""
    results = _attack(list(READERS), 40, 7)
    assert len(results) == len(READERS)
    for name, result in zip(READERS, results, strict=True):
        assert not result.get("unexpected"), f"{name}: {result['ends']}"
        assert result.get("error") or name == "status"  # a damaged table is as if it were not there


@pytest.mark.slow
def test_what_once_crashed_is_refused(tmp_path: Path) -> None:
    """In a process of its own: a crash must fail this test, not end all of them. The first without an end did it."""
    paths, call = {}, [sys.executable, "-m", "tests.fuzz.attack"]
    for reader, files in groupby(sorted(CRASHERS, key=lambda name: CRASHERS[name][0]), lambda name: CRASHERS[name][0]):
        call += ["--", reader]
        for name in files:
            _, file, content = CRASHERS[name]
            paths[name] = tmp_path / name / file
            paths[name].parent.mkdir()
            paths[name].write_bytes(content())
            call.append(str(paths[name]))
    root = Path(__file__).parents[2]
    done = subprocess.run(call, capture_output=True, text=True, cwd=root, check=False, timeout=600)
    ends = done.stdout.splitlines()
    assert dict(zip(paths, ends, strict=False)) == dict.fromkeys(paths, "error"), done.stderr[-500:]
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_fifty_thousand_mutated_files(name: str) -> None:
    """With MEDSR_FUZZ=whole before a release: 200,000, an hour of a core."""
    assert sum(MANY.get(reader, 9_100) for reader in READERS.keys() - MANY_MORE) >= 100_000
    assert sum(MANY_MORE.values()) >= 100_000
    [result] = _attack([name], (MANY | MANY_MORE).get(name, 9_100) // SHARE, 0)
    assert not result.get("unexpected"), result["ends"]


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDED)
def test_guided_by_coverage(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="needs atheris, which is there for Linux")
    command = [
        *("sh", "-c", '"$@"; exit "$?"', "sh"),  # between: else the peak of memory begins with that of all tests before
        sys.executable,
        "-m",
        "tests.fuzz.guided",
        name,
        "-runs=20000",
        f"-max_total_time={60 // SHARE}",
        "-max_len=20000",
        "-seed=1",
    ]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr[-1500:]}"
