"""Unpacking what strangers packed: nothing outside the folder, nothing that fills the disk, nothing not asked for."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from medsr.core import platform
from medsr.core.errors import InputError, MedsrError
from medsr.io import expansion
from medsr.io.files import write_text

SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz")
NESTED = 3
"""Archives within archives are opened down to this depth."""
DEEPEST = 50
"""Folders within folders."""
LONGEST_READ = 2 << 20
"""Bytes that a tar may want at once: a header that claims more is damaged."""
PACKED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""How what a tar is packed in begins, and what reads it."""
BLOCK = 1 << 20
DONE = ".done"


@dataclass(frozen=True)
class Member:
    """A file inside an archive: its name, its declared size, how to read it, and how much must be unpacked if not."""

    name: str
    size: int
    open: Callable[[], Any]
    passed: int = 0


def is_archive(name: str) -> bool:
    """Whether a file of that name is to be opened."""
    return name.lower().endswith(SUFFIXES)


def is_single(name: str) -> bool:
    """Whether it is one compressed file, not a folder of them."""
    lower = name.lower()
    return lower.endswith(".gz") and not lower.endswith(".tar.gz")


@dataclass
class Budget:
    """How many bytes and files one archive may still give, those within it included."""

    archive: Path
    left: int
    why: str
    members: int
    passing: int
    """Bytes that may still be unpacked without being written."""

    @classmethod
    def of(cls, archive: Path, folder: Path) -> Budget:
        """What reason and the disk allow."""
        size = archive.stat().st_size
        reason, members = expansion.most_bytes(size), expansion.most_members(size)
        disk = int(shutil.disk_usage(folder).free * 0.95)
        if disk < reason:
            return cls(archive, disk, f"the disk has {disk / 1e9:.1f} GB free for it", members, reason)
        why = f"more than {reason / 1e9:.2g} GB, over {expansion.MOST_DENSE} times its own size"
        return cls(archive, reason, why, members, reason)

    def take(self, size: int) -> None:
        """Raises InputError when there is not that much left."""
        self.left -= size
        self.check(0)

    def check(self, size: int) -> None:
        """Raises InputError where more than is left would have to be unpacked, written or not."""
        if size > self.left:
            raise InputError(f"{self.archive}: holds too much ({self.why}); not unpacked")

    def pass_over(self, size: int) -> None:
        """Raises InputError where too much that nobody wants would be unpacked."""
        self.passing -= size
        if self.passing < 0:
            raise InputError(f"{self.archive}: holds too much ({self.why}); not unpacked")

    def count(self) -> None:
        """Raises InputError where it holds more files than an archive of its size."""
        self.members -= 1
        if self.members < 0:
            raise InputError(f"{self.archive}: holds too many files for its size; unpack it yourself")


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Write the members `wanted` says into `folder`, and those of archives among them; their names, `/` between.

    An archive that was unpacked there before, and has not changed, is not unpacked again. Raises InputError for a
    damaged archive, a name that leads outside, two files of one name, more data than the disk or reason holds.
    """
    done, stamp = folder / DONE, f"{archive.stat().st_size} {archive.stat().st_mtime_ns}"
    if not done.is_file() or done.read_text(encoding="utf-8") != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            _unpack(archive, folder, wanted, Budget.of(archive, folder), 1)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        write_text(done, stamp)
    files = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in files if wanted(name)]


def _unpack(archive: Path, folder: Path, wanted: Callable[[str], bool], budget: Budget, depth: int) -> None:
    inner: list[Path] = []
    try:
        with _members(archive, budget) as members:
            for member in members:
                budget.count()
                name = _safe_name(member.name, archive)
                if wanted(name) or is_archive(name):
                    target = folder / name
                    if target.exists():
                        raise InputError(f"{archive}: holds two files named {name}; unpack it yourself")
                    _write(member, target, budget)
                    inner += [] if wanted(name) else [target]
                else:
                    budget.pass_over(member.passed)
    except MedsrError:
        raise
    except OSError as error:
        if error.errno in DISK:
            raise
        reason = error.strerror or str(error)
        if error.errno in (errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ):
            raise InputError(f"{archive}: a name in it cannot be written ({reason}); unpack it yourself") from error
        raise InputError(f"{archive}: damaged or not a readable archive ({reason}); download it again") from error
    except Exception as error:  # the standard library raises a dozen types on damaged archives, IndexError among them
        reason = " ".join(str(error).split()) or type(error).__name__
        if "encrypted" in reason or "password" in reason:
            raise InputError(f"{archive}: is encrypted; unpack it yourself, and give the folder") from error
        raise InputError(f"{archive}: damaged or not a readable archive ({reason}); download it again") from error
    for path in inner:
        if depth == NESTED:
            raise InputError(f"{budget.archive}: archives in it lie more than {NESTED} deep; unpack it yourself")
        below = path.with_name(path.name + ".d")
        below.mkdir()
        _unpack(path, below, wanted, budget, depth + 1)
        path.unlink()


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""Errors of the disk, not of the archive."""


