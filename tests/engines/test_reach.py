"""How far networks see, and that tiles and background rely on it without changing a pixel that can be told."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.core.types import Array
from medsr.engines.base import Compute
from medsr.engines.reach import FURTHEST, MARGIN, STEP, UNFELT, measure_reach
from medsr.images import tiles
from medsr.images.network import Network
from medsr.networks import weight_store
from medsr.volumes.models import open_model, open_slice_model

BUNDLED = [name for name, entry in weight_store.entries().items() if entry.onnx_sha256]


class Mean:
    """A network that takes the mean of a square around every pixel, `radius` pixels to each side."""

    name, device, precision, features = "mean", "cpu", "fp32", 1

    def __init__(self, radius: int) -> None:
        self.radius = radius

    def __call__(self, batch: Array) -> Array:
        from scipy.ndimage import uniform_filter

        return uniform_filter(batch, (0, 0, 2 * self.radius + 1, 2 * self.radius + 1), mode="constant")


@pytest.mark.parametrize("radius", [0, 3, 12, 30])
def test_the_reach_is_how_far_a_network_sees(radius: int) -> None:
    reach = measure_reach(Mean(radius), 1, 0, 1)
    assert reach is not None
    assert radius + MARGIN <= reach < radius + MARGIN + STEP


def test_a_network_that_sees_further_than_is_measured_has_no_reach() -> None:
    assert measure_reach(Mean(FURTHEST), 1, 0, 1) is None


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_sees_as_far_as_the_manifest_says(name: str) -> None:
    from medsr.engines.selection import open_engine
    from medsr.networks.architectures import condition_maps

    entry = weight_store.get(name)
    engine, spec = open_engine(entry.path, name, Compute("cpu"))
    reach = measure_reach(engine, spec.channels, condition_maps(spec.architecture), spec.scale)
    assert entry.reach is not None
    assert reach is not None
    assert abs(reach - entry.reach) <= STEP  # a multiple of STEP: the last digits of another processor may tip it


@pytest.mark.parametrize("name", ["medsr-retina-x2", "medsr-retina-x4", "medsr-cxr-x2"])
def test_tiles_of_a_bundled_model_give_what_the_whole_image_gives(name: str, fundus: Array) -> None:
    image, scale = fundus[:, :230].astype(np.float32) / 255, weight_store.get(name).scale or 0
    whole, tiled = (open_model(name, Compute("cpu"), tile)(image, scale) for tile in (0, 80))
    np.testing.assert_allclose(tiled, whole, atol=10 * UNFELT)


def test_the_seam_of_tiles_is_as_wide_as_the_reach_asks_for() -> None:
    network = open_model("medsr-retina-x4", Compute("cpu"))
    assert isinstance(network, Network)
    assert network.reach == weight_store.get("medsr-retina-x4").reach
    assert tiles.Seam.of_reach(network.reach).halo < tiles.Seam.of_reach(None).halo


def test_a_black_background_stays_black_and_changes_nothing_in_the_picture(fundus: Array) -> None:
    """The picture lies in a frame of black; what the network makes of it is the same as without leaving any out."""
    image = np.zeros((200, 260, 3), np.float32)
    image[60:150, 90:190] = fundus[100:190, 60:160].astype(np.float32) / 255
    network = open_model("medsr-retina-x2", Compute("cpu"))
    assert isinstance(network, Network)
    seen: list[int] = []
    engine = network.engine

    class Counting:
        name, device, precision, features = engine.name, engine.device, engine.precision, engine.features

        def __call__(self, batch: Array) -> Array:
            seen.append(batch.shape[2] * batch.shape[3])
            return engine(batch)

    network.engine = Counting()
    result = network(image, 2)
    network.reach = None  # nothing is left out
    whole = network(image, 2)
    assert seen[0] < 0.6 * seen[1]
    np.testing.assert_allclose(result[120:300, 180:380], whole[120:300, 180:380], atol=1e-3)
    reach = 2 * (weight_store.get("medsr-retina-x2").reach or 0)
    for border in (result[: 120 - reach - 16], result[:, : 180 - reach - 16]):
        np.testing.assert_allclose(border, 0, atol=5e-4)  # an eighth of a level of 8 bits


def test_an_image_of_one_value_stays_that_value() -> None:
    result = open_model("medsr-retina-x2", Compute("cpu"))(np.full((70, 81, 3), 0.3, np.float32), 2)
    np.testing.assert_array_equal(result, np.full((140, 162, 3), 0.3, np.float32))


def test_slices_of_a_scan_are_cut_to_the_reach() -> None:
    model = open_slice_model("medsr-mri", Compute("cpu")).model
    assert model is not None
    assert model.receptive_radius == weight_store.get("medsr-mri").reach
