"""How many processes a cohort works with where no GPU is, and what becomes of scans that crowd each other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.batch.status import read
from medsr.commands.cohort import local_executor, plan
from medsr.commands.cohort.executor import Executor
from medsr.commands.cohort.run import cohort
from medsr.commands.cohort.work import work
from medsr.core import control_groups, devices, memory, platform
from medsr.core.errors import MemoryExhaustedError, UsageError
from tests.helpers.scans import smooth_volume


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        stored = np.rint(smooth_volume((24, 20, 10), n)).astype(np.int16)
        nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(folder / f"s{n}.nii.gz")
    return folder


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, 10 GB free, no GPU."""
    monkeypatch.setattr(platform, "cores", lambda: list(range(8)))
    monkeypatch.setattr(platform, "use_cores", lambda _: True)
    monkeypatch.setattr(memory, "free", lambda: 10 * 10**9)
    monkeypatch.setattr(control_groups, "cpus", lambda: None)
    monkeypatch.setattr(devices, "choose", lambda _: "cpu")


def slots(scans: Path, workers: int = 0) -> int:
    items = tuple(plan.CohortItem(str(path), str(path.name)) for path in sorted(scans.iterdir()))
    of_scans = plan.CohortPlan("volume", scans.parent / "out", {"device": "auto"}, items)
    return len(local_executor._slots(of_scans, range(len(items)), workers))


@pytest.mark.usefixtures("machine")
def test_a_worker_for_each_core_or_scan(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slots(scans) == 3  # scans
    monkeypatch.setattr(platform, "cores", lambda: [0, 1])
    assert slots(scans) == 2  # cores
    assert slots(scans, workers=5) == 5  # as the user said


@pytest.mark.usefixtures("machine")
def test_no_more_workers_than_a_container_may_use_cores(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "cpus", lambda: 2.5)
    assert slots(scans) == 2
    monkeypatch.setattr(control_groups, "cpus", lambda: 0.5)
    assert slots(scans) == 1


@pytest.mark.usefixtures("machine")
def test_no_more_workers_than_the_memory_holds(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (scans / "s1.nii.gz").open("r+b") as file:
        file.truncate(50_000_000)  # 1 GB and 80 bytes a byte: 5 GB each
    assert slots(scans) == 2
    monkeypatch.setattr(memory, "free", lambda: 2 * 10**9)
    assert slots(scans) == 1
    (scans / "s1.nii.gz").unlink()
    assert slots(scans) == 1
    series = scans / "series"
    series.mkdir()
    (series / "slice").write_bytes(b"")
    os.truncate(series / "slice", 200_000_000)  # the files of a folder count together
    monkeypatch.setattr(memory, "free", lambda: 30 * 10**9)
    assert slots(scans) == 1


@pytest.mark.usefixtures("machine")
def test_one_where_cores_do_not_compute_or_cannot_be_shared_out(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "use_cores", lambda _: False)  # macOS
    assert slots(scans) == 1
    monkeypatch.setattr(platform, "use_cores", lambda _: True)
    monkeypatch.setattr(devices, "choose", lambda _: "mps")
    assert slots(scans) == 1

    def refuse(_: str) -> str:
        raise UsageError("an Intel GPU through OpenVINO")

    monkeypatch.setattr(devices, "choose", refuse)
    assert slots(scans) == 1


def test_a_scan_that_finds_too_little_memory_beside_others_is_not_given_up(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside others it is left undone, without a row; alone it is done, or fails with what it needs."""
    out = tmp_path / "out"
    of_scans = _begun(scans, out)
    monkeypatch.setattr(memory, "free", lambda: 1000)
    with pytest.raises(MemoryExhaustedError):
        work(str(out), of_scans.id, [0], "busy", alone=False)
    assert not (of_scans.hidden / "parts" / "busy" / "status.tsv").exists()
    assert work(str(out), of_scans.id, [0], "busy") == 1
    [row] = read(of_scans.hidden / "parts" / "busy" / "status.tsv")
    assert "GB are free" in row.reason


def _begun(scans: Path, out: Path) -> plan.CohortPlan:
    from medsr.commands.cohort.build_plan import build_plan

    of_scans = build_plan("volume", [str(scans)], out, ("T1w",), False, {"model": "cubic"}, lambda _: None)
    of_scans.save()
    return of_scans


def test_what_was_crowded_out_is_done_alone(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are threads here, and memory is short as long as there are two of them."""
    sizes: list[int] = []

    def pool(slots: list[str | None]) -> ThreadPoolExecutor:
        sizes.append(len(slots))
        monkeypatch.setattr(local_executor, "_ALONE", len(slots) == 1)
        monkeypatch.setattr(memory, "free", lambda: 1000 if len(slots) > 1 else 10**10)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(local_executor, "_pool", pool)
    status = cohort("volume", scans, out=tmp_path / "out", on=Executor(workers=2), model="cubic")
    assert (len(status.done), len(status.failed)) == (3, 0)
    assert sizes == [2, 1, 1, 1]
