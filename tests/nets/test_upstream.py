from __future__ import annotations

import subprocess
import sys

import pytest

from medsr.engines.pytorch import TorchEngine
from medsr.errors import DependencyError
from medsr.nets import beginning, discriminators, generators, upstream


def _parameters(net: object) -> int:
    return sum(parameter.numel() for parameter in net.parameters())  # type: ignore[attr-defined]


def test_parameter_counts_are_the_papers() -> None:
    assert _parameters(generators.rrdb(4)) == 16_697_987
    assert _parameters(discriminators.unet_sn()) == 4_376_897


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_generators_enlarge_by_their_scale(scale: int, channels: int) -> None:
    import torch

    net = generators.rrdb(scale, channels, features=8, blocks=1, growth=4)
    out = net(torch.rand(1, channels, 8, 12))
    assert out.shape == (1, channels, 8 * scale, 12 * scale)


def test_everything_upstream_gives_can_be_had() -> None:
    for get in (
        upstream.rrdbnet,
        upstream.unet_discriminator_sn,
        upstream.degradations,
        upstream.filter2d,
        upstream.diff_jpeg,
        upstream.usm_sharp,
        upstream.gan_loss,
        upstream.real_esrganer,
    ):
        assert get() is not None


def test_an_absent_package_gives_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "basicsr", None)
    for name in [name for name in sys.modules if name.startswith("basicsr.")]:
        monkeypatch.delitem(sys.modules, name)
    upstream._module.cache_clear()
    try:
        with pytest.raises(DependencyError, match="basicsr"):
            upstream.rrdbnet()
    finally:
        upstream._module.cache_clear()


@pytest.mark.slow
def test_upstream_is_usable_in_a_fresh_process() -> None:
    code = "from medsr.nets import upstream; upstream.unet_discriminator_sn(); upstream.rrdbnet()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_fresh_generator_starts_near_an_interpolator(fundus: object) -> None:
    import numpy as np
    import torch

    from medsr.infer.image import Network
    from medsr.resample import resize

    unit = np.asarray(fundus, np.float32) / 255
    low = resize(unit, (128, 128), "bicubic")
    errors = []
    for start in (False, True):
        torch.manual_seed(0)
        net = generators.rrdb(2, 3, features=32, blocks=2, growth=8)
        if start:
            beginning.start_near_interpolator(net)
        result = Network("x", TorchEngine(net), 2, 3, consistency=False)(low, 2)
        errors.append(float(np.abs(result - unit).mean()))
    assert errors[1] < 0.12 < errors[0]
