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
from medsr.batch.pipeline import Written
from medsr.batch.progress import Update, progress
from medsr.batch.status import Status
from medsr.commands import archive
from medsr.commands.upscale import sidecar
from medsr.commands.upscale.models import Models, OpenedModel
from medsr.commands.upscale.plans import plan
from medsr.commands.upscale.upsampling import fixed_strength, pixels_in_memory, upsample
from medsr.core.errors import UsageError
from medsr.engines.base import Compute
from medsr.images.network import target_size
from medsr.io.files import read_unchanged, sha256
from medsr.io.images import background
from medsr.io.images import image as image_io
from medsr.io.images.frames import FRAMES, Frames, Stack, canonical
from medsr.io.images.image import Image
from medsr.networks.bundled import AUTO


def upscale(
    inputs: str | Path | Sequence[str | Path] | None = None,
    out: str | Path | None = None,
    *,
    model: str | Path = AUTO,
    outscale: float | None = None,
    tile: int | None = None,
    device: str = "auto",
    bits: int | None = None,
    engine: str = "auto",
    precision: str = "auto",
    max_gpu_memory: float | None = None,
    compiled: bool = False,
    skip_done: bool = False,
    consistency: bool = True,
    strength: float | None = None,
    assumed_bits: Mapping[str, int] | None = None,
    frames: str | None = None,
    keep_metadata: bool = False,
    from_archive: str | None = None,
    study: str | None = None,
    series: str | Sequence[str] | None = None,
    to_archive: str | None = None,
    ca: str | Path | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Super-resolve images, each in its own format and bit depth.

    One bad input never stops the others: its outcome holds the error. `out`/status.tsv says what became of each.

    Args:
        inputs: Image files, folders or globs; one or several. PNG, JPEG, TIFF, BMP, GIF, WebP, PGM and DICOM. None:
            `from_archive` says where they are.
        out: The folder for the results. It is made where it is missing. Leave it out where nothing shall stay here but
            what goes `to_archive`.
        model: `auto` picks the bundled model made for such images, and says which. Else a name from
            `medsr weights list`, a weight file, an exported model, or `bicubic` or `lanczos`.
        outscale: The final factor, above 0. None: the model's own; 2 for interpolation.
        tile: Side of a tile in pixels of the input, 0 for the image as a whole. None: what fits the memory.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or `gpu` and `gpu:1` for Intel's through OpenVINO.
        bits: Bits stored in 16-bit files that do not say, 8 to 16. None: decided once for all files, and said.
        engine: `auto`, `torch` or `openvino`.
        precision: `auto` takes `bf16` or `int8` on a CPU where the model was measured to lose next to nothing and the
            CPU to be faster, else `fp32`; the sidecar says which. `bf16` on a GPU, or a CPU that computes in it.
            `int8` for a bundled model that comes with it, or one that `medsr.export` calibrated. `fp16` on a GPU.
        max_gpu_memory: GB of the GPU's memory that may be used. None: what is free.
        compiled: Whether torch.compile is used.
        skip_done: Leave out what status.tsv calls done, as long as input, settings and result are the same.
        consistency: Whether a network's result keeps the local means of its input.
        strength: The share of a network's change that a result takes, 0 (interpolation) to 1. None: by how sharp the
            image is, for models of which that is known; 1 for others.
        assumed_bits: Bits by series, for files that do not say; found by `medsr.io.images.image.decide_depth`.
        frames: Of files with several: `all`, or numbers from 1 and ranges (`1-5`, `1,3`). None: such files fail.
        keep_metadata: Whether results get the EXIF of their inputs, which may name a person or a place.
        from_archive: Address of an archive (DICOMweb) that has the images: https, without a password.
        study: With `from_archive`: the StudyInstanceUID.
        series: With `from_archive`: which series of the study, where it has several: a number of the list, a part of
            the description, or a UID or its end. One or several.
        to_archive: Address of an archive that gets each result, which must be DICOM.
        ca: With an archive: a PEM file with the certificates of the authority that is trusted.
        on_outcome: Called with each outcome as soon as it is there.
        notify: Called with each line that a user should read.

    Returns:
        One outcome for each input: `input`, `output`, `seconds`, `error`, `notes`.

    Raises:
        UsageError: An argument is wrong, and nothing was done.
        WeightsError: The model cannot be opened, and nothing was done.
        ArchiveError: An archive does not give the images.
        ChoiceError: A study has several series; the message lists them.

    Examples:
        >>> import medsr
        >>> [outcome] = medsr.upscale("eye.png", "finer", model="bicubic", outscale=2)
        >>> outcome.output.name, outcome.error
        ('eye.png', None)
    """
    arguments = dict(locals())
    if any(arguments[name] is not None for name in archive.PARAMETERS):
        return archive.through_archive(upscale, arguments, "inputs")
    if series is not None:
        raise UsageError("`series` goes with `from_archive`")
    if inputs is None:
        raise UsageError("name an image, or an archive with `from_archive` and `study`")
    check_outscale(outscale)
    frames = None if frames is None else canonical(frames)
    if out is None or not str(out):
        raise UsageError("`out`: expected a folder, got nothing")
    planned = plan([inputs] if isinstance(inputs, str | Path) else inputs, Path(out))
    pairs = planned.jobs
    if assumed_bits is None:
        assumed_bits = {} if bits else image_io.decide_depth((source for source, _ in pairs), frames)
    compute = Compute(device, engine, precision, max_gpu_memory, compiled)
    models = Models(
        str(model),
        compute,
        tile,
        outscale,
        bits,
        consistency,
        assumed_bits=assumed_bits,
        frames=frames,
        keep_metadata=keep_metadata,
        strength=strength,
    )
    for note in planned.notes:
        notify(note)
    refused = [Outcome(source, source, 0.0, UsageError(reason)) for source, reason in planned.clashes]
    for outcome in refused:
        on_outcome(outcome)
    results: dict[str, Any] = {}
    with Status(Path(out), models.settings) as status, progress("upscale", len(pairs)) as update:
        context = ImageContext(models, status if skip_done else None, update)
        image_jobs = [ImageJob(source, target, n, context) for n, (source, target) in enumerate(pairs)]
        for outcome in refused:
            status.record(outcome)

        def record(outcome: Outcome, written: Written | None) -> None:
            status.record(outcome)
            if written is not None:
                results.update(sidecar.entry(Path(out), outcome, written.details))

        try:
            outcomes = pipeline.run(image_jobs, on_outcome, record)
        finally:
            sidecar.write(Path(out), results)
        update(len(pairs))
    return refused + outcomes


def check_outscale(outscale: float | None) -> None:
    """Raise UsageError for a factor that makes no sense."""
    if outscale is not None and not 0 < outscale <= 16:
        raise UsageError(f"`outscale={outscale:g}`: expected a factor above 0, at most 16")


@dataclass(frozen=True)
class ImageContext:
    """What all images of a batch share. `done`: who knows which need not be made again, None: all are made."""

    models: Models
    done: Status | None
    update: Update


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image, and the digest of its file. `frames`: where the file holds several, of which `image` is the first."""

    image: Image
    frames: Frames | None
    digest: str


@dataclass(frozen=True, eq=False)
class UpscaledImage:
    """What was computed of an image. `pixels`: in [0, 1]; or, of several frames or a large image, as it is stored."""

    source: Image
    pixels: NDArray[np.float32] | Image
    opened: OpenedModel
    choice: str


@dataclass(frozen=True)
class ImageJob:
    """One image, the `index`th of its batch (a `BatchJob`)."""

    source: Path
    target: Path
    index: int
    context: ImageContext

    def read(self) -> LoadedImage | None:
        """The image, unless it need not be made again."""
        done = self.context.done
        return None if done is not None and done.is_done(self.source, self.target) else self.load()

    def load(self) -> LoadedImage:
        """The image. Raises InputError."""
        models = self.context.models
        read = partial(image_io.read_frames, self.source, models.frames, models.bits, models.assumed_bits)
        content, digest = read_unchanged(self.source, sha256, read)
        if isinstance(content, Frames):
            return LoadedImage(next(iter(content)), content, digest)
        return LoadedImage(content, None, digest)

    def compute(self, loaded: LoadedImage) -> UpscaledImage:
        """The image by the model that fits it."""
        image, frames = loaded.image, loaded.frames
        opened, choice = self.context.models.of(image)
        size, floats = target_size(image.pixels, opened.scale), pixels_in_memory(image, opened)
        image_io.check_result(self.target, image, size, len(frames) if frames else 1, floats)
        pixels = upsample(image, opened, self._on_tile) if frames is None else self._upscale_frames(frames, opened)
        return UpscaledImage(image, pixels, opened.after_use(), choice)

    def _on_tile(self, done: int, total: int) -> None:
        self.context.update(self.index + done / total, self.source.name)

    def _upscale_frames(self, frames: Frames, opened: OpenedModel) -> Image:
        """Each frame by the model and the strength of the first; only stored results are kept."""
        pixels = None
        first = background.filled(next(iter(frames)))
        with fixed_strength(opened, lambda rows: first[rows], first.shape):
            for n, image in enumerate(frames):
                result = upsample(image, opened)
                last = result if isinstance(result, Image) else image_io.upsampled(image, result)
                if pixels is None:
                    pixels = np.empty((len(frames), *last.pixels.shape), last.pixels.dtype)
                pixels[n] = last.pixels
                self._on_tile(n + 1, len(frames))
        assert pixels is not None  # a file has at least one frame
        return replace(last, extra=dict(last.extra) | {FRAMES: Stack(frames.numbers, pixels)})

    def write(self, result: UpscaledImage) -> Written:
        """The file; its entry in the sidecar is the batch's."""
        pixels = result.pixels
        upsampled = pixels if isinstance(pixels, Image) else image_io.upsampled(result.source, pixels)
        written = image_io.write(self.target, upsampled, self.context.models.keep_metadata)
        notes = (result.choice, self.context.models.note_on_strength(result.opened), result.source.note)
        return Written(tuple(filter(None, notes)), written, result.opened)
