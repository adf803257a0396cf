from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.core import memory
from medsr.core.errors import ComputationError, MemoryExhaustedError
from medsr.core.resources import resource_dir
from medsr.engines.torch_engine import TorchEngine
from medsr.images.network import Interpolation, Network
from medsr.images.tile_size import fitting_tile, height_of_row
from medsr.images.tiles import Seam
from medsr.networks.architectures import ARCHITECTURES
from medsr.networks.checkpoint import Spec, load


def _network(scale: int, channels: int = 3, tile: int | None = 0) -> Network:
    torch.manual_seed(0)
    net = Spec("rrdb", scale, channels, {"features": 8, "blocks": 2, "growth": 4}).build()
    ARCHITECTURES["rrdb"].initialise(net)
    torch.nn.init.normal_(net.conv_body.weight, std=0.05)  # let the trunk speak
    return Network("test", TorchEngine(net), scale, channels, tile)


@pytest.mark.parametrize("scale", [1, 2, 4])
@settings(max_examples=8, deadline=None)
@given(height=st.integers(40, 110), width=st.integers(40, 110), tile=st.integers(32, 48))
def test_tiled_output_equals_untiled_for_any_size(scale: int, height: int, width: int, tile: int) -> None:
    image = np.random.default_rng(height + width).random((height, width, 3)).astype(np.float32)
    whole, tiled = _network(scale), _network(scale, tile=tile)
    np.testing.assert_allclose(tiled(image, scale), whole(image, scale), atol=1e-3)


@pytest.mark.slow
def test_the_bundled_model_is_the_same_in_tiles(fundus: np.ndarray) -> None:
    net, spec = load(resource_dir("pretrained") / "medsr-retina-x2.safetensors")
    image = fundus.astype(np.float32)[:231, :255] / 255
    whole = Network("x", TorchEngine(net), spec.scale, spec.channels, 0)(image, 2)
    tiled = Network("x", TorchEngine(net), spec.scale, spec.channels, 64)(image, 2)
    assert np.abs(whole - tiled).max() < 1e-3


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 4), (9, 30)])
def test_tiny_and_odd_images_come_out_at_their_size(scale: int, size: tuple[int, int]) -> None:
    out = _network(scale)(np.random.default_rng(0).random((*size, 3)).astype(np.float32), scale)
    assert out.shape == (size[0] * scale, size[1] * scale, 3)
    assert np.isfinite(out).all()


def test_grey_through_three_channels_is_repeated_and_averaged_back() -> None:
    grey = np.random.default_rng(0).random((20, 24, 1)).astype(np.float32)
    network = _network(2)
    np.testing.assert_allclose(network(grey, 2), network(np.repeat(grey, 3, 2), 2).mean(2, keepdims=True), atol=1e-6)


def test_colour_through_one_channel_goes_plane_by_plane() -> None:
    colour = np.random.default_rng(0).random((20, 24, 3)).astype(np.float32)
    network = _network(2, channels=1)
    np.testing.assert_array_equal(network(colour, 2)[:, :, 1:2], network(colour[:, :, 1:2], 2))


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.0, 3.7])
def test_any_final_factor(factor: float) -> None:
    image = np.random.default_rng(0).random((20, 33, 3)).astype(np.float32)
    expected = (round(20 * factor), round(33 * factor), 3)
    assert _network(2)(image, factor).shape == expected
    assert Interpolation("bicubic")(image, factor).shape == expected


def _limited(network: Network, largest: int, error: Exception) -> list[int]:
    """Make the network run out of memory on tiles above a size; list the sizes it was asked for."""
    requests: list[int] = []
    forward = network._forward

    def limited(unit: np.ndarray) -> np.ndarray:
        requests.append(max(unit.shape[:2]))
        if requests[-1] > largest:
            raise error
        return forward(unit)

    network._forward = limited  # type: ignore[method-assign]
    return requests


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_shrinks_the_tile_and_gives_the_same_image(error: Exception) -> None:
    image = np.random.default_rng(0).random((300, 280, 3)).astype(np.float32)
    expected = _network(1)(image, 1)
    network = _network(1)
    requests = _limited(network, 200, error)
    np.testing.assert_allclose(network(image, 1), expected, atol=1e-3)
    assert requests[0] > 200 >= requests[-1]


def test_out_of_memory_at_the_smallest_tile_is_said() -> None:
    network = _network(1)
    _limited(network, 0, MemoryError())
    with pytest.raises(MemoryExhaustedError, match="32-pixel tiles"):
        network(np.zeros((100, 100, 3), np.float32), 1)


