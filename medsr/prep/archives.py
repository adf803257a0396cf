"""Unpacking what strangers packed: nothing outside the folder, nothing that fills the disk, nothing not asked for."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from medsr.errors import InputError
from medsr.io.files import atomic_path

SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz")
NESTED = 3
"""Archives within archives are opened down to this depth."""
LARGEST_RATIO = 100
FREE_OF_RATIO = 1_000_000_000
"""Bytes an archive may always give, however small it is: whole folders of blank masks pack well."""
MOST_MEMBERS = 2_000_000
BLOCK = 1 << 20
DONE = ".done"


@dataclass(frozen=True)
class Member:
    """A file inside an archive: its name, its declared size, and how to read it."""

    name: str
    size: int
    open: Callable[[], Any]


def is_archive(name: str) -> bool:
    """Whether a file of that name is to be opened."""
    return name.lower().endswith(SUFFIXES)


def is_single(name: str) -> bool:
    """Whether it is one compressed file, not a folder of them."""
    lower = name.lower()
    return lower.endswith(".gz") and not lower.endswith(".tar.gz")


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool], depth: int = 1) -> list[str]:
    """Write the members `wanted` says into `folder`, and those of archives among them; their names, `/` between.

    An archive that was unpacked there before is not unpacked again. Raises InputError for a damaged archive, a name
    that leads outside, more data than the disk or reason holds.
    """
    done = folder / DONE
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write_members(archive, folder, wanted)
        with atomic_path(done) as temporary:
            temporary.write_text("unpacked\n")
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name == DONE:
            continue
        if wanted(name):
            names.append(name)
        elif is_archive(name):
            inner = path.with_name(path.name + ".d")
            names += [f"{name}.d/{one}" for one in unpack(path, inner, wanted, depth + 1)] if depth < NESTED else []
    return list(dict.fromkeys(names))


def _write_members(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    limit = min(FREE_OF_RATIO + LARGEST_RATIO * archive.stat().st_size, int(shutil.disk_usage(folder).free * 0.95))
    written = 0
    try:
        with _members(archive) as members:
            for count, member in enumerate(members, 1):
                target = folder / _safe(member.name, archive)
                if count > MOST_MEMBERS:
                    raise InputError(f"{archive}: more than {MOST_MEMBERS} files; not unpacked")
                if not wanted(member.name) and not is_archive(member.name):
                    continue
                if member.size > limit - written:
                    raise InputError(_too_much(archive, limit))
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source, target.open("wb") as sink:
                    while block := source.read(BLOCK):
                        written += len(block)
                        if written > limit:
                            raise InputError(_too_much(archive, limit))
                        sink.write(block)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{archive}: damaged or not a readable archive ({reason}); download it again") from error


def _too_much(archive: Path, limit: int) -> str:
    return (
        f"{archive}: holds more than {limit / 1e9:.1f} GB, over {LARGEST_RATIO} times its own size or more than the "
        "disk has free; not unpacked"
    )


def _safe(name: str, archive: Path) -> PurePosixPath:
    """The member's place below the folder. Raises InputError for a name that leads anywhere else."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not path.parts:
        raise InputError(f"{archive}: holds a file named {name!r}, which leads outside its folder; not unpacked")
    return path


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            yield (
                Member(one.filename, one.file_size, partial(packed.open, one))
                for one in packed.infolist()
                if not one.is_dir()
            )
    elif name.endswith(SUFFIXES[1:-1]):
        with tarfile.open(archive) as tar:  # links and devices of strangers are not followed and not made
            yield (Member(one.name, one.size, partial(tar.extractfile, one)) for one in tar if one.isfile())
    else:
        yield iter([Member(archive.name[: -len(".gz")], 0, partial(gzip.open, archive))])
