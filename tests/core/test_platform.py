"""What differs between systems: each part of Windows and macOS that can be had on Linux by taking something away."""

from __future__ import annotations

import io
import ntpath
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from medsr.core import platform
from medsr.io import confined, lock, places
from medsr.io.files import write_text
from medsr.io.local_record import named_from
from tests.helpers.like_windows import SharingError


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")


class Busy:
    """`os.replace` of a Windows where another program has the file open for the first `times`."""

    def __init__(self, times: int) -> None:
        self.left, self.real = times, os.replace

    def __call__(self, source: Path, target: Path) -> None:
        self.left -= 1
        if self.left >= 0:
            raise SharingError(13, "used by another process", str(target))
        self.real(source, target)


@pytest.mark.usefixtures("windows")
def test_a_file_that_a_scanner_has_open_is_renamed_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(os, "replace", Busy(3))
    monkeypatch.setattr(platform.time, "sleep", waits.append)
    (tmp_path / "result.txt").write_text("old")
    write_text(tmp_path / "result.txt", "new\n")
    assert (tmp_path / "result.txt").read_bytes() == b"new\n"
    assert waits == list(platform.WAITS[:3])


@pytest.mark.usefixtures("windows")
def test_a_file_that_stays_open_is_named_and_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", Busy(100))
    monkeypatch.setattr(platform.time, "sleep", lambda _: None)
    (tmp_path / "result.txt").write_text("old")
    with pytest.raises(OSError, match="another program has it open") as error:
        write_text(tmp_path / "result.txt", "new")
    assert error.value.filename == str(tmp_path / "result.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]
    assert (tmp_path / "result.txt").read_text() == "old"


def test_elsewhere_a_refusal_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform.time, "sleep", lambda _: pytest.fail("waited"))
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        platform.rename(tmp_path / "a", tmp_path / "b")


@pytest.mark.usefixtures("macos")
def test_macos_is_asked_to_empty_the_cache_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    asked: list[int] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: asked.append(command))
    with (tmp_path / "file").open("wb") as stream:
        platform.sync(stream.fileno())
    assert asked == [51]

    def unable(*_: object) -> None:
        raise OSError(25, "not on this disk")

    monkeypatch.setattr(fcntl, "fcntl", unable)
    monkeypatch.setattr(os, "fsync", lambda _: asked.append(0))
    with (tmp_path / "file").open("wb") as stream:
        platform.sync(stream.fileno())
    assert asked == [51, 0]


def test_a_folder_that_cannot_be_opened_is_not_synced_and_no_handle_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(22, "not of folders")))
    platform.sync_folder(tmp_path)
    platform.sync_folder(tmp_path / "none")
    assert handles in (0, len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0)


def test_without_locks_of_folders_a_file_stands_for_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert platform.lock_folder(tmp_path, wait=True) is None
    with lock.held(tmp_path):
        assert (tmp_path / lock.NAME).exists()
        with pytest.raises(lock.HeldError), lock.held(tmp_path, wait=False):
            pytest.fail("held twice")


def test_without_resource_nothing_is_bounded_and_the_peak_is_psutils(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setitem(sys.modules, "resource", None)
    assert platform.limit_memory(1 << 40) is False
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123))
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert platform.peak_memory() == 123


def test_the_unit_of_the_peak_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=2048))
    monkeypatch.setattr(platform, "Path", Mock(side_effect=OSError))  # as where there is not a /proc
    monkeypatch.setattr(sys, "platform", "linux")
    assert platform.peak_memory() == 2048 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert platform.peak_memory() == 2048


def test_the_peak_is_not_that_of_the_program_that_started_this_one() -> None:
    large = np.ones(64 << 20)  # 512 MB
    code = "from medsr.core.platform import peak_memory; print(peak_memory())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 5e6 < peak < large.nbytes / 2


def test_where_cores_cannot_be_chosen_all_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert platform.cores() == [0, 1, 2, 3, 4, 5]
    import psutil

    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace())  # psutil of macOS knows no affinity
    platform.use_cores([1])
    chosen: list[list[int]] = []
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(cpu_affinity=chosen.append))
    platform.use_cores([1])
    assert chosen == [[1]]


def test_ctrl_break_ends_a_program_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGBREAK", raising=False)
    assert platform.end_signals() == {15: 143}
    monkeypatch.setattr(signal, "SIGBREAK", 21, raising=False)
    assert platform.end_signals() == {15: 143, 21: 149}


