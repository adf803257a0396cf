"""Finding scans: what a folder, a glob or a file gives, the same for one scan as for a cohort."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from medsr.core.errors import InputError, UsageError
from medsr.io import file_type, files, kinds
from medsr.io.dicom import series_files
from medsr.io.dicom.series_files import Slice
from medsr.io.listing import RECORDS, cannot_open, files_below
from medsr.io.volumes import formats, volume_files, wrapped

KNOWN = tuple(formats.SUFFIXES)
LEFT_OUT_NAMED = 5


@dataclass(frozen=True)
class Scan:
    """`path`: a file, or the folder below which a DICOM series lies. `series`: its UID where others lie there, too,
    or where the user names it (`UID:N` with its `volume`).

    `number`: from 1, where several series have one folder. `subfolder`: of its result below the folder of results, None
    for a scan that was named by itself. `volume`: from 1, where the user names one of a series' volumes.
    """

    path: Path
    series: str | None = None
    number: int = 0
    subfolder: Path | None = None
    volume: int = 0


@dataclass(frozen=True)
class ScanListing:
    """`left_out`: files below the folders that are not scans. `barren`: folders without any; reading them says so.

    `closed`: what cannot be opened there, in words. `chosen`: the series that the user named, in words.
    """

    scans: list[Scan]
    left_out: list[Path]
    barren: tuple[Path, ...] = ()
    closed: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()

    def note(self) -> str:
        """What was left out and chosen, in words; empty when there is nothing."""
        names = ", ".join(path.name for path in self.left_out[:LEFT_OUT_NAMED])
        more = len(self.left_out) - LEFT_OUT_NAMED
        line = f"left out, not scans: {names}{f' and {more} more' if more > 0 else ''}"
        return "; ".join([*([line] if names else []), *self.closed, *self.chosen])


def expand(inputs: Iterable[str | Path], out: Path | None = None, series: str | None = None) -> ScanListing:
    """Files, folders and globs to scans, each once.

    A DICOM series is one scan however many folders it is spread over; everything below a folder is looked at, but not
    results of medsr, nor what lies in `out` within it. `series`: the one that the user names, as `choose_series` takes
    it. Raises UsageError when an input gives nothing, ChoiceError where `series` names none or several, InputError for
    an empty folder.
    """
    scans: dict[tuple[Path, str | None], Scan] = {}
    left_out: list[Path] = []
    loose: list[Path] = []
    barren: list[Path] = []
    closed: list[str] = []
    for entry in inputs:
        for path in files.expand([entry], lambda folder: [folder], _may_be_scan):
            if not path.is_dir():
                loose.append(path)
                continue
            if not any(path.iterdir()):
                raise InputError(f"{path}: the folder is empty")
            below = find(path, out) if series is None else ScanListing([], [])
            left_out += below.left_out
            closed += below.closed
            barren += [] if below.scans or series is not None else [path]
            for scan in below.scans or [Scan(path)]:
                subfolder = scan.path.parent.relative_to(path) if scan.path != path else Path()
                scans.setdefault((scan.path, scan.series), replace(scan, subfolder=subfolder))
    for scan in _loose(loose):
        scans.setdefault((scan.path, scan.series), scan)
    chosen: list[str] = []
    named = list(scans.values()) if series is None else _of_series(scans.values(), series, chosen)
    return ScanListing(named, left_out, tuple(barren), tuple(closed), tuple(chosen))


def find(folder: Path, out: Path | None = None, results: bool = False) -> ScanListing:
    """Every scan below a folder; what medsr made of scans only with `results`."""
    skipped = None if out is None or not _within(out, folder) else Path(os.path.realpath(out))
    scans: list[Scan] = []
    left_out: list[Path] = []
    slices: list[Slice] = []
    damaged: list[Path] = []
    scan_files: set[Path] = set()
    closed: list[Path] = []
    for file in sorted(files_below(folder, closed=closed)):
        if skipped is not None and _within(file, skipped):
            continue
        if (not results and _is_ours(file, folder)) or file.name.upper() == "DICOMDIR":
            continue
        try:
            kind = _kind(file)
            if kind == wrapped.DICOM:
                image = series_files.slice_of(file)
                slices += [image] if image else []
                left_out += [] if image else [file]
                continue
        except Exception:  # a damaged file: what is wrong is told when it is read, and costs no other scan
            damaged.append(file)
            continue
        if kind is None:
            left_out.append(file)
        elif kind:
            scans.append(Scan(file))
            scan_files.update(volume_files.files_of(file))
    series = series_files.scattered(slices)
    scans += _numbered([Scan(group.folder, group.named) for group in series])
    scans += [Scan(file) for file in damaged if not any(file.is_relative_to(group.folder) for group in series)]
    rest = [file for file in left_out if file not in scan_files]
    line = cannot_open(folder, closed)
    return ScanListing(sorted(scans, key=lambda scan: (scan.path, scan.number)), rest, (), (line,) if line else ())


def paths_below(folder: Path, pattern: str = "*", results: bool = False) -> tuple[list[Path], str]:
    """The scans below a folder whose paths `io.volume.read` takes, and in words what is left out: not scans, or several
    DICOM series in one folder, which a path alone does not tell apart. `pattern`: of names or places below the folder.
    `results`: whether medsr's own are found, too.
    """
    listing = find(folder, results=results)
    wanted = {
        path for path in (*(scan.path for scan in listing.scans), *listing.left_out) if _matches(path, folder, pattern)
    }
    mixed = dict.fromkeys(scan.path for scan in listing.scans if scan.series is not None and scan.path in wanted)
    notes = [f"left out, several DICOM series in one folder, give each its own: {path}" for path in mixed]
    rest = [file for file in listing.left_out if file in wanted and file.name.lower() not in RECORDS]
    notes += filter(None, [replace(listing, left_out=rest).note()])
    return [scan.path for scan in listing.scans if scan.series is None and scan.path in wanted], "; ".join(notes)


def _matches(path: Path, folder: Path, pattern: str) -> bool:
    return pattern == "*" or kinds.matches(path.relative_to(folder), pattern)


def _kind(file: Path) -> str | None:
    """The suffix of a scan by its content or else its name; empty for data of a header; None for no scan."""
    suffix = volume_files.split_suffix(file)[1].lower()
    if suffix in KNOWN and not volume_files.is_volume(file):
        return ""
    try:
        kind = file_type.scan_suffix(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    if kind == wrapped.ZIP:
        volumes, is_dicom = wrapped.in_zip(file, KNOWN)
        return kind if volumes or is_dicom or wrapped.zips_in(file) else None
    if kind is not None:
        return kind
    by_name = suffix in KNOWN or wrapped.is_packed_scan(file, KNOWN) or file.suffix.lower() in formats.UNREAD
    return suffix or wrapped.DICOM * (file.suffix.lower() == wrapped.DICOM) or file.suffix if by_name else None


def _loose(paths: list[Path]) -> list[Scan]:
    """Files named one by one; all slices of a series together are their scan."""
    slices = []
    for path in paths:
        try:
            is_dicom = path.is_file() and file_type.scan_suffix(path) == wrapped.DICOM
            image = series_files.slice_of(path) if is_dicom else None
        except Exception:  # told when it is read
            image = None
        slices += [image] if image else []
    whole = series_files.complete(slices)
    series_files_taken = {file for series in whole for file in series.files}
    single = [Scan(path) for path in paths if path not in series_files_taken]
    return single + _numbered([Scan(series.folder, series.named) for series in whole])


def _of_series(scans: Iterable[Scan], wanted: str, chosen: list[str]) -> list[Scan]:
    """The scans of the series that the user names, each with its UID; `chosen` gets in words what was understood."""
    from medsr.io.volumes.dicom.series_list import find_series

    named = []
    for scan in scans:
        try:
            series, volume = find_series(scan.path, wanted)
        except InputError:  # not DICOM, or damaged: told when it is read
            named.append(scan)
            continue
        if scan.series in (None, series.uid):
            uid = series.uid if volume is None else f"{series.uid}:{volume}"
            named.append(replace(scan, series=uid, number=0, volume=volume or 0))
            chosen += [] if wanted == uid else [f"{scan.path.name}: series {series.number}: {series.words}"]
    if not named:
        raise UsageError("`series`: none of its files was named; give its folder")
    return named


def _numbered(scans: list[Scan]) -> list[Scan]:
    """Those that share a folder, with their numbers."""
    places: dict[Path, list[Scan]] = {}
    for scan in scans:
        places.setdefault(scan.path, []).append(scan)
    return [
        replace(scan, number=number) if len(several) > 1 else scan
        for several in places.values()
        for number, scan in enumerate(several, 1)
    ]


def _may_be_scan(path: Path) -> bool:
    """Whether a glob that found it can have meant it: no sidecar, no picture, no data of a header beside it."""
    if path.is_dir() or volume_files.is_volume(path):
        return True
    try:
        return bool(path.is_file() and _kind(path))
    except Exception:  # told when it is read
        return True


def _is_ours(file: Path, folder: Path) -> bool:
    """Whether medsr made it: a result, slices of one, or what stands beside it."""
    for name in ("_preview.png", "_report.html", ".json"):
        if file.name.endswith(name) and volume_files.is_result(file.with_name(file.name[: -len(name)] + ".nii")):
            return True
    above = [parent for parent in file.parents if parent != folder and parent.is_relative_to(folder)]
    return (volume_files.is_volume(file) and volume_files.is_result(file)) or any(map(volume_files.is_result, above))


def _within(path: Path, folder: Path) -> bool:
    real, home = os.path.realpath(path), os.path.realpath(folder)
    return real != home and Path(real).is_relative_to(home)
