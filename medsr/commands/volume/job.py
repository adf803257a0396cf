"""One scan, from its file to everything that is written beside its result."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsr.batch.progress import Update, progress
from medsr.batch.status import Status
from medsr.commands.upscale.sidecar import relative
from medsr.commands.volume import companions, preview, report
from medsr.commands.volume.files import Target
from medsr.commands.volume.pictures import Pictures
from medsr.core.geometry import Grid
from medsr.core.types import Notify, OnProgress
from medsr.io.files import read_unchanged, write_text
from medsr.io.local_record import named_from
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.volumes.base import Volume
from medsr.volumes.choose_model import choose_model
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.refine_scan import RefinedScan, refine_scan
from medsr.volumes.request import Request


@dataclass(frozen=True)
class Extras:
    """What else to read and write: companions, a DICOM series, a report."""

    also: tuple[Path, ...] = ()
    series: str | None = None
    dicom: bool = False
    report: bool = False


@dataclass(frozen=True)
class How:
    """What all scans of a batch share.

    `done`: who knows which need not be made again, None: all are made. `watch`: who hears of progress instead of the
    terminal.
    """

    request: Request
    extras: Extras
    engine: LoadedSliceModel
    notify: Notify
    done: Status | None = None
    watch: OnProgress | None = None


@dataclass
class Given:
    """What was read: the scan, and the files that go with it."""

    scan: Volume
    companions: list[tuple[Path, Volume]]


@dataclass
class Job:
    """One scan of a batch (a `BatchJob`). Only `compute` tells the user anything, so that lines keep together."""

    at: Target
    how: How
    given: Given | None = None
    result: RefinedScan | None = None
    moved: list[tuple[Path, Volume]] = field(default_factory=list)
    digest: str = ""
    written: str = ""

    @property
    def source(self) -> Path:
        return self.at.scan

    @property
    def target(self) -> Path:
        return self.at.volume

    def read(self) -> bool:
        if self.how.done and self.how.done.is_done(self.source, self.target):
            return False
        extras = self.how.extras
        scan = self._read_unchanged()
        beside = [(path, volume_io.read(path, None, self.how.request.choice)) for path in extras.also]
        companions.check(self.at, scan, beside)
        if extras.dicom:
            from medsr.io.volumes.dicom.write import check

            check(self.target, scan)
        else:
            volume_io.check_writable(self.target, scan)
        self.given = Given(scan, beside)
        return True

    def _read_unchanged(self) -> Volume:
        """The scan, and its digest. In a folder of slices our own results may change meanwhile, for other scans."""
        taken: list[dict[Path, str]] = []

        def digest(path: Path) -> dict[Path, str]:
            taken.append(volume_files.hashes(path))
            return {file: known for file, known in taken[-1].items() if file in taken[0] and not _is_ours(file)}

        series, choice = self.at.series or self.how.extras.series, self.how.request.choice
        scan, _ = read_unchanged(self.source, digest, lambda: volume_io.read(self.source, series, choice))
        self.digest = volume_files.digest_of(taken[0])
        return scan

    def compute(self) -> None:
        assert self.given is not None
        scan, notify = self.given.scan, self.how.notify
        fine = self.how.request.target(scan.grid)
        notify(f"{self.source.name}: {_text(scan.grid)} to {_text(scan.grid.on(fine))}")
        for note in scan.notes:
            notify(f"{self.source.name}: note: {note}")
        chosen = choose_model(self.how.request, self.how.engine, scan)
        if chosen.why and chosen.fits:
            notify(f"{self.source.name}: {chosen.why}")
        with _Progress(self.source.name) as shown:
            self.result = refine_scan(scan, chosen, self.how.watch or shown)
        for warning in self.result.warnings:
            notify(f"{self.source.name}: warning: {warning}")
        for path, companion in self.given.companions:
            moved, how = companions.brought(companion, scan, self.result.volume.grid)
            self.moved.append((path, moved))
            for note in companion.notes:
                notify(f"{path.name}: note: {note}")
            notify(f"{path.name}: {how}, {self.at.companion(path)}")

    def write(self) -> tuple[str, ...]:
        assert self.given is not None
        assert self.result is not None
        at, given, result, extras = self.at, self.given, self.result, self.how.extras
        self.given = self.result = None
        keep = self.how.request.keep_metadata
        if extras.dicom:
            from medsr.io.volumes.dicom.write import write_series

            by = result.summary["model"]["name"]
            write_series(at.volume, result.volume, f"Super-resolved through its planes ({by})")
        else:
            self.written = volume_io.write(at.volume, result.volume, keep)
        if result.uncertainty is not None:
            volume_io.write(at.beside(f"_uncertainty{at.suffix}"), result.uncertainty, keep)
        for path, moved in self.moved:
            volume_io.write(at.companion(path), moved, keep)
        name = result.summary["model"]["name"]
        spread = result.uncertainty.stored if result.uncertainty is not None else None
        pictures = Pictures(given.scan, result.volume, spread, result.inconsistency, name == "nearest")
        preview.write(at.beside("_preview.png"), pictures, name)
        parameters, folder = result.summary["parameters"], at.volume.parent
        summary = result.summary | {
            "parameters": parameters | {"fuse": relative(parameters["fuse"], folder, parameters.get("fusion_sha256"))},
            "input_sha256": self.digest,
            "input_file": named_from(folder, at.scan, self.digest),
            "output_file": at.volume.name,
            "series": at.series or extras.series,
            "also": [named_from(folder, path, None) for path in extras.also],
        }
        if extras.report:
            report.write(at.beside("_report.html"), pictures, summary)
        write_text(at.beside(".json"), json.dumps(summary, indent=2) + "\n")
        return _told(summary)

    def release(self) -> None:
        self.given = self.result = None
        self.moved.clear()


def _is_ours(file: Path) -> bool:
    """Whether a file below a folder of slices is not a slice: it is a result, a table or a page."""
    return volume_files.is_volume(file) or file.suffix.lower() in (".tsv", ".json", ".html", ".png")


def _told(summary: dict[str, Any]) -> tuple[str, ...]:
    """The figures in words, for the terminal."""
    figures = summary.get("consistency")
    if not figures:
        return ()
    before, after = figures["before"], figures["after"]
    error = f"RMS error {after['rms_percent_of_range']:.3f} % of the intensity range"
    lines = [f"consistency with the input: {error} ({after['rms']:.3g}; max {after['max']:.3g})"]
    if summary["parameters"]["consistency"]:
        lines[0] += f"; before correction {before['rms_percent_of_range']:.3f} %"
    if noise := figures.get("noise"):
        share = noise["rms_percent_of_range"]
        lines.append(
            f"the noise of the scan: about {share:.3f} % of the intensity range ({noise['rms']:.3g}){_short(figures)}"
        )
    if clipped := summary.get("clipped_voxels"):
        lines.append(f"{clipped} voxels were clipped to what {summary['output']['dtype']} can hold")
    if spread := summary.get("uncertainty"):
        lines.append(f"spread over planes and flips: {spread['mean']:.3g} on average, 99 % below {spread['p99']:.3g}")
    return tuple(lines)


def _short(figures: dict[str, Any]) -> str:
    """Why the result does not agree with the scan exactly, where noise is the reason."""
    eased, exact = figures["noise_gain"], figures["exact_noise_gain"]
    if exact <= eased * 1.001:
        return ""
    return f"; an exact agreement would make the noise {exact:.3g} times as strong, not {eased:.3g} times"


class _Progress:
    """A bar for each thing that is done: adapting, then slices."""

    def __init__(self, name: str) -> None:
        self.name, self.total = name, -1.0
        self.shown: AbstractContextManager[Update] | None = None
        self.update: Update

    def __enter__(self) -> OnProgress:
        return self._update

    def _update(self, done: float, total: float, text: str) -> None:
        if total != self.total:
            self.__exit__()
            self.shown, self.total = progress(self.name, total), total
            self.update = self.shown.__enter__()
        self.update(done, text)

    def __exit__(self, *_: object) -> None:
        if self.shown is not None:
            self.shown.__exit__(None, None, None)
            self.shown = None


def _text(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape))} at {' x '.join(f'{step:.4g}' for step in grid.spacing)} mm"
