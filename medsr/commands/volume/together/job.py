"""Several scans, from their files to the one result and everything that is written beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any

from medsr.batch.pipeline import Written
from medsr.commands.upscale.sidecar import relative
from medsr.commands.volume.files import Target
from medsr.commands.volume.job import durable
from medsr.commands.volume.reading import read_scan
from medsr.commands.volume.terminal import TaskProgress, describe_grid
from medsr.commands.volume.together import preview, report
from medsr.commands.volume.together.inputs import StackInput, coverage_path
from medsr.commands.volume.together.lines import figure_lines
from medsr.commands.volume.together.pictures import StackPictures
from medsr.core.errors import InputError
from medsr.core.types import Notify
from medsr.io.dicomweb.origins import origin_of
from medsr.io.files import write_text
from medsr.io.local_record import named_from
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.volumes.choose_model import choose_model
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.request import Request
from medsr.volumes.stacks.join import join
from medsr.volumes.stacks.joined import JoinedScan
from medsr.volumes.stacks.request import JoinRequest


@dataclass(frozen=True)
class JoinContext:
    """How the scans are put together, and what is told about it."""

    request: Request
    joining: JoinRequest
    with_report: bool
    notify: Notify


@dataclass(frozen=True, eq=False)
class LoadedStacks:
    """The scans with their digests, and the volume whose grid the result gets, with its own."""

    scans: list[Volume]
    digests: list[str]
    like: Volume | None
    like_digest: str | None

    @property
    def digest(self) -> str:
        """One of all scans, in their order."""
        return sha256_of("".join(self.digests).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class JoinResult:
    """What was computed, and the scans of the pictures."""

    joined: JoinedScan
    scans: list[Volume]


@dataclass(frozen=True)
class JoinJob:
    """The one job of a command (a `BatchJob`)."""

    stacks: list[StackInput]
    paths: Target
    context: JoinContext
    engine: LoadedSliceModel

    @property
    def source(self) -> Path:
        return self.paths.scan

    @property
    def target(self) -> Path:
        return self.paths.volume

    def read(self) -> LoadedStacks:
        """All scans. Raises InputError, also for one that is there twice, and for what could not be written."""
        choice = self.context.request.choice
        scans: list[Volume] = []
        digests: list[str] = []
        for stack in self.stacks:
            scan, digest = read_scan(stack.path, stack.series, choice)
            earlier = [
                other for other, earlier_digest in zip(self.stacks, digests, strict=False) if earlier_digest == digest
            ]
            if any(other.series == stack.series for other in earlier):
                raise InputError(f"{stack.path}: is the same as {earlier[0].path}; name each scan once")
            scans.append(scan)
            digests.append(digest)
        volume_io.check_writable(self.target, scans[0])
        like = self.context.joining.like
        grid, grid_digest = (None, None) if like is None else read_scan(like, None, choice)
        return LoadedStacks(scans, digests, grid, grid_digest)

    def compute(self, loaded: LoadedStacks) -> JoinResult:
        """The scans put together."""
        notify, request = self.context.notify, self.context.request
        named = [(stack.name, scan) for stack, scan in zip(self.stacks, loaded.scans, strict=True)]
        resolved = [choose_model(request, self.engine, scan) for scan in loaded.scans]
        for name, scan in named:
            notify(f"{name}: {describe_grid(scan.grid)}")
            for note in scan.notes:
                notify(f"{name}: note: {note}")
        for why in dict.fromkeys(choice.why for choice in resolved if choice.why and choice.fits):
            notify(why)
        with TaskProgress(self.target.name) as shown:
            joined = join(named, resolved, self.context.joining, loaded.like, on_progress=shown)
        for warning in joined.warnings:
            notify(f"warning: {warning}")
        joined.summary |= self._files(loaded, joined.summary)
        return JoinResult(joined, loaded.scans)

    def write(self, result: JoinResult) -> Written:
        """Everything that lies beside the result, its sidecar last."""
        joined = result.joined
        paths, keep = self.paths, self.context.request.keep_metadata
        sha256 = volume_io.write(paths.volume, joined.volume, keep)
        if joined.uncertainty is not None:
            volume_io.write(paths.beside(f"_uncertainty{paths.suffix}"), joined.uncertainty, keep)
        if joined.coverage is not None:
            volume_io.write(coverage_path(paths), joined.coverage, keep)
        pictures = StackPictures(joined, result.scans)
        preview.write(paths.beside("_preview.png"), pictures)
        if self.context.with_report:
            report.write(paths.beside("_report.html"), pictures, joined.summary)
        write_text(paths.beside(".json"), json.dumps(joined.summary, indent=2) + "\n")
        return Written(
            (f"result: {describe_grid(joined.volume.grid)}", *figure_lines(joined.summary["stacks"])), sha256
        )

    def _files(self, loaded: LoadedStacks, summary: dict[str, Any]) -> dict[str, Any]:
        """What only files have, for the sidecar: enough to make the result again."""
        folder, parameters = self.paths.volume.parent, summary["parameters"]
        like = self.context.joining.like
        fuse = relative(parameters["fuse"], folder, parameters.get("fusion_sha256"))
        return {
            "parameters": parameters | {"fuse": fuse, "consistency": self.context.request.method.consistency},
            "input_files": [
                {"file": named_from(folder, stack.path, digest), "sha256": digest, "series": durable(stack.series)}
                | ({"archive": origin.as_dict()} if (origin := origin_of(stack.path)) else {})
                for stack, digest in zip(self.stacks, loaded.digests, strict=True)
            ],
            "like": None if like is None else _named(folder, like, loaded.like_digest),
            "output_file": self.paths.volume.name,
        }


def _named(folder: Path, path: Path, digest: str | None) -> dict[str, str | None]:
    return {"file": named_from(folder, path, digest), "sha256": digest}
