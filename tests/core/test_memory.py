"""What a container or batch job may take counts as much as what the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from medsr.core import control_groups, memory, platform
from medsr.core.threads import bound_torch, threads
from medsr.engines.torch_engine import TorchEngine

GB = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine with 100 GB free, whose groups lie in `tmp_path`."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100 * GB))
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "OWN", tmp_path / "own")
    yield
    memory.work_beside(1)


def write_group(folder: Path, bound: str, used: int, inactive: int = 0, active: int = 0, version: int = 2) -> None:
    names, prefix = ("memory.max", "memory.current"), ""
    if version == 1:
        names, prefix = ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{bound}\n")
    (folder / names[1]).write_text(f"{used}\n")
    statistics = {"anon": used - inactive - active, f"{prefix}inactive_file": inactive, f"{prefix}active_file": active}
    (folder / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in statistics.items()))


def write_quota(folder: Path, *files: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files:
        (folder / name).write_text(f"{text}\n")


def test_without_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory.free() == 100 * GB
    (tmp_path / "own").write_text("0::/\n")
    assert memory.free() == 100 * GB
    assert control_groups.cpus() is None
    (tmp_path / "own").write_text("nonsense\n")
    assert memory.free() == 100 * GB
    assert control_groups.cpus() is None


def test_a_container_with_8_gb(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    write_group(tmp_path, str(8 * GB), 3 * GB, inactive=1 * GB)
    assert memory.free() == 6 * GB  # what is only cached can be had
    write_group(tmp_path, str(8 * GB), 7 * GB, inactive=1 * GB, active=4 * GB)
    assert memory.free() == 6 * GB  # files read twice are `active`, and can be had as well
    write_group(tmp_path, "max", 3 * GB, inactive=1 * GB)
    assert memory.free() == 100 * GB


def test_a_job_of_slurm_is_bound_by_the_groups_above_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/slurm/job_7/step_0\n")
    write_group(tmp_path / "slurm/job_7/step_0", "max", 1 * GB)
    write_group(tmp_path / "slurm/job_7", str(16 * GB), 2 * GB)
    write_group(tmp_path / "slurm", str(64 * GB), 60 * GB)
    assert memory.free() == 4 * GB


def test_groups_of_version_1_and_a_container_that_does_not_see_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("9:name=systemd:/\n4:memory:/docker/abc\n0::/\n")
    write_group(tmp_path / "memory", str(4 * GB), 2 * GB, active=1 * GB, version=1)
    assert memory.free() == 3 * GB
    write_group(tmp_path / "memory", str(2**63 - 4096), 1 * GB, version=1)  # how version 1 says: no bound
    assert memory.free() == 100 * GB


def test_a_full_group_has_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    write_group(tmp_path, str(8 * GB), 9 * GB)
    assert memory.free() == 0


def test_the_time_of_cores_is_bounded_as_well(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/kubepods/pod/container\n")
    write_quota(tmp_path / "kubepods/pod/container", ("cpu.max", "max 100000"))
    assert control_groups.cpus() is None
    write_quota(tmp_path / "kubepods/pod", ("cpu.max", "150000 100000"))
    write_quota(tmp_path / "kubepods", ("cpu.max", "400000 100000"))
    assert control_groups.cpus() == 1.5


def test_the_time_of_cores_in_version_1(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("3:cpu,cpuacct:/docker/abc\n")
    write_quota(tmp_path / "cpu", ("cpu.cfs_quota_us", "200000"), ("cpu.cfs_period_us", "100000"))
    assert control_groups.cpus() == 2
    write_quota(tmp_path / "cpu", ("cpu.cfs_quota_us", "-1"))
    assert control_groups.cpus() is None


def test_no_more_threads_than_a_container_pays_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "cores", lambda: list(range(64)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert control_groups.cores() == threads() == 64
    (tmp_path / "own").write_text("0::/\n")
    for quota, cores in (("250000", 2), ("50000", 1), ("9000000", 64)):
        write_quota(tmp_path, ("cpu.max", f"{quota} 100000"))
        assert control_groups.cores() == threads() == cores
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads() == 5  # as the user said


def test_torch_keeps_to_what_a_container_pays_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "cores", lambda: list(range(64)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "own").write_text("0::/\n")
    before = torch.get_num_threads()
    try:
        for quota, count in (("9000000", 6), ("250000", 2)):
            write_quota(tmp_path, ("cpu.max", f"{quota} 100000"))
            torch.set_num_threads(6)
            TorchEngine(nn.Conv2d(1, 1, 3))
            assert torch.get_num_threads() == count
        torch.set_num_threads(1)
        bound_torch()
        assert torch.get_num_threads() == 1, "fewer, as a caller said"
    finally:
        torch.set_num_threads(before)


def test_processes_that_work_side_by_side_share_it() -> None:
    memory.work_beside(4)
    assert memory.share() == 25 * GB
    assert memory.free() == 100 * GB
