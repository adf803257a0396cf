from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from medsr.commands.prepare import archives
from medsr.core.errors import InputError
from medsr.io import expansion

EVERY = lambda name: name.endswith(".png")  # noqa: E731


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_what_is_wanted_comes_out_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    members = {"a/1.png": b"one", "a/readme.txt": b"no", "2.png": b"two"}
    path = tmp_path / f"set{suffix}"
    if suffix == ".zip":
        _zip(path, members)
    else:
        _tar(path, members, {".tar": "w", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}.get(suffix, "w:gz"))
    out = tmp_path / "out"
    assert archives.unpack(path, out, EVERY) == ["2.png", "a/1.png"]
    assert (out / "a/1.png").read_bytes() == b"one"
    assert not (out / "a/readme.txt").exists()


def test_a_single_compressed_file_and_archives_in_archives(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.writestr("x/1.png", b"one")
    outer = _zip(tmp_path / "outer.zip", {"inner.zip": inner.getvalue(), "2.png.gz": gzip.compress(b"two")})
    names = archives.unpack(outer, tmp_path / "out", EVERY)
    assert sorted((tmp_path / "out" / name).read_bytes() for name in names) == [b"one", b"two"]


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:\\evil.png", "c:evil.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    members = {"fine.png": b"1", name: b"2"}
    path = _zip(tmp_path / "set.zip", members) if kind == "zip" else _tar(tmp_path / "set.tar.gz", members)
    with pytest.raises(InputError, match="leads outside"):
        archives.unpack(path, tmp_path / "deep/out", EVERY)
    assert not list(tmp_path.rglob("evil.png"))


def test_links_are_neither_made_nor_followed(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as packed:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind!r}.png".replace("'", ""))
            info.type, info.linkname = kind, "/etc/passwd"
            packed.addfile(info)
    assert archives.unpack(path, tmp_path / "out", EVERY) == []
    assert not [entry for entry in (tmp_path / "out").iterdir() if entry.is_symlink()]


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_a_bomb_is_stopped(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "LARGE", 100_000)
    content = bytes(5_000_000)
    if kind == "zip":
        path = _zip(tmp_path / "bomb.zip", {"0.png": content})
    elif kind == "tar":
        path = _tar(tmp_path / "bomb.tar.gz", {"0.png": content})
    else:
        path = tmp_path / "0.png.gz"
        path.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=r"holds too much \(more than .* not unpacked"):
        archives.unpack(path, tmp_path / "out", EVERY)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".png.gz"])
def test_a_damaged_archive_is_named(tmp_path: Path, suffix: str) -> None:
    content = os.urandom(300_000)
    path = tmp_path / f"set{suffix}"
    if suffix == ".zip":
        _zip(path, {"0.png": content})
    elif suffix == ".tar.gz":
        _tar(path, {"0.png": content})
    else:
        path.write_bytes(gzip.compress(content))
    path.write_bytes(path.read_bytes()[:150_000])
    with pytest.raises(InputError, match=f"set{suffix}: damaged"):
        archives.unpack(path, tmp_path / "out", EVERY)
    path.write_bytes(b"not an archive at all")
    with pytest.raises(InputError, match=f"set{suffix}: damaged"):
        archives.unpack(path, tmp_path / "out", EVERY)


def test_a_bomb_of_many_archives_is_one_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "LARGE", 5_000_000)
    monkeypatch.setattr(expansion, "MOST_DENSE", 0)
    inner = _zip(tmp_path / "inner.zip", {"0.png": bytes(3_000_000)}).read_bytes()
    path = _zip(tmp_path / "outer.zip", {f"{n}.zip": inner for n in range(2)})
    with pytest.raises(InputError, match=r"outer\.zip: holds too much"):
        archives.unpack(path, tmp_path / "out", EVERY)


