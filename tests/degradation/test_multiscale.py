from __future__ import annotations

import numpy as np

from medsr.core.intensity import Window
from medsr.degradation.multiscale import reduce, sizes
from medsr.io.images.base import Image


def test_p1_makes_five_times_as_many_images() -> None:
    every = sizes((3000, 2500), (0.75, 0.5, 1 / 3), 400)
    assert every == [(3000, 2500), (2250, 1875), (1500, 1250), (1000, 833), (480, 400)]


def test_nothing_is_enlarged_and_nothing_below_the_crop_is_kept() -> None:
    assert sizes((300, 500), (0.75, 0.5), 400) == [(300, 500), (225, 375), (150, 250)]
    assert sizes((300, 500), (0.75, 0.5), 400, smallest=200) == [(300, 500), (225, 375)]


def test_reductions_keep_dtype_and_mean_and_clip_only_at_the_stored_range() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (60, 80, 1)).astype(np.uint16)
    image = Image(pixels, Window.of_bits(12), "")
    assert reduce(image, (60, 80)) is image
    small = reduce(image, (30, 40))
    assert small.pixels.shape == (30, 40, 1)
    assert small.pixels.dtype == np.uint16
    assert abs(float(small.pixels.mean()) - pixels.mean()) < 10
    assert small.pixels.max() <= 4095
