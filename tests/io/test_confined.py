from __future__ import annotations

from pathlib import Path

import pytest

from medsr.io.confined import is_confined, lies_below


@pytest.mark.parametrize(
    ("name", "confined"),
    [
        ("a.png", True),
        ("train/a.png", True),
        ("new/sub/a.png", True),
        ("", False),
        (".", False),
        ("..", False),
        ("../a.png", False),
        ("train/../../a.png", False),
        ("/etc/passwd", False),
        ("C:\\a.png", False),
        ("a\0b", False),
        ("elsewhere/a.png", False),  # a link that leads out
        ("elsewhere", True),  # the link itself lies in the folder
    ],
)
def test_only_what_lies_in_the_folder(name: str, confined: bool, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "train").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (folder / "elsewhere").symlink_to(tmp_path / "other")
    assert is_confined(folder, name) == confined


def test_a_folder_reached_by_a_link_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert lies_below(tmp_path / "link", tmp_path / "folder/a")
    assert lies_below(tmp_path / "folder", tmp_path / "link/a")
    assert not lies_below(tmp_path / "folder", tmp_path / "folder2/a")
    assert not lies_below(tmp_path / "folder", tmp_path / "folder")
