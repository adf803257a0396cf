"""One scan, from its file to everything that is written beside its result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medsr.batch.pipeline import Written
from medsr.batch.status import Status
from medsr.commands.upscale.sidecar import relative
from medsr.commands.volume import companions, preview, report
from medsr.commands.volume.files import Target
from medsr.commands.volume.pictures import Pictures
from medsr.commands.volume.reading import read_scan
from medsr.commands.volume.terminal import TaskProgress, describe_grid, summary_lines
from medsr.core.types import Notify, OnProgress
from medsr.io.dicomweb.origins import origin_of
from medsr.io.files import write_text
from medsr.io.local_record import named_from
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.io.volumes.dicom.grids import parse_series
from medsr.io.volumes.dicom.series_words import is_uid
from medsr.volumes.choose_model import choose_model
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.refine_scan import RefinedScan, refine_scan
from medsr.volumes.request import Request


@dataclass(frozen=True)
class OutputOptions:
    """What else to read and write: companions, a DICOM series, a report."""

    also: tuple[Path, ...] = ()
    series: str | None = None
    dicom: bool = False
    report: bool = False

    def of_series(self, series: Iterable[str | None]) -> OutputOptions:
        """With the UIDs of the series that were read in place of what the user wrote, which may be a description."""
        uids = sorted({uid for uid in series if uid is not None})
        return self if self.series is None or not uids else replace(self, series=", ".join(uids))


@dataclass(frozen=True)
class ScanContext:
    """What all scans of a batch share.

    `done`: who knows which need not be made again, None: all are made. `on_progress`: who hears of progress instead of
    the terminal.
    """

    request: Request
    options: OutputOptions
    engine: LoadedSliceModel
    notify: Notify
    done: Status | None = None
    on_progress: OnProgress | None = None


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """A scan, the files that go with it, and the digest of its own."""

    scan: Volume
    companions: list[tuple[Path, Volume]]
    digest: str


@dataclass(frozen=True, eq=False)
class ScanResult:
    """What was computed of a scan: `refined`, and the `companions` on its grid."""

    loaded: LoadedScan
    refined: RefinedScan
    companions: list[tuple[Path, Volume]]


@dataclass(frozen=True)
class ScanJob:
    """One scan of a batch (a `BatchJob`). Only `compute` tells the user anything, so that lines keep together."""

    paths: Target
    context: ScanContext

    @property
    def source(self) -> Path:
        return self.paths.scan

    @property
    def target(self) -> Path:
        return self.paths.volume

    def read(self) -> LoadedScan | None:
        """The scan, unless it need not be made again."""
        done = self.context.done
        return None if done is not None and done.is_done(self.source, self.target) else self.load()

    def load(self) -> LoadedScan:
        """The scan. Raises InputError, also for what could not be written in the end."""
        options = self.context.options
        scan, digest = read_scan(self.source, self.paths.series or options.series, self.context.request.choice)
        beside = [(path, volume_io.read(path, None, self.context.request.choice)) for path in options.also]
        companions.check(self.paths, scan, beside)
        if options.dicom:
            from medsr.io.volumes.dicom.write import check

            check(self.target, scan)
        else:
            volume_io.check_writable(self.target, scan)
        return LoadedScan(scan, beside, digest)

    def compute(self, loaded: LoadedScan) -> ScanResult:
        """The finer scan, and the companions on its grid."""
        scan, notify, request = loaded.scan, self.context.notify, self.context.request
        fine = request.target(scan.grid)
        notify(f"{self.source.name}: {describe_grid(scan.grid)} to {describe_grid(scan.grid.on(fine))}")
        for note in scan.notes:
            notify(f"{self.source.name}: note: {note}")
        chosen = choose_model(request, self.context.engine, scan)
        if chosen.why and chosen.fits:
            notify(f"{self.source.name}: {chosen.why}")
        with TaskProgress(self.source.name) as shown:
            progress = self.context.on_progress or shown
            refined = refine_scan(scan, chosen, progress, lambda line: notify(f"{self.source.name}: {line}"))
        for warning in refined.warnings:
            notify(f"{self.source.name}: warning: {warning}")
        resampled = []
        for path, companion in loaded.companions:
            on_grid, how = companions.resampled_to(companion, scan, refined.volume.grid)
            resampled.append((path, on_grid))
            for note in companion.notes:
                notify(f"{path.name}: note: {note}")
            notify(f"{path.name}: {how}, {self.paths.companion(path)}")
        return ScanResult(loaded, refined, resampled)

    def write(self, result: ScanResult) -> Written:
        """Everything that lies beside the result, its sidecar last."""
        paths, options, keep = self.paths, self.context.options, self.context.request.keep_metadata
        refined, model = result.refined, result.refined.summary["model"]["name"]
        sha256 = ""
        if options.dicom:
            from medsr.io.volumes.dicom.write import write_series

            write_series(paths.volume, refined.volume, f"Super-resolved through its planes ({model})")
        else:
            sha256 = volume_io.write(paths.volume, refined.volume, keep)
        if refined.uncertainty is not None:
            volume_io.write(paths.beside(f"_uncertainty{paths.suffix}"), refined.uncertainty, keep)
        for path, companion in result.companions:
            volume_io.write(paths.companion(path), companion, keep)
        spread = refined.uncertainty.stored if refined.uncertainty is not None else None
        pictures = Pictures(result.loaded.scan, refined.volume, spread, refined.inconsistency, model == "nearest")
        preview.write(paths.beside("_preview.png"), pictures, model)
        summary = self._summary(refined.summary, result.loaded.digest)
        if options.report:
            report.write(paths.beside("_report.html"), pictures, summary)
        write_text(paths.beside(".json"), json.dumps(summary, indent=2) + "\n")
        return Written(summary_lines(summary), sha256)

    def _summary(self, summary: dict[str, Any], digest: str) -> dict[str, Any]:
        """The sidecar's content: how the scan was refined, and of which files."""
        parameters, folder = summary["parameters"], self.paths.volume.parent
        origin = origin_of(self.paths.scan)
        fuse = relative(parameters["fuse"], folder, parameters.get("fusion_sha256"))
        return summary | {
            "parameters": parameters | {"fuse": fuse},
            "input_sha256": digest,
            "input_file": named_from(folder, self.paths.scan, digest),
            "output_file": self.paths.volume.name,
            "series": durable(self.paths.series or self.context.options.series),
            "also": [named_from(folder, path, None) for path in self.context.options.also],
            **({"archive": origin.as_dict()} if origin else {}),
        }


def durable(series: str | None) -> str | None:
    """`UID`, `UID:N` or `:N` as a sidecar has it. What is not a UID may be any text, a name too: it is left out."""
    uid, number = parse_series(series)
    kept = uid if uid and is_uid(uid) else ""
    return f"{kept}:{number}" if number else kept or None
