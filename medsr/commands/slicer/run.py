"""One volume from 3D Slicer refined as `medsr volume` does it; only the volumes asked for are written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medsr.batch import pipeline
from medsr.batch.outcome import Outcome
from medsr.batch.pipeline import Written
from medsr.commands.volume.arguments import build_request, open_for
from medsr.commands.volume.files import Target, files_read
from medsr.commands.volume.job import LoadedScan, OutputOptions, ScanContext, ScanJob, ScanResult
from medsr.commands.volume.terminal import summary_lines
from medsr.core.errors import UsageError
from medsr.core.types import Notify, OnProgress
from medsr.engines.base import Compute
from medsr.io import places
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.formats import WRITABLE
from medsr.io.volumes.volume_files import files_written, split_suffix
from medsr.networks.bundled import AUTO
from medsr.volumes.request import Request


@dataclass(frozen=True)
class Wish:
    """What the form asks for. `factor` and `thickness` are 0 where medsr decides."""

    factor: float = 0.0
    model: str = AUTO
    fuse: str = "mean"
    thickness: float = 0.0
    kind: str = "auto"
    device: str = "auto"

    def request(self, uncertainty: bool) -> Request:
        """As `medsr volume` takes it. Raises UsageError."""
        return build_request(
            model=self.model,
            isotropic=False,
            scale=self.factor or None,
            spacing=None,
            planes="auto",
            fuse=self.fuse,
            consistency=True,
            profile="box",
            thickness=self.thickness or None,
            uncertainty=uncertainty,
            adapt=None,
            kind=self.kind,
            also=(),
            series=None,
            dicom=False,
            report=False,
            affine=None,
            input_spacing=None,
            compute=Compute(self.device, precision="auto"),
        )[0]


@dataclass(frozen=True)
class Refined:
    """What is said of a result: the model, its agreement with the scan, and what to be warned of."""

    model: str
    agreement: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _SlicerJob(ScanJob):
    """A scan of which nothing is written but the volumes: what Slicer does not know of, nobody would remove.

    `spread`: where the uncertainty goes.
    """

    spread: Path | None

    def load(self) -> LoadedScan:
        loaded = super().load()
        if self.spread is not None:
            volume_io.check_writable(self.spread, replace(loaded.scan, stored=np.empty(0, np.float32)))
        return loaded

    def compute(self, loaded: LoadedScan) -> ScanResult:
        result = super().compute(loaded)
        if self.spread is not None and result.refined.uncertainty is None:
            reasons = "; ".join(result.refined.warnings) or "interpolation gives the same in every plane"
            raise UsageError(f"{self.source}: has no `uncertainty` ({reasons}); leave it out")
        return result

    def write(self, result: ScanResult) -> Written:
        refined = result.refined
        sha256 = volume_io.write(self.paths.volume, refined.volume)
        if self.spread is not None and refined.uncertainty is not None:
            volume_io.write(self.spread, refined.uncertainty)
        lines = summary_lines(refined.summary)
        said = Refined(refined.summary["model"]["name"], next(iter(lines), ""), tuple(refined.warnings))
        return Written(lines, sha256, said)


def refine(
    scan: Path, out: Path, wish: Wish, uncertainty: Path | None, on_progress: OnProgress, notify: Notify
) -> Refined:
    """Refine the volume in the file `scan` into the file `out`.

    Args:
        scan: A volume in any format that `medsr volume` reads.
        out: A file in a format that it writes.
        wish: What the form asks for.
        uncertainty: The file for the spread over planes and flips, or None.
        on_progress: Called with how far it is.
        notify: Called with each line that a user should read.

    Returns:
        What is to be said of the result.

    Raises:
        MedsrError: As `medsr volume` would; then neither file was written.
    """
    request = wish.request(uncertainty is not None)
    _check_places(scan, out, uncertainty)
    context = ScanContext(request, OutputOptions(), open_for(request), notify, None, on_progress)
    results: list[Written] = []

    def record(_: Outcome, written: Written | None) -> None:
        results.extend([] if written is None else [written])

    outcome = pipeline.run([_SlicerJob(Target(scan, out), context, uncertainty)], record=record)[0]
    if outcome.error is not None:
        raise outcome.error
    for note in outcome.notes:
        notify(note)
    said: Refined = results[0].details
    return said


def _check_places(scan: Path, out: Path, uncertainty: Path | None) -> None:
    """Raise UsageError where a result is not a file that medsr writes, or lies in the place of another."""
    outputs = [path for path in (out, uncertainty) if path is not None]
    for path in outputs:
        if path.is_dir() or split_suffix(path)[1].lower() not in WRITABLE:
            raise UsageError(f"{path}: expected the name of a file that ends in one of {', '.join(WRITABLE)}")
    if len({places.target_identity(path) for path in outputs}) < len(outputs):
        raise UsageError(f"{out}: the output volume and `uncertainty` are the same file")
    writes = [file for path in outputs for file in files_written(path)]
    for reason in places.check([places.Writing(scan, files_read(scan), writes)]).values():
        raise UsageError(reason)
