"""`medsr upscale`: many images through one model, each done or reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.batch import pipeline
from medsr.batch.outcome import Outcome
from medsr.batch.progress import Update, progress
from medsr.batch.status import Status
from medsr.commands.upscale import sidecar
from medsr.commands.upscale.models import Models, Used
from medsr.commands.upscale.plans import plan
from medsr.core.errors import UsageError
from medsr.engines.base import Compute
from medsr.images.network import target_size
from medsr.io.files import read_unchanged, sha256
from medsr.io.images import background
from medsr.io.images import image as image_io
from medsr.io.images.frames import FRAMES, Frames, Stack, canonical
from medsr.networks.bundled import AUTO


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
    frames: str | None = None,
    keep_metadata: bool = False,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Super-resolve images (files, folders, globs) into the folder `out`, each in its own format and depth.

    `model`: `auto` chooses for every image the bundled one that was made for such images, and says which and why; a
    name, a weight file or a baseline otherwise. `outscale`: final factor (default: the model's own, else 2). `bits`:
    bits stored in 16-bit files that do not say. `engine`: auto, torch or openvino; `precision`: fp32, fp16 or bf16 (on
    a GPU), int8 (a model calibrated by `medsr export`). `max_gpu_memory`: GB. `compiled`: by torch.compile.
    `assumed_bits`: of 16-bit files that do not say, by series; None: `io.image.decide_depth` decides once for all.
    `frames`: of DICOM files that hold several: all, or numbers from 1 and ranges (1-5 or 1,3); the result holds those.
    None: such files fail. `consistency`: a network's result keeps the input's local means. A bad input becomes an
    outcome with its error; the others are still done. `say` is told what in the folders was left out.
    `keep_metadata`: results also get the EXIF of their inputs, which may name a person or a place.
    `out`/status.tsv says what became of each; with `skip_done` what it calls done, and is still as it was, is not done
    again. Raises UsageError or WeightsError when nothing can be begun.
    """
    check_outscale(outscale)
    frames = None if frames is None else canonical(frames)
    if not str(out):
        raise UsageError("--out: expected a folder, got nothing")
    planned = plan([inputs] if isinstance(inputs, str | Path) else inputs, Path(out))
    jobs = planned.jobs
    if assumed_bits is None:
        assumed_bits = {} if bits else image_io.decide_depth((source for source, _ in jobs), frames)
    compute = Compute(device, engine, precision, max_gpu_memory, compiled)
    asked = (str(model), compute, tile, outscale, bits, consistency)
    models = Models(*asked, assumed_bits=assumed_bits, frames=frames, keep_metadata=keep_metadata)
    for note in planned.notes:
        say(note)
    refused = [Outcome(source, source, 0.0, UsageError(reason)) for source, reason in planned.clashes]
    for outcome in refused:
        on_outcome(outcome)
    results: dict[str, Any] = {}
    with Status(Path(out), models.known) as status, progress("upscale", len(jobs)) as update:
        how = How(models, status if skip_done else None, update)
        todo = [Job(source, target, n, how) for n, (source, target) in enumerate(jobs)]
        made = {job.target: job for job in todo}
        for outcome in refused:
            status.record(outcome)

        def record(outcome: Outcome) -> None:
            status.record(outcome)
            if (used := made[outcome.output].used) and outcome.error is None:
                results.update(sidecar.entry(Path(out), outcome, used))

        try:
            outcomes = pipeline.run(todo, on_outcome, record)
        finally:
            sidecar.write(Path(out), results)
        update(len(jobs))
    return refused + outcomes


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
    """One image, the `index`th of its batch. `frames`: where it is of several, of which `image` is the first."""

    source: Path
    target: Path
    index: int
    how: How
    image: image_io.Image | None = None
    frames: Frames | None = None
    stacked: image_io.Image | None = None
    result: NDArray[np.float32] | None = None
    used: Used | None = None
    chosen: str = ""
    digest: str = ""
    written: str = ""

    def read(self) -> bool:
        if self.how.done and self.how.done.is_done(self.source, self.target):
            return False
        models = self.how.models
        read = partial(image_io.read_frames, self.source, models.frames, models.bits, models.assumed_bits)
        content, self.digest = read_unchanged(self.source, sha256, read)
        self.frames = content if isinstance(content, Frames) else None
        self.image = next(iter(content)) if isinstance(content, Frames) else content
        return True

    def compute(self) -> None:
        assert self.image is not None
        self.used, self.chosen = self.how.models.of(self.image)
        size = target_size(self.image.pixels, self.used.scale)
        image_io.check_result(self.target, self.image, size, len(self.frames) if self.frames else 1)
        if self.frames is not None:
            self.stacked = self._stack(self.frames, self.used)
            return
        self.result = self.used.model(background.filled(self.image), self.used.scale, self._on_tile)

    def _on_tile(self, done: int, total: int) -> None:
        self.how.update(self.index + done / total, self.source.name)

    def _stack(self, frames: Frames, used: Used) -> image_io.Image:
        """Each frame by the model of the first, one after the other; only stored results are kept."""
        pixels = None
        for n, image in enumerate(frames):
            last = image_io.enlarge(image, used.model(background.filled(image), used.scale))
            if pixels is None:
                pixels = np.empty((len(frames), *last.pixels.shape), last.pixels.dtype)
            pixels[n] = last.pixels
            self._on_tile(n + 1, len(frames))
        assert pixels is not None
        return replace(last, extra=dict(last.extra) | {FRAMES: Stack(frames.numbers, pixels)})

    def write(self) -> tuple[str, ...]:
        assert self.image is not None
        assert self.result is not None or self.stacked is not None
        image, result, stacked = self.image, self.result, self.stacked
        self.forget()
        enlarged = image_io.enlarge(image, result) if result is not None else stacked
        assert enlarged is not None
        self.written = image_io.write(self.target, enlarged, self.how.models.keep_metadata)
        return tuple(note for note in (self.chosen, image.note) if note)

    def forget(self) -> None:
        self.image = self.result = self.frames = self.stacked = None