def test_what_cannot_be_unpacked_says_what_to_do(tmp_path: Path) -> None:
    nested = b"x"
    for _ in range(archives.NESTED + 1):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as packed:
            packed.writestr("in.zip", nested)
        nested = stream.getvalue()
    deep = tmp_path / "deep.zip"
    deep.write_bytes(nested)
    with pytest.raises(InputError, match="more than 3 deep"):
        archives.unpack(deep, tmp_path / "out", EVERY)
    twice = tmp_path / "twice.tar"
    with tarfile.open(twice, "w") as tar:
        for content in (b"a", b"b"):
            info = tarfile.TarInfo("1.png")
            info.size = 1
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(InputError, match=r"two files named 1\.png"):
        archives.unpack(twice, tmp_path / "out", EVERY)
    long = _zip(tmp_path / "long.zip", {"x" * 300 + ".png": b"1"})
    with pytest.raises(InputError, match=r"long\.zip: a name in it"):
        archives.unpack(long, tmp_path / "out", EVERY)


def test_a_tar_cut_between_two_files_is_damaged(tmp_path: Path) -> None:
    path = _tar(tmp_path / "set.tar", {f"{n}.png": bytes(512) for n in range(4)}, "w")
    path.write_bytes(path.read_bytes()[: 2 * 1024])
    with pytest.raises(InputError, match="its end is missing"):
        archives.unpack(path, tmp_path / "out", EVERY)


def test_names_packed_on_windows_are_folders(tmp_path: Path) -> None:
    path = _zip(tmp_path / "set.zip", {"imgs\\scan 12:30.png": b"1"})
    assert archives.unpack(path, tmp_path / "out", EVERY) == ["imgs/scan 12:30.png"]


def test_unpacked_once_is_not_unpacked_again_half_and_changed_is(tmp_path: Path) -> None:
    path = _zip(tmp_path / "set.zip", {"1.png": b"one"})
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale.png").write_bytes(b"of a run that was killed")
    assert archives.unpack(path, out, EVERY) == ["1.png"]
    (out / "1.png").write_bytes(b"touched")
    assert archives.unpack(path, out, EVERY) == ["1.png"]
    assert (out / "1.png").read_bytes() == b"touched"
    _zip(path, {"2.png": b"another archive of the same name"})
    assert archives.unpack(path, out, EVERY) == ["2.png"]


def _many(path: Path, count: int) -> Path:
    if path.suffix == ".zip":
        return _zip(path, {f"{n}.png": b"" for n in range(count)})
    return _tar(path, {f"{n}.png": b"" for n in range(count)}, "w" if path.suffix == ".tar" else "w:gz")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_more_files_than_an_archive_of_that_size_holds_are_not_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "MEMBERS", 30)
    assert len(archives.unpack(_many(tmp_path / name, 30), tmp_path / "out", EVERY)) == 30
    with pytest.raises(InputError, match="too many"):
        archives.unpack(_many(tmp_path / name, 200), tmp_path / "out", EVERY)
    inner = _many(tmp_path / f"inner-{name}", 20).read_bytes()
    outer = _zip(tmp_path / "outer.zip", {f"{n}-{name}": inner for n in range(2)})
    with pytest.raises(InputError, match=r"outer\.zip: holds too many"):
        archives.unpack(outer, tmp_path / "out", EVERY)


def test_what_nobody_wants_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "LARGE", 1_000_000)
    path = _tar(tmp_path / "a.tar.gz", {"0.bin": bytes(5_000_000), "1.png": b"1"})
    with pytest.raises(InputError, match="holds too much"):
        archives.unpack(path, tmp_path / "out", EVERY)
    plain = _tar(tmp_path / "a.tar", {"0.bin": bytes(5_000_000), "1.png": b"1"}, "w")
    assert archives.unpack(plain, tmp_path / "out", EVERY) == ["1.png"]


def test_a_header_of_gigabytes_is_damage(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf() + bytes(1 << 16))
    with pytest.raises(InputError, match="a header claims"):
        archives.unpack(path, tmp_path / "out", EVERY)


def test_folders_without_end_are_not_made(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a/" * 100 + "1.png": b"1"})
    with pytest.raises(InputError, match="more than 50 folders deep"):
        archives.unpack(path, tmp_path / "out", EVERY)


def test_a_list_of_members_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _many(tmp_path / "a.zip", 500)
    monkeypatch.setattr(expansion, "MEMBERS", 10)
    monkeypatch.setattr(expansion, "BYTES_AN_ENTRY", 100)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("was read"))
    with pytest.raises(InputError, match="too many for its size"):
        expansion.open_zip(path)