def _write(member: Member, target: Path, budget: Budget) -> None:
    budget.check(member.size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, target.open("wb") as sink:
        while block := source.read(BLOCK):
            budget.take(len(block))
            sink.write(block)


def _safe_name(name: str, archive: Path) -> str:
    """The member's name below the folder. Raises InputError for a name that leads anywhere else."""
    path = PurePosixPath(name.replace("\\", "/"))  # some programs on Windows pack so
    drive = len(path.parts) > 0 and re.fullmatch("[A-Za-z]:.*", path.parts[0])
    if path.is_absolute() or ".." in path.parts or drive or "\0" in name or not path.parts:
        raise InputError(f"{archive}: holds a file named {name!r}, which leads outside its folder; not unpacked")
    if fault := next(filter(None, map(platform.fault_of_name, path.parts)), ""):
        raise InputError(f"{archive}: {fault}, or unpack it elsewhere")
    if len(path.parts) > DEEPEST:
        raise InputError(f"{archive}: holds a file more than {DEEPEST} folders deep; unpack it yourself")
    return str(path)


class _TarStream:
    """What a tar lies in, packed or not, of which no header may want gigabytes at once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def read(self, size: int) -> bytes:
        """As of any stream. Raises OSError for a size that no header has."""
        if size > LONGEST_READ:
            raise OSError(f"a header claims {size >> 20} MB")
        content: bytes = self._stream.read(size)
        return content


def _tar_members(tar: tarfile.TarFile, packed: bool, budget: Budget) -> Iterator[Member]:
    """Links and devices of strangers are not followed and not made."""
    while (member := tar.next()) is not None:
        passed = member.size if packed else 0
        if member.isfile():
            yield Member(member.name, member.size, partial(tar.extractfile, member), passed)
        else:
            budget.count()
            budget.pass_over(passed)


@contextmanager
def _members(archive: Path, budget: Budget) -> Iterator[Iterator[Member]]:
    name = archive.name.lower()
    if name.endswith(".zip"):
        with expansion.open_zip(archive) as packed:
            files = (info for info in packed.infolist() if not info.is_dir())
            yield (Member(info.filename, info.file_size, partial(packed.open, info)) for info in files)
    elif name.endswith(SUFFIXES[1:-1]):
        with archive.open("rb") as stream:
            begin = stream.read(6)
        opener = next((opener for mark, opener in PACKED.items() if begin.startswith(mark)), None)
        source: Any = _TarStream(opener(archive) if opener else archive.open("rb"))
        with closing(source), tarfile.open(fileobj=source, mode="r:") as tar:
            yield _tar_members(tar, opener is not None, budget)
            if opener is None and archive.stat().st_size < tar.offset + tarfile.BLOCKSIZE:
                raise EOFError("its end is missing")
    else:
        yield iter([Member(archive.name[: -len(".gz")], 0, partial(gzip.open, archive))])
