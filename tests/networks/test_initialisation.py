from __future__ import annotations

import numpy as np
import pytest
import torch

from medsr.core.resample import resize
from medsr.engines.torch_engine import TorchEngine
from medsr.images.network import Network
from medsr.metrics.psnr_ssim import psnr
from medsr.networks import checkpoint, initialisation
from medsr.networks.architectures import ARCHITECTURES
from medsr.networks.rrdb import rrdb
from tests.helpers.models import EVERY, SMALL


@pytest.mark.parametrize(("name", "scale"), EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_fresh_generator_interpolates(name: str, scale: int, channels: int, fundus: np.ndarray) -> None:
    torch.manual_seed(0)
    net = checkpoint.Spec(name, scale, channels, SMALL[name] | {"features": 12}).build()
    ARCHITECTURES[name].initialise(net)
    truth = fundus[: 32 * scale if scale < 8 else 240, :240, :channels].astype(np.float32) / 255
    low = resize(truth, (truth.shape[0] // scale, truth.shape[1] // scale), "bicubic")
    with torch.inference_mode():
        output = net.train()(torch.from_numpy(low.transpose(2, 0, 1)[None].copy()))[0].permute(1, 2, 0).numpy()
    inner = (slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))  # beyond the border they see zeros
    bicubic = resize(low, truth.shape[:2], "bicubic")
    if name.startswith("rrdb"):  # nearest neighbours, folded pixels, and noise that tells its features apart
        assert psnr(output[inner], truth[inner]) > 18
    else:
        assert psnr(output[inner], bicubic[inner]) > (80 if scale == 1 else 38)


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name, scale in EVERY if scale == 2])
def test_and_every_part_of_it_learns(name: str, scale: int) -> None:
    torch.manual_seed(0)
    net = checkpoint.Spec(name, scale, 3, SMALL[name]).build()
    ARCHITECTURES[name].initialise(net)
    before = {key: value.clone() for key, value in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(3):
        low = 2 * torch.rand(2, 3, 16, 16) - 0.5
        loss = (net(low) - torch.nn.functional.interpolate(low, scale_factor=scale, mode="bicubic")).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not [key for key, value in net.named_parameters() if torch.equal(value, before[key])]


def test_a_fresh_generator_starts_near_an_interpolator(fundus: np.ndarray) -> None:
    unit = np.asarray(fundus, np.float32) / 255
    low = resize(unit, (128, 128), "bicubic")
    errors = []
    for start in (False, True):
        torch.manual_seed(0)
        net = rrdb(2, 3, features=32, blocks=2, growth=8)
        if start:
            initialisation.rrdb(net)
        result = Network("x", TorchEngine(net), 2, 3, consistency=False)(low, 2)
        errors.append(float(np.abs(result - unit).mean()))
    assert errors[1] < 0.12 < errors[0]
