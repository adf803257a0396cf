"""An image upsampled by its model: in one piece, or a large one band by band."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from medsr.commands.upscale.models import OpenedModel
from medsr.core.types import Array
from medsr.images import bands
from medsr.images.network import Network, OnTile, is_grey, target_size
from medsr.images.reflected import Rows
from medsr.images.strength import Strength
from medsr.io.images import background
from medsr.io.images import image as image_io
from medsr.io.images.image import Image


def upsample(image: Image, opened: OpenedModel, on_tile: OnTile | None = None) -> Array | Image:
    """The result in [0, 1], (scale H, scale W, C); of a large image, an image that holds it as it is stored."""
    cuts = bands.split(image.pixels.shape, opened.model, opened.scale)
    if len(cuts) == 1:
        return opened.model(background.filled(image), opened.scale, on_tile)
    filled = None if image.padding is None else background.filled(image)

    def unit(rows: slice) -> Array:
        return image.window.to_unit(image.pixels[rows]) if filled is None else filled[rows]

    def store(rows: slice, strip: Array) -> None:
        pixels[rows] = image.with_unit(strip).pixels

    size, colour = target_size(image.pixels, opened.scale), not is_grey(image.pixels)
    pixels = np.empty((*size, image.pixels.shape[2]), image.pixels.dtype)
    model = opened.model
    if isinstance(model, Network) and model.scale == opened.scale:
        model.run(unit, image.pixels.shape, store, colour, on_tile)
    else:
        with fixed_strength(opened, unit, image.pixels.shape):
            bands.run(unit, cuts, model, opened.scale, colour, store, on_tile)
    return image_io.with_pixels(image, pixels)


@contextmanager
def fixed_strength(opened: OpenedModel, unit: Rows, shape: tuple[int, ...]) -> Iterator[None]:
    """Within, the model takes the share that fits this image, whatever part or further frame it is given."""
    model = opened.model
    if not isinstance(model, Network) or model.strength is None:
        yield
        return
    strength = model.strength
    model.strength = Strength.always(strength.of(unit, shape))
    try:
        yield
    finally:
        model.strength = strength


def pixels_in_memory(image: Image, opened: OpenedModel) -> int:
    """How many are held as floats at once, at the model's own factor where it is larger."""
    [first, *_] = bands.split(image.pixels.shape, opened.model, opened.scale)
    factor = max(opened.scale, opened.model.scale or 0)
    return int((first.read_stop - first.read_start) * image.pixels.shape[1] * factor**2)
