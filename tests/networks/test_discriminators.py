"""Discriminators: their published sizes, what they take and what they say."""

from __future__ import annotations

import pytest
import torch

from medsr.networks.architectures import ARCHITECTURES
from medsr.networks.discriminators import attention_unet, unet_sn, vgg


def _parameters(net: torch.nn.Module) -> int:
    return sum(one.numel() for one in net.parameters() if one.requires_grad)


def test_the_published_number_of_parameters() -> None:
    assert _parameters(unet_sn()) == 4_376_897
    assert _parameters(vgg(crop=180)) == 80_188_609
    assert _parameters(vgg(crop=96, pooled=True)) == _parameters(vgg(crop=256, pooled=True))


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("unet-sn", {}, (2, 1, 48, 32)),
        ("vgg", {"crop": 48}, (2, 1)),
        ("vgg", {"pooled": True}, (2, 1)),
        ("attention-unet", {}, (2, 2, 48, 32)),
        ("attention-unet", {"scales": 1}, (2, 1, 48, 32)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_logit_a_pixel_or_an_image(
    name: str, settings: dict[str, int], shape: tuple[int, ...], channels: int
) -> None:
    net = ARCHITECTURES[name].build(channels=channels, features=8, **settings)
    width = 48 if settings.get("crop") else 32
    logits = net(torch.rand(2, channels, 48, width))
    assert logits.shape == shape
    logits.mean().backward()
    assert all(one.grad is not None for one in net.parameters() if one.requires_grad)


def test_both_scales_count_the_same_and_the_coarse_one_sees_the_half() -> None:
    torch.manual_seed(0)
    net = attention_unet(3, 8).eval()
    image = torch.rand(1, 3, 64, 64)
    texture = torch.ones(64, 64)
    texture[::2] = -1  # gone in the half
    logits, changed = net(image), net(image + 0.2 * texture)
    assert (logits[:, 0] - changed[:, 0]).abs().max() > 1e-4
    torch.testing.assert_close(logits[:, 1], changed[:, 1], rtol=0, atol=1e-5)
