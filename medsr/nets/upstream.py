"""The only door to basicsr and realesrgan.

basicsr 1.4.2 imports `torchvision.transforms.functional_tensor`, which torchvision 0.17 removed; the module is put
back with the one function it was used for. Importing this file imports nothing; each function imports when called.
"""

from __future__ import annotations

import importlib
import sys
import types
from functools import cache
from typing import Any

from medsr.errors import DependencyError

_MISSING = "torchvision.transforms.functional_tensor"


def rrdbnet() -> type:
    """basicsr's RRDBNet, the generator of ESRGAN and Real-ESRGAN."""
    return _get("basicsr.archs.rrdbnet_arch", "RRDBNet")


def residual_block() -> type:
    """basicsr's residual block without normalisation (EDSR)."""
    return _get("basicsr.archs.arch_util", "ResidualBlockNoBN")


def unet_discriminator_sn() -> type:
    """realesrgan's UNetDiscriminatorSN, the U-Net with spectral normalisation."""
    return _get("realesrgan.archs.discriminator_arch", "UNetDiscriminatorSN")


def degradations() -> types.ModuleType:
    """basicsr's blur kernels and noises."""
    return _module("basicsr.data.degradations")


def filter2d() -> Any:
    """basicsr's per-image blur of a batch."""
    return _get("basicsr.utils.img_process_util", "filter2D")


def diff_jpeg() -> type:
    """basicsr's JPEG compression in torch."""
    return _get("basicsr.utils.diffjpeg", "DiffJPEG")


def usm_sharp() -> type:
    """basicsr's unsharp masking, which Real-ESRGAN's L1 and perceptual targets go through."""
    return _get("basicsr.utils.img_process_util", "USMSharp")


def matlab_imresize() -> Any:
    """basicsr's bicubic resampling as MATLAB does it."""
    return _get("basicsr.utils.matlab_functions", "imresize")


def gan_loss() -> type:
    """basicsr's GANLoss."""
    return _get("basicsr.losses.gan_loss", "GANLoss")


def real_esrganer() -> type:
    """realesrgan's own inference class: the peer our output is compared with."""
    return _get("realesrgan", "RealESRGANer")


def _get(module: str, name: str) -> Any:
    return getattr(_module(module), name)


@cache
def _module(name: str) -> types.ModuleType:
    package = name.partition(".")[0]
    _supply_missing_module()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{package} needs the package {error.name!r}, which is absent: pip install medsr"
        ) from error
    except ImportError as error:
        remedy = "pip install medsr again"
        if "libGL" in str(error) or "libgthread" in str(error):
            remedy = "without a desktop: pip install --force-reinstall --no-deps opencv-python-headless"
        raise DependencyError(f"{package} cannot be loaded ({error}); {remedy}") from error


def _supply_missing_module() -> None:
    if _MISSING in sys.modules:
        return
    try:
        importlib.import_module(_MISSING)
    except ImportError:
        from torchvision.transforms import functional

        module = types.ModuleType(_MISSING)
        module.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[_MISSING] = module