def test_another_error_is_not_mistaken_for_memory() -> None:
    network = _network(1)
    _limited(network, 0, RuntimeError("the network is broken"))
    with pytest.raises(RuntimeError, match="broken"):
        network(np.zeros((100, 100, 3), np.float32), 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_refused_not_made_black(value: float) -> None:
    network = _network(2, tile=64)
    assert isinstance(network.engine, TorchEngine)
    torch.nn.init.constant_(network.engine.net.conv_last.bias, value)
    with pytest.raises(ComputationError, match=r"test: in fp32 .* not numbers"):
        network(np.zeros((100, 100, 3), np.float32), 2)


def _tile_for(network: Network, height: int, width: int) -> int:
    """What is chosen for an image of that size."""
    return fitting_tile((height, width), network.engine, network.scale, Seam().halo, network.most_memory, "x")


def test_a_row_of_tiles_over_a_wide_image_is_lower() -> None:
    """Three rows of floats are in memory at once: they must not grow with the tile and the width of the image."""
    assert height_of_row(512, 8000, 3 * 4, 36) == 512
    assert height_of_row(2048, 8000, 3 * 16, 36) == 256  # never lower: half of it would be halo
    assert 256 < height_of_row(2048, 8000, 3 * 4, 36) < 700
    assert height_of_row(0, 8000, 3, 36) == 0  # in one piece, as the user asked


def test_what_was_one_piece_stays_one_when_its_tile_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sidecar of an image in one piece holds its size as the tile."""
    monkeypatch.setattr("medsr.images.tile_size.MOST_IN_ROW", 1000)
    monkeypatch.setattr("medsr.images.tile_size.LOWEST", 32)
    image = np.random.default_rng(0).random((150, 60, 3)).astype(np.float32)
    network = _network(2)
    requests = _limited(network, 10**9, MemoryError())
    network(image, 2)
    network.tile = network.used_tile = max(requests)
    network(image, 2)
    assert requests == [max(requests)] * 2


def test_auto_tile_fits_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network(2, tile=None)
    monkeypatch.setattr("medsr.images.tile_size._free_memory", lambda _: 64e9)
    assert _tile_for(network, 300, 400) == 0
    monkeypatch.setattr("medsr.images.tile_size._free_memory", lambda _: 2e8)
    assert 32 <= _tile_for(network, 3000, 4000) < 400


def test_processes_side_by_side_share_the_memory_for_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of few features, where one process alone would take the image whole."""
    network = _network(2, tile=None)
    monkeypatch.setattr(memory, "free", lambda: 10**9)
    monkeypatch.setattr(memory, "_processes", 1)
    assert _tile_for(network, 300, 400) == 0
    memory.work_beside(32)
    assert 32 <= _tile_for(network, 300, 400) < 300


def test_bicubic_follows_a_smooth_image(fundus: np.ndarray, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None].repeat(30, 0)
    out = Interpolation("bicubic")(ramp, 2)
    expected = (np.arange(80) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(out[10, 8:-8, 0], (expected / 39)[8:-8], atol=1e-4)


def test_bf16_halves_what_torch_takes_and_not_what_openvino_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO keeps the last layers, which take the most, in fp32: half of the memory would not do for them."""
    monkeypatch.setattr("medsr.images.tile_size._free_memory", lambda _: 2e9)

    def tile(engine: str, precision: str) -> int:
        network = _network(4, tile=None)
        network.engine = SimpleNamespace(name=engine, precision=precision, features=64, device="cuda")  # type: ignore[assignment]
        return _tile_for(network, 4000, 4000)

    assert tile("openvino", "bf16") == tile("openvino", "fp32") == tile("torch", "fp32") < tile("torch", "bf16")


def test_a_bound_on_gpu_memory_makes_tiles_smaller_and_is_the_gpu_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsr.images.tile_size._free_memory", lambda _: 80e9)

    class Fake:
        name, precision, features = "torch", "fp32", 64

        def __init__(self, device: str) -> None:
            self.device = device

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            return batch

    def tile(device: str, most: float | None) -> int:
        return _tile_for(Network("x", Fake(device), 4, 3, None, most), 4000, 4000)

    per_pixel = 5 * 64 * 16 * 4
    assert tile("cuda", 2e9) < tile("cuda", None)
    assert tile("cuda", 2e9) ** 2 * per_pixel <= 2e9
    assert tile("cpu", 2e9) == tile("cpu", None)


@pytest.mark.parametrize("factor", [2, 3])
def test_three_equal_channels_stay_equal(fundus: np.ndarray, factor: int) -> None:
    grey = fundus[:64, :64, :1].astype(np.float32) / 255
    network = _network(2)
    colours = network(np.repeat(grey, 3, axis=2), factor)
    assert colours.shape[2] == 3
    np.testing.assert_array_equal(colours, np.repeat(network(grey, factor), 3, axis=2))
