"""Where a scan's results go: one name decides all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr.core.errors import UsageError
from medsr.io.images import formats
from medsr.io.places import Writing, target_identity
from medsr.io.places import check as places_check
from medsr.io.scans import Scan
from medsr.io.volumes.dicom.series_list import choice_error, list_series
from medsr.io.volumes.dicom.series_words import shown_uid
from medsr.io.volumes.formats import UNREAD, WRITABLE
from medsr.io.volumes.volume_files import OURS, files_of, files_written, split_suffix


@dataclass(frozen=True)
class Target:
    """The refined scan's file (with `dicom`: its folder) and what is written beside it.

    `series`: the UID of the DICOM series, where others lie in the same folder.
    """

    scan: Path
    volume: Path
    dicom: bool = False
    series: str | None = None

    @property
    def suffix(self) -> str:
        """The format of volumes beside it."""
        return ".nii.gz" if self.dicom else split_suffix(self.volume)[1]

    def beside(self, ending: str) -> Path:
        """`out.nii.gz` to `out<ending>`."""
        stem = self.volume.name if self.dicom else split_suffix(self.volume)[0]
        return self.volume.with_name(stem + ending)

    def companion(self, path: Path) -> Path:
        """Where a companion goes: the scan's new name, then the companion's own."""
        stem, suffix = split_suffix(path)
        return self.beside(f"_{stem}{suffix if suffix.lower() in WRITABLE else '.nii.gz'}")


def plan(
    scans: list[Scan], out: Path, dicom: bool, also: tuple[Path, ...] = (), uncertainty: bool = False
) -> tuple[list[Target], list[tuple[Path, str]]]:
    """The results of every scan, and the scans that are not done because they would share one, with the reason.

    `out`: a file for one scan where its suffix says so, else a folder. Raises UsageError before anything is written
    when an input would be overwritten, or nothing remains to be done.
    """
    as_file = names_file(out, dicom)
    if as_file and len(scans) > 1:
        names = "; ".join(f"{scan.path}{f' ({shown_uid(scan.series)})' if scan.series else ''}" for scan in scans[:5])
        raise UsageError(f"`out={out}`: one file for {len(scans)} scans; give a folder, or name one of: {names}")
    targets = [Target(scan.path, out, dicom, scan.series) if as_file else target_of(scan, out, dicom) for scan in scans]
    return check(targets, also, uncertainty)


def refuse_several_series(inputs: Sequence[str | Path], out: Path, dicom: bool, scans: list[Scan]) -> None:
    """Raise ChoiceError, with the list, where several series of the one folder would go into the one file `out`."""
    if not names_file(out, dicom) or len(scans) < 2 or len(inputs) != 1 or not (folder := Path(inputs[0])).is_dir():
        return
    listing = list_series(folder)
    if len(listing) >= len(scans):  # and nothing else lies there
        several = f"{folder}: holds {len(listing)} series; choose one with `series`, or let `out` be a folder"
        raise choice_error(several, listing)


def names_file(out: Path, dicom: bool = False) -> bool:
    """Whether `out` names a file, by its suffix; else a folder. Raises UsageError where it can be neither."""
    if not dicom and not out.is_dir() and split_suffix(out)[1].lower() in WRITABLE:
        return True
    if out.exists() and not out.is_dir():
        raise UsageError(f"`out={out}`: is a file; give a folder, or a name ending in .nii.gz, .nrrd, .mha or .mgz")
    if not out.exists() and out.suffix:
        _refuse_unknown(out)
    return False


def check(
    targets: list[Target], also: tuple[Path, ...] = (), uncertainty: bool = False
) -> tuple[list[Target], list[tuple[Path, str]]]:
    """The targets that have their files to themselves, and the other scans with the reason. Raises as `plan`."""
    companions = [file for path in also for file in files_read(path)]
    writings = []
    for target in targets:
        written = outputs(target, also, uncertainty)
        places = {target_identity(file) for file in written}
        if len(places) < len(written):
            names = ", ".join(map(str, also))
            raise UsageError(f"`also`: {names} would overwrite each other or the uncertainty; rename one")
        writings.append(Writing(target.scan, [*files_read(target.scan), *companions], written))
        refuse_foreign(target.beside(".json"))
    clashes = places_check(writings)
    if clashes and len(clashes) == len(targets):
        raise UsageError(next(iter(clashes.values())))
    kept = [target for number, target in enumerate(targets) if number not in clashes]
    return kept, [(targets[number].scan, reason) for number, reason in clashes.items()]


def files_read(scan: Path) -> list[Path]:
    """What a scan is read from; the folder itself for slices, which `--dicom` writes folders beside."""
    return [scan] if scan.is_dir() else files_of(scan)


def outputs(target: Target, also: tuple[Path, ...], uncertainty: bool) -> list[Path]:
    """Everything that will be written for a scan."""
    volumes = [target.volume, *map(target.companion, also)]
    volumes += [target.beside(f"_uncertainty{target.suffix}")] if uncertainty else []
    beside = [target.beside(ending) for ending in (".json", "_preview.png", "_report.html")]
    return [*(file for volume in volumes for file in files_written(volume)), *beside]


def refuse_foreign(sidecar: Path) -> None:
    """A sidecar that is not ours (BIDS, dcm2niix) must not be lost."""
    if os.path.isfile(sidecar) and OURS not in sidecar.read_text("utf-8", errors="replace"):
        raise UsageError(f"{sidecar}: is already there and not medsr's; choose another `out`")


def _refuse_unknown(out: Path) -> None:
    if out.suffix.lower() in {*UNREAD, *formats.SUFFIXES, ".gz", ".zip", ".json"}:
        raise UsageError(f"`out={out}`: medsr volume writes {', '.join(WRITABLE)}, or into a folder")


def target_of(scan: Scan, out: Path, dicom: bool) -> Target:
    """The scan's result in the folder `out`: at its place, by its name, with its number among several series.

    A volume of a series that the user names is in its name, so that one does not replace the other.
    """
    name = name_for(scan.path, dicom)
    stem, suffix = (name, "") if dicom else split_suffix(Path(name))
    number = f"_{scan.number}" if scan.number else ""
    volume = f"_volume{scan.volume}" if scan.volume else ""
    name = f"{stem}{number}{volume}{suffix}"
    return Target(scan.path, out / (scan.subfolder or Path()) / name, dicom, scan.series)


def name_for(scan: Path, dicom: bool) -> str:
    """The scan's own name in its own format; NIfTI for DICOM."""
    resolved = scan if scan.name not in ("", ".", "..") else scan.resolve()
    stem, suffix = split_suffix(resolved)
    if resolved.is_dir():
        stem, suffix = resolved.name, ""
    if dicom:
        return stem
    return stem + (suffix if suffix.lower() in WRITABLE else ".nii.gz")
