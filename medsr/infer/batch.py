"""`medsr upscale`: many images through one model, each done or reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr import overlap
from medsr.engines.base import Compute
from medsr.errors import UsageError
from medsr.infer import sidecar
from medsr.infer.choice import AUTO
from medsr.infer.image import target_size
from medsr.infer.used import Models, Used
from medsr.io import background
from medsr.io import image as image_io
from medsr.outcome import Outcome
from medsr.progress import Update, progress
from medsr.status import Status


def upscale(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    model: str | Path = AUTO,
    outscale: float | None = None,
    tile: int | None = None,
    device: str = "auto",
    bits: int | None = None,
    engine: str = "auto",
    precision: str = "fp32",
    max_gpu_memory: float | None = None,
    compiled: bool = False,
    skip_done: bool = False,
    consistency: bool = True,
    assumed_bits: Mapping[str, int] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Super-resolve images (files, folders, globs) into the folder `out`, each in its own format and depth.

    `model`: `auto` chooses for every image the bundled one that was made for such images, and says which and why; a
    name, a weight file or a baseline otherwise. `outscale`: final factor (default: the model's own, else 2). `bits`:
    bits stored in 16-bit files that do not say. `engine`: auto, torch or openvino; `precision`: fp32, fp16 or bf16 (on
    a GPU), int8 (a model calibrated by `medsr export`). `max_gpu_memory`: GB. `compiled`: by torch.compile.
    `assumed_bits`: of 16-bit files that do not say, by series; None: `io.image.decide_depth` decides once for all.
    `consistency`: a network's result keeps the input's local means. A bad input becomes an outcome with its error; the
    others are still done.
    `out`/status.tsv says what became of each; with `skip_done` what it calls done, and is still as it was, is not done
    again. Raises UsageError or WeightsError when nothing can be begun.
    """
    check_outscale(outscale)
    if not str(out):
        raise UsageError("--out: expected a folder, got nothing")
    jobs = plan([inputs] if isinstance(inputs, str | Path) else inputs, Path(out))
    if assumed_bits is None:
        assumed_bits = {} if bits else image_io.decide_depth(source for source, _ in jobs)
    compute = Compute(device, engine, precision, max_gpu_memory, compiled)
    models = Models(str(model), compute, tile, outscale, bits, consistency, assumed_bits=assumed_bits)
    results: dict[str, Any] = {}
    with Status(Path(out), models.known) as status, progress("upscale", len(jobs)) as update:
        how = How(models, status if skip_done else None, update)
        todo = [Job(source, target, n, how) for n, (source, target) in enumerate(jobs)]
        made = {job.target: job for job in todo}

        def record(outcome: Outcome) -> None:
            status.record(outcome)
            if (used := made[outcome.output].used) and outcome.error is None:
                results.update(sidecar.entry(Path(out), outcome, used))

        try:
            outcomes = overlap.run(todo, on_outcome, record)
        finally:
            sidecar.write(Path(out), results)
        update(len(jobs))
    return outcomes


def check_outscale(outscale: float | None) -> None:
    """Raise UsageError for a factor that makes no sense."""
    if outscale is not None and not 0 < outscale <= 16:
        raise UsageError(f"--outscale {outscale:g}: expected a factor above 0, at most 16")


@dataclass(frozen=True)
class How:
    """What all images of a batch share. `done`: who knows which need not be made again, None: all are made."""

    models: Models
    done: Status | None
    update: Update


@dataclass
class Job:
    """One image, the `index`th of its batch."""

    source: Path
    target: Path
    index: int
    how: How
    image: image_io.Image | None = None
    result: NDArray[np.float32] | None = None
    used: Used | None = None
    chosen: str = ""

    def read(self) -> bool:
        if self.how.done and self.how.done.is_done(self.source, self.target):
            return False
        self.image = image_io.read(self.source, self.how.models.bits, self.how.models.assumed_bits)
        return True

    def compute(self) -> None:
        assert self.image is not None
        self.used, self.chosen = self.how.models.of(self.image)
        image_io.check_result(self.target, self.image, target_size(self.image.pixels, self.used.scale))
        self.result = self.used.model(background.filled(self.image), self.used.scale, self._on_tile)

    def _on_tile(self, done: int, total: int) -> None:
        self.how.update(self.index + done / total, self.source.name)

    def write(self) -> tuple[str, ...]:
        assert self.image is not None
        assert self.result is not None
        image, result = self.image, self.result
        self.image = self.result = None
        image_io.write(self.target, image_io.enlarge(image, result))
        return tuple(note for note in (self.chosen, image.note) if note)

    def forget(self) -> None:
        self.image = self.result = None


def plan(inputs: Sequence[str | Path], out: Path) -> list[tuple[Path, Path]]:
    """Input and output of every image. Files below a folder keep their place below it.

    Raises UsageError before anything is written when two outputs would be one file, or an input would be overwritten.
    """
    jobs: dict[Path, Path] = {}
    for entry in inputs:
        for source in image_io.expand([entry]):
            if Path(entry).is_dir() and _within(source, out):
                continue  # a result of an earlier run
            below = source.relative_to(entry) if Path(entry).is_dir() else Path(source.name)
            target = out / below
            target = target.with_name(target.name + _added_suffix(source))
            if _real(target) == _real(source):
                raise UsageError(f"{source}: --out {out} would overwrite the input; choose another folder")
            other = jobs.setdefault(target, source)
            if _real(other) != _real(source):
                raise UsageError(f"{source} and {other} would both be written to {target}; run them separately")
    return [(source, target) for target, source in jobs.items()]


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _within(path: Path, folder: Path) -> bool:
    return Path(_real(path)).is_relative_to(_real(folder))


def _added_suffix(source: Path) -> str:
    """Nothing where the name says the format of the content; else that format's suffix, after the whole name."""
    kind = image_io.sniff(source)
    suffix = {image_io.JPEG: ".jpg", image_io.TIFF: ".tif", image_io.DICOM: ".dcm"}.get(kind or "", ".png")
    named = source.suffix.lower()
    said = image_io.SUFFIXES.get(named) if named in image_io.WRITABLE else None
    return "" if said is not None and kind in (said, None) else suffix
