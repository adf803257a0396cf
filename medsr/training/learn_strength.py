"""`medsr weights strength`: fit how much of a network's change an input gets, and write it into a weight file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medsr.batch.progress import progress
from medsr.core.errors import InputError, UsageError
from medsr.core.resample import resize
from medsr.core.types import Array, Notify
from medsr.engines.base import Compute
from medsr.images.network import Network
from medsr.images.sharpness import SMALLEST
from medsr.images.strength import Strength
from medsr.io.images import image as image_io
from medsr.io.kinds import list_images
from medsr.networks import checkpoint, weight_store
from medsr.networks.learned_from import learned_from
from medsr.training.strength import StrengthSample, fit, gain, measure
from medsr.volumes.models import open_model

ZOOMS = (1.0, 0.75, 0.5)
"""By which images are made smaller first, as another camera would see them."""
SIDE, DARKEST, TRIES = 800, 0.1, 20
"""Of a crop: its side at most, its mean at least, and how often it is drawn until it is so bright."""
APART = 5
"""Every fifth image is set apart to measure on."""


@dataclass(frozen=True)
class StrengthGain:
    """dB over bicubic on crops of the images set apart: of all of the change, and of the share that was fitted."""

    crops: int
    whole: float
    worst_whole: float
    share: float
    worst_share: float

    def __str__(self) -> str:
        return (
            f"{self.share:+.2f} dB over bicubic on {self.crops} crops of the images set apart, worst "
            f"{self.worst_share:+.2f}; all of the change: {self.whole:+.2f}, worst {self.worst_whole:+.2f}"
        )


def learn(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    crops: int = 160,
    bits: int | None = None,
    device: str = "auto",
    seed: int = 0,
    notify: Notify = logging.getLogger(__name__).info,
) -> StrengthGain:
    """Fit the strength of an image network on the images in `data`, and write its weights to `out` with it.

    Args:
        model: A weight file that medsr wrote, or the name of one.
        data: A folder of images as the network is for, at least five. They may be those that it learned from.
        out: The new file, .safetensors: the same weights, which say how strong they are.
        crops: How many are drawn, 10 or more. Each gets a blur of its own, some noise or JPEG.
        bits: Of 16-bit images that do not declare how many they hold.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        seed: Of what is drawn.
        notify: Called with each image that cannot be read. Those are left out.

    Returns:
        What it gained, on every fifth image, which nothing was fitted on.

    Raises:
        UsageError: An argument is wrong, or all of the change was as good: then nothing is written.
        WeightsError: The weights cannot be opened, or are not medsr's.
        InputError: There is no such folder.
    """
    target = Path(out)
    if target.suffix != ".safetensors":
        raise UsageError(f"`out={out}`: expected a name that ends in .safetensors")
    if not target.parent.is_dir():
        raise UsageError(f"`out={out}`: there is no folder {target.parent}")
    if crops < 2 * APART:
        raise UsageError(f"`crops={crops}`: expected {2 * APART} or more")
    if not Path(data).is_dir():
        raise InputError(f"{data}: no such folder")
    path = weight_store.locate(model)
    described = checkpoint.describe(path) if path.suffix == ".safetensors" else {}
    if described.get("format") != checkpoint.FORMAT:
        raise UsageError(f"{model}: expected a weight file that medsr wrote (.safetensors)")
    network = open_model(model, Compute(device))
    assert isinstance(network, Network)  # no baseline has a weight file
    paths = list_images(Path(data))
    if len(paths) < APART:
        raise UsageError(f"{data}: {len(paths)} images; at least {APART} are needed")
    rng = np.random.default_rng(seed)
    others, apart = [n for n in range(len(paths)) if n % APART], range(0, len(paths), APART)
    source = Crops(network, ZOOMS, bits, notify)
    samples = source.samples([paths[n] for n in others], crops, rng)
    held_out = source.samples([paths[n] for n in apart], max(APART, crops // APART), rng)
    if (readable := len(paths) - len(source.unreadable)) < APART:
        raise UsageError(f"{data}: {readable} images that can be read; at least {APART} are needed")
    strength = fit(samples)
    result = _gain_of(held_out, strength)
    if not result.share > result.whole:
        raise UsageError(f"{model}: all of the change is as good as a share of it; nothing was written ({result})")
    state, _ = checkpoint.read_state(path)
    spec = checkpoint.spec_of(described["spec"], path)
    training = described.get("training", {}) | learned_from(path).metadata() | {"strength": strength.as_dict()}
    checkpoint.save(target, state, spec, training)
    return result


@dataclass(frozen=True)
class Crops:
    """Of images whose truth is known, for a network; made smaller by one of `zooms`.

    `unreadable`: images met so far that cannot be read. `notify`: called with each of them.
    """

    network: Network
    zooms: Sequence[float]
    bits: int | None = None
    notify: Notify = logging.getLogger(__name__).info
    unreadable: set[Path] = field(default_factory=set)

    def samples(self, paths: Sequence[Path], count: int, rng: np.random.Generator) -> list[StrengthSample]:
        """`count` of them, of the images in turn. Those that are too small, flat or unreadable are left out."""
        samples = []
        with progress("strength", count) as update:
            for index in range(count):
                path = paths[index % len(paths)]
                update(index, path.name)
                if path in self.unreadable:
                    continue
                try:
                    piece = self._draw(path, rng)
                except InputError as error:
                    self.notify(f"left out: {error}")
                    self.unreadable.add(path)
                    continue
                large = min(piece.shape[:2]) >= SMALLEST * self.network.scale
                if large and (sample := measure(self.network, piece, rng)) is not None:
                    samples.append(sample)
            update(count, "")
        if not samples:
            raise UsageError(f"{paths[0].parent}: every image is unreadable, too small or of one value")
        return samples

    def _draw(self, path: Path, rng: np.random.Generator) -> Array:
        """A piece of an image, not all background, that the network's factor divides."""
        pixels = image_io.read_as_shown(path, self.bits).to_unit().clip(0, 1)
        if self.network.channels == 1:
            pixels = pixels.mean(axis=2, keepdims=True)
        image = _smaller(pixels, float(rng.choice(self.zooms)))
        scale = self.network.scale
        sides = [min(SIDE, length) // scale * scale for length in image.shape[:2]]
        for _ in range(TRIES):
            corner = (rng.integers(length - side + 1) for length, side in zip(image.shape[:2], sides, strict=True))
            piece = image[tuple(slice(at, at + side) for at, side in zip(corner, sides, strict=True))]
            if piece.mean() > DARKEST:
                break
        return piece


def _smaller(pixels: Array, zoom: float) -> Array:
    if zoom == 1:
        return pixels
    height, width = (round(length * zoom) for length in pixels.shape[:2])
    return resize(pixels, (height, width), "lanczos").clip(0, 1)


def _gain_of(samples: list[StrengthSample], strength: Strength) -> StrengthGain:
    share = strength.share([sample.fine for sample in samples], [sample.finest for sample in samples])
    whole, part = gain(samples, 1.0), gain(samples, share)
    return StrengthGain(len(samples), float(whole.mean()), float(whole.min()), float(part.mean()), float(part.min()))