def test_a_system_without_hangup_and_fork_is_asked_for_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    platform.on_hangup(lambda *_: None)
    platform.after_fork(lambda: None)


def test_on_windows_no_other_program_may_take_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    bound = SimpleNamespace(setsockopt=lambda _, option, value: chosen.append(option * value))
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    platform.listen_alone(bound)  # type: ignore[arg-type]
    monkeypatch.delattr(socket, "SO_EXCLUSIVEADDRUSE")
    monkeypatch.setattr(sys, "platform", "linux")
    platform.listen_alone(bound)  # type: ignore[arg-type]
    assert chosen == [-5, socket.SO_REUSEADDR]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("scan:1.nii", "Windows has no files"),
        ("what?.png", "Windows has no files"),
        ("line\nbreak.png", "Windows has no files"),
        ("aux.nii.gz", "keeps such a name"),
        ("COM3", "keeps such a name"),
        ("ends with a dot.", "keeps such a name"),
        ("ends with a space ", "keeps such a name"),
        ("auxiliary.nii", ""),
        ("Jörg 测试.nii", ""),
    ],
)
def test_names_that_windows_does_not_have(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert platform.fault_of_name(name) == ""
    assert confined.is_confined(tmp_path, name)
    monkeypatch.setattr(sys, "platform", "win32")
    fault = platform.fault_of_name(name)
    assert fault.startswith(f"{name}: ") is bool(reason)
    assert reason in fault
    assert confined.is_confined(tmp_path, name) is not bool(reason), "a:b would be a hidden part of the file a"
    clashes = places.check([places.Writing(tmp_path / "in", [], [tmp_path / name])])
    assert bool(clashes) is bool(reason)


@pytest.mark.usefixtures("windows")
def test_a_path_that_is_too_long_is_refused_before_hours_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "_allows_long_paths", lambda: False)
    folder = Path(os.path.abspath("/")) / ("a" * 100) / ("b" * 100)
    fits = platform.LONGEST_PATH - platform.ROOM - len(str(folder)) - 1
    assert platform.fault_of_path(folder / ("c" * fits)) == ""
    assert "choose a shorter folder" in platform.fault_of_path(folder / ("c" * (fits + 1)))
    monkeypatch.setattr(platform, "_allows_long_paths", lambda: True)
    assert platform.fault_of_path(folder / ("c" * (fits + 1))) == ""


def test_a_windows_that_does_not_say_allows_no_long_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "winreg", None)
    assert platform._allows_long_paths() is False


@pytest.mark.parametrize(
    ("folder", "file", "way"),
    [
        (r"C:\results", r"C:\results\scans\a.nii", "scans/a.nii"),
        (r"C:\results", r"C:\people\smith\a.nii", None),
        (r"C:\results", r"D:\a.nii", None),
    ],
)
def test_ways_have_slashes_and_lead_to_no_other_drive(
    folder: str, file: str, way: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import PureWindowsPath

    monkeypatch.setattr(platform, "PurePath", PureWindowsPath)
    monkeypatch.setattr(platform.os, "path", ntpath)
    assert platform.way_from(folder, file) == way  # type: ignore[arg-type]


def test_a_file_elsewhere_is_called_by_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "relpath", lambda *_: (_ for _ in ()).throw(ValueError("on another drive")))
    assert named_from(tmp_path, "/elsewhere/smith/a.nii", None) == "a.nii"


@pytest.mark.usefixtures("windows")
def test_texts_have_the_same_line_ends_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "linesep", "\r\n")
    write_text(tmp_path / "a.json", "{\n}\n")
    assert (tmp_path / "a.json").read_bytes() == b"{\n}\n"


def test_a_console_is_told_from_a_file_on_windows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "cp1252")
    assert platform.is_console(stream) is (sys.platform == "win32")
    monkeypatch.setattr(sys, "platform", "win32")
    assert platform.is_console(stream)
    assert not platform.is_console(None)  # a program without a window


def test_a_gpu_is_looked_for_where_there_may_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "DRIVERS", ("/nowhere/at/all",))
    for system, may in (("linux", False), ("darwin", True), ("win32", True)):
        monkeypatch.setattr(sys, "platform", system)
        assert platform.may_have_gpu() is may


def test_the_apple_gpu_is_chosen_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from medsr.core.devices import choose

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose("auto") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose("auto") == "cpu"
