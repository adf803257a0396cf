from __future__ import annotations

import subprocess
import sys

import pytest

from medsr.core.errors import DependencyError
from medsr.engines.torch_engine import TorchEngine
from medsr.networks import discriminators, initialisation, upstream
from medsr.networks.rrdb import rrdb


def _parameters(net: object) -> int:
    return sum(parameter.numel() for parameter in net.parameters())  # type: ignore[attr-defined]


def test_parameter_counts_are_the_papers() -> None:
    assert _parameters(rrdb(4)) == 16_697_987
    assert _parameters(discriminators.unet_sn()) == 4_376_897


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_generators_enlarge_by_their_scale(scale: int, channels: int) -> None:
    import torch

    net = rrdb(scale, channels, features=8, blocks=1, growth=4)
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


def test_upstream_is_usable_in_a_fresh_process_and_brings_nothing_that_takes_long() -> None:
    code = (
        "import sys\n"
        "from medsr.networks import upstream\n"
        "upstream.unet_discriminator_sn()(3), upstream.rrdbnet()(3, 3, 2, 8, 1, 4), upstream.residual_block()(8)\n"
        "heavy = {'torchvision', 'torch._dynamo', 'scipy', 'cv2', 'tensorboard'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.slow
def test_whoever_asks_for_the_rest_of_basicsr_gets_it() -> None:
    code = (
        "from medsr.networks import upstream\n"
        "net = upstream.rrdbnet()\n"
        "import basicsr, torchvision\n"
        "from basicsr.archs import build_network\n"
        "from basicsr.utils import scandir\n"
        "import basicsr.utils.logger as logger\n"
        "assert basicsr.__version__ and basicsr.build_model and torchvision.ops.deform_conv2d\n"
        "assert type(build_network({'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_block': 1})) is net\n"
        "assert basicsr.utils.get_root_logger is logger.get_root_logger\n"
        "from basicsr.archs import arch_util\n"
        "assert arch_util.torchvision.__version__ == torchvision.__version__\n"
        "assert upstream.real_esrganer()\n"
        "try:\n"
        "    basicsr.absent\n"
        "except AttributeError as error:\n"
        "    assert 'absent' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_fresh_generator_starts_near_an_interpolator(fundus: object) -> None:
    import numpy as np
    import torch

    from medsr.core.resample import resize
    from medsr.images.network import Network

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
