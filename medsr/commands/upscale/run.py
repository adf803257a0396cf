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
    *,
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
    notify: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Super-resolve images, each in its own format and bit depth.

    One bad input never stops the others: its outcome holds the error. `out`/status.tsv says what became of each.

    Args:
        inputs: Image files, folders or globs; one or several. PNG, JPEG, TIFF, BMP, GIF, WebP, PGM and DICOM.
        out: The folder for the results. It is made where it is missing.
        model: `auto` picks the bundled model made for such images, and says which. Else a name from
            `medsr weights list`, a weight file, an exported model, or `bicubic` or `lanczos`.
        outscale: The final factor, above 0. None: the model's own; 2 for interpolation.
        tile: Side of a tile in pixels of the input, 0 for the image as a whole. None: what fits the memory.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        bits: Bits stored in 16-bit files that do not say, 8 to 16. None: decided once for all files, and said.
        engine: `auto`, `torch` or `openvino`.
        precision: `fp32`; `fp16` or `bf16` on a GPU; `int8` for a model that `medsr.export` calibrated.
        max_gpu_memory: GB of the GPU's memory that may be used. None: what is free.
        compiled: Whether torch.compile is used.
        skip_done: Leave out what status.tsv calls done, as long as input, settings and result are the same.
        consistency: Whether a network's result keeps the local means of its input.
        assumed_bits: Bits by series, for files that do not say; found by `medsr.io.images.image.decide_depth`.
        frames: Of files with several: `all`, or numbers from 1 and ranges (`1-5`, `1,3`). None: such files fail.
        keep_metadata: Whether results get the EXIF of their inputs, which may name a person or a place.
        on_outcome: Called with each outcome as soon as it is there.
        notify: Called with each line that a user should read.

    Returns:
        One outcome for each input: `input`, `output`, `seconds`, `error`, `notes`.

    Raises:
        UsageError: An argument is wrong, and nothing was done.
        WeightsError: The model cannot be opened, and nothing was done.

    Examples:
        >>> import medsr
        >>> [outcome] = medsr.upscale("eye.png", "finer", model="bicubic", outscale=2)
        >>> outcome.output.name, outcome.error
        ('eye.png', None)
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
        notify(note)
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
            last = image_io.upsampled(image, used.model(background.filled(image), used.scale))
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
        self.release()
        enlarged = image_io.upsampled(image, result) if result is not None else stacked
        assert enlarged is not None
        self.written = image_io.write(self.target, enlarged, self.how.models.keep_metadata)
        return tuple(note for note in (self.chosen, image.note) if note)

    def release(self) -> None:
        self.image = self.result = self.frames = self.stacked = None
