"""Files written whole or not at all, and hashes of files."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from medsr.core import platform
from medsr.core.errors import InputError, UsageError
from medsr.core.text import ESCAPED

Content = TypeVar("Content")
Digest = TypeVar("Digest")


LARGEST_HOLE = 500_000_000
"""Bytes of a file that may never have been written, as of an empty mask."""
MOST_PIECES = 10_000
"""Of a file with holes, how many are looked at."""


@contextmanager
def atomic_path(path: Path, make_folder: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, flush it to disk and rename it into place.

    The temporary name keeps `path`'s suffix, so that writers which choose the format by name work.
    If the block raises, nothing is left behind and an existing `path` is untouched. An OSError (a full disk) and an
    InputError name `path`.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{short_stem(path)}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as written:
            platform.sync(written.fileno())
        temporary.chmod(0o666 & ~UMASK)
        platform.rename(temporary, path)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except InputError as error:  # nobody knows the temporary name
        raise InputError(str(error).replace(str(temporary), str(path))) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


LONGEST = 255
"""Bytes of a file's name that disks hold."""


def short_stem(path: Path) -> str:
    """The name without its suffix, cut so that ten more letters fit into a name."""
    stem = path.stem
    while stem and len(os.fsencode(stem + path.suffix)) > LONGEST - 10:
        stem = stem[:-1]
    return stem


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


UMASK = _umask()
"""Asked for once: asking sets it for a moment, and another thread may just then be writing."""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all, the same bytes on every system.

    What is not UTF-8 in names of files is escaped.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ESCAPED, newline="\n")


def write_checked(path: Path, content: bytes | memoryview) -> None:
    """Write bytes whole or not at all, and read them back before they take their place.

    Raises OSError where what is on the disk is not what was written, or the folder is not there: that of a run whose
    mount is gone must not be made anew, what is written beneath would be lost.
    """
    with atomic_path(path, make_folder=False) as temporary:
        temporary.write_bytes(content)
        if sha256(temporary) != hashlib.sha256(content).hexdigest():
            raise OSError(errno.EIO, "what was read back is not what was written", str(path))


def sha256(path: Path) -> str:
    """The file's SHA-256, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a small file that anybody may have put there. Raises OSError, also for pipes and devices, ValueError.

    A pipe is not waited for.
    """
    with open(platform.open_without_waiting(path), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is a pipe, a socket or a device", str(path))
        return stream.read().decode(encoding)


def check_regular(path: Path) -> None:
    """Raise InputError for what is neither a file nor a folder: a pipe would be waited for, a device never ends.

    So would be a file of holes, which reads as zeros without end. What is not there at all is left to the reader.
    """
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) and size > LARGEST_HOLE and _is_hollow(path, size):
        raise InputError(f"{path}: {size / 1e9:.1f} GB of which next to nothing is on the disk; copy it anew")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a pipe, a socket or a device; give a file or a folder")


@contextmanager
def utf8_name(path: Path, beside: Iterable[Path] = ()) -> Iterator[Path]:
    """`path`, or a link to it whose name is UTF-8, to read it or to write it: some libraries take no other name.

    `beside`: files that the library finds by their names, from the folder of `path`.
    """
    try:
        os.fspath(path.absolute()).encode()
    except UnicodeEncodeError:
        pass
    else:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
        for file in beside:
            other = Path(folder, file.relative_to(path.parent))
            other.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(other, file)
        link = Path(folder, f"file{path.suffix.encode('ascii', 'ignore').decode()}")
        link.symlink_to(path.absolute())
        yield link


def link_or_copy(link: Path, path: Path) -> None:
    """Make `path` known as `link`, too: by a copy where links need a right of their own."""
    try:
        link.symlink_to(path.absolute())
    except OSError:
        shutil.copyfile(path, link)


def _is_hollow(path: Path, size: int) -> bool:
    """Whether most of a file was never written. Systems that cannot tell say that all was."""
    if not platform.sees_holes():
        return False
    handle = platform.open_without_waiting(path)
    held = at = 0
    try:
        for _ in range(MOST_PIECES):
            begin = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, begin, os.SEEK_HOLE)
            held += at - begin
            if held > size // 100:
                return False
    except OSError:  # no data behind that place
        pass
    finally:
        os.close(handle)
    return held <= size // 100


def read_unchanged(path: Path, digest: Callable[[Path], Digest], read: Callable[[], Content]) -> tuple[Content, Digest]:
    """What `read` makes of `path`, and the digest of the very bytes it was made of.

    Raises InputError where `path` changed meanwhile (its digests before and after are not equal) or cannot be read.
    """
    check_regular(path)
    try:
        before = digest(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    content = read()
    try:
        after = digest(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read any more: {error.strerror or error}") from error
    if after != before:
        raise InputError(f"{path}: changed while it was read; wait until it is whole, then run again")
    return content, before


def expand(
    inputs: Iterable[str | Path], in_folder: Callable[[Path], list[Path]], meant: Callable[[Path], bool]
) -> list[Path]:
    """Files, folders and globs to a list of paths, each once.

    `in_folder` says what a folder gives, `meant` which of the paths a glob matches count. Raises UsageError when one
    of the inputs gives nothing.
    """
    paths: dict[Path, None] = {}
    for entry in inputs:
        if not str(entry):
            raise UsageError("an input is empty: expected a file, a folder or a glob")
        path = Path(entry)
        if path.is_dir():
            matches = in_folder(path)
        elif path.exists() or not glob.has_magic(str(entry)):
            matches = [path]
        else:
            matches = sorted(filter(meant, map(Path, glob.glob(str(entry), recursive=True))))
        if not matches:
            raise UsageError(f"{entry}: nothing to work on there")
        paths.update(dict.fromkeys(matches))
    return list(paths)
