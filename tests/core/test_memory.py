"""What a container or batch job may take counts as much as what the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from medsr.core import memory

GB = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine with 100 GB free, whose groups lie in `tmp_path`."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100 * GB))
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    yield
    memory.work_beside(1)


def write_group(folder: Path, bound: str, used: int, cache: int, version: int = 2) -> None:
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{bound}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cache}\n{names[2]} {cache}\n")


def test_without_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory.free() == 100 * GB
    (tmp_path / "own").write_text("0::/\n")
    assert memory.free() == 100 * GB
    (tmp_path / "own").write_text("nonsense\n")
    assert memory.free() == 100 * GB


def test_a_container_with_8_gb(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    write_group(tmp_path, str(8 * GB), 3 * GB, 1 * GB)
    assert memory.free() == 6 * GB  # what is only cached can be had
    write_group(tmp_path, "max", 3 * GB, 1 * GB)
    assert memory.free() == 100 * GB


def test_a_job_of_slurm_is_bound_by_the_groups_above_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/slurm/job_7/step_0\n")
    write_group(tmp_path / "slurm/job_7/step_0", "max", 1 * GB, 0)
    write_group(tmp_path / "slurm/job_7", str(16 * GB), 2 * GB, 0)
    write_group(tmp_path / "slurm", str(64 * GB), 60 * GB, 0)
    assert memory.free() == 4 * GB


def test_groups_of_version_1_and_a_container_that_does_not_see_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("9:name=systemd:/\n4:memory:/docker/abc\n0::/\n")
    write_group(tmp_path / "memory", str(4 * GB), 1 * GB, 0, version=1)
    assert memory.free() == 3 * GB
    write_group(tmp_path / "memory", str(2**63 - 4096), 1 * GB, 0, version=1)  # how version 1 says: no bound
    assert memory.free() == 100 * GB


def test_a_full_group_has_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    write_group(tmp_path, str(8 * GB), 9 * GB, 0)
    assert memory.free() == 0


def test_processes_that_work_side_by_side_share_it() -> None:
    memory.work_beside(4)
    assert memory.share() == 25 * GB
    assert memory.free() == 100 * GB
