from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from medsr.io import kinds, scans
from medsr.io.images import image as image_io
from medsr.io.listing import files_below, left_out


def _file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def test_links_are_followed_once_and_known_by_the_folders_own_name(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "d", tmp_path / "e"
    for path in (folder / "z/1.png", folder / "2.png", elsewhere / "3.png"):
        _file(path)
    (folder / "a").symlink_to(folder / "z")
    (folder / "e").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    assert sorted(_names(folder)) == ["2.png", "e/3.png", "z/1.png"]


def test_only_regular_visible_files_count(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    _file(folder / "1.png")
    _file(folder / ".hidden.png")
    _file(folder / ".trash/2.png")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as output:
        output.bind(str(folder / "socket.png"))
        assert _names(folder) == ["1.png"]


def test_what_is_not_read_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a.xyz", "b.XYZ", "c.gif2", "d.PNG", "status.tsv", "README"):
        _file(tmp_path / "d" / name)
    summary = left_out(files_below(tmp_path / "d"), image_io.is_image)
    assert summary == "left out: 4 files that medsr does not read as images (.xyz 2, .gif2 1, no suffix 1)"
    assert left_out([tmp_path / "d/d.PNG"], image_io.is_image) == ""


def test_suffixes_count_in_either_case(tmp_path: Path) -> None:
    for name in ("a.png", "b.PNG", "C.Png", "d.tif"):
        _file(tmp_path / name)
    assert [path.name for path in image_io.list_images(tmp_path, "*.png")] == ["C.Png", "a.png", "b.PNG"]
    assert [path.name for path in image_io.list_images(tmp_path, "*.PNG")] == ["C.Png", "a.png", "b.PNG"]


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    _file(tmp_path / "d/1.png")
    _file(tmp_path / "d/.hidden")
    (tmp_path / "d/again").symlink_to(tmp_path / "d")
    assert kinds.left_out(tmp_path / "d") == []
    (tmp_path / "d/eye.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "d/pipe.png")
    [lines] = kinds.left_out(tmp_path / "d")
    assert lines == f"{tmp_path / 'd'}: left out, as medsr cannot open them: eye.png, pipe.png"
    assert lines in scans.expand([tmp_path / "d"]).note()


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path / "1.png")
    _file(tmp_path / "ward/2.png")
    look = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "ward":
            raise PermissionError(13, "Permission denied")
        return look(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert kinds.left_out(tmp_path)[0].endswith("cannot open them: ward")
