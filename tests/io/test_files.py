from __future__ import annotations

from pathlib import Path

import pytest

from medsr.io.files import atomic_path, sha256, write_checked, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.glob("*.txt")) == [target]
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".a")] == []


def test_write_replaces_whole_and_makes_folders(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    write_text(target, "one")
    write_text(target, "two")
    assert target.read_text() == "two"
    assert sha256(target) == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"


def test_what_is_read_back_must_be_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checked(tmp_path / "a", b"good")
    monkeypatch.setattr(Path, "write_bytes", lambda path, _: path.write_text("rotten"))
    with pytest.raises(OSError, match="read back"):
        write_checked(tmp_path / "a", b"better")
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"good"
