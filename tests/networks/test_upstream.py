"""Our networks beside the authors' own programs: the same names, numbers and gradients, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from medsr.core.errors import DependencyError
from medsr.core.resources import resource_dir
from medsr.networks import checkpoint, discriminators, upstream
from medsr.networks.architectures import ARCHITECTURES
from medsr.networks.residual_block import ResidualBlockNoBN
from medsr.networks.rrdb import rrdb
from tests.helpers.upstream import needs_upstream

RELEASED = sorted(resource_dir("pretrained").glob("*.safetensors"))


def _parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameter_counts_are_the_papers() -> None:
    assert _parameters(rrdb(4)) == 16_697_987
    assert _parameters(discriminators.unet_sn()) == 4_376_897


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_generators_enlarge_by_their_scale(scale: int, channels: int) -> None:
    net = rrdb(scale, channels, features=8, blocks=1, growth=4)
    out = net(torch.rand(1, channels, 8, 12))
    assert out.shape == (1, channels, 8 * scale, 12 * scale)


def _assert_same(ours: nn.Module, theirs: nn.Module, image: torch.Tensor) -> None:
    """Names in their order, weights, output, gradients, and what training changes by itself."""
    for _ in range(2):  # spectral normalisation goes on at every step
        before, expected = ours.state_dict(), theirs.state_dict()
        assert list(before) == list(expected)
        assert all(torch.equal(before[name], expected[name]) for name in expected)
        images = [image.clone().requires_grad_(True) for _ in range(2)]
        results = [net(seen) for net, seen in zip((ours, theirs), images, strict=True)]
        assert torch.equal(*results)
        for net, result in zip((ours, theirs), results, strict=True):
            net.zero_grad()
            result.square().mean().backward()
        assert torch.equal(images[0].grad, images[1].grad)
        gradients = dict(theirs.named_parameters())
        assert all(torch.equal(value.grad, gradients[name].grad) for name, value in ours.named_parameters())


@needs_upstream
@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_gives_basicsrs_generator(scale: int, channels: int) -> None:
    torch.manual_seed(3)
    ours = rrdb(scale, channels, features=16, blocks=2, growth=8)
    torch.manual_seed(3)
    theirs = upstream.rrdb(scale, channels, features=16, blocks=2, growth=8)
    _assert_same(ours, theirs, torch.rand(2, channels, 16, 24))


@needs_upstream
@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_gives_realesrgans_discriminator(channels: int) -> None:
    torch.manual_seed(3)
    ours = discriminators.unet_sn(channels, features=8)
    torch.manual_seed(3)
    theirs = upstream.unet_sn(channels, features=8)
    _assert_same(ours, theirs, torch.rand(2, channels, 32, 40))
    _assert_same(ours.eval(), theirs.eval(), torch.rand(2, channels, 32, 40))


@needs_upstream
def test_a_seed_gives_basicsrs_residual_block() -> None:
    torch.manual_seed(3)
    ours = ResidualBlockNoBN(16)
    torch.manual_seed(3)
    theirs = upstream.part("basicsr.archs.arch_util", "ResidualBlockNoBN")(16)
    _assert_same(ours, theirs, torch.rand(2, 16, 16, 24))


@needs_upstream
@pytest.mark.parametrize("path", RELEASED, ids=[path.stem for path in RELEASED])
def test_released_weights_give_what_the_authors_program_gives(path: Path) -> None:
    net, spec = checkpoint.load(path)
    if spec.architecture == "rrdb":
        theirs = upstream.rrdb(spec.scale, spec.channels, **spec.hyperparameters)
    else:
        theirs = spec.build()
        block = upstream.part("basicsr.archs.arch_util", "ResidualBlockNoBN")
        theirs.body = nn.Sequential(*(block(spec.hyperparameters["features"]) for _ in theirs.body))
    theirs.load_state_dict(net.state_dict())
    inputs = 4 if spec.architecture == "fuser" else spec.channels + ARCHITECTURES[spec.architecture].condition_maps
    with torch.no_grad():
        image = torch.rand(1, inputs, 40, 28, generator=torch.Generator().manual_seed(0))
        assert torch.equal(net(image), theirs.eval()(image))


@needs_upstream
def test_what_the_authors_programs_offer_can_be_had() -> None:
    assert upstream.real_esrganer().__name__ == "RealESRGANer"


def test_an_absent_package_gives_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="basicsr"):
        upstream.rrdb(4)
    assert "pip install medsr again" in upstream.why_absent("basicsr", (3, 12))
    assert "cannot be built on Python 3.14; it needs Python 3.12 or older" in upstream.why_absent("basicsr", (3, 14))


def test_medsr_itself_needs_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that trains or enlarges may ask for them: on Python 3.13 they are not there."""
    for name in ("basicsr", "realesrgan", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    for entry in ARCHITECTURES.values():
        if entry.kind == "discriminator":
            entry.build(channels=1, crop=64)
        else:
            entry.build(entry.scales[0], 1)
