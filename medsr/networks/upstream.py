"""The only door to basicsr and realesrgan, whose networks and degradations ours are compared with.

medsr runs without them; they cannot be built on Python 3.13 and later. basicsr 1.4.2 imports
`torchvision.transforms.functional_tensor`, which torchvision 0.17 removed; the module is put back with the one function
it was used for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

from medsr.core.errors import DependencyError

if TYPE_CHECKING:
    from torch import nn

_MISSING = "torchvision.transforms.functional_tensor"


def is_installed(package: str) -> bool:
    """Whether basicsr or realesrgan is in this environment; imports nothing."""
    return importlib.util.find_spec(package) is not None


def why_absent(package: str, python: tuple[int, int] = sys.version_info[:2]) -> str:
    """What to tell who asks for a package that is not there, on a Python of that version."""
    if python >= (3, 13):
        return f"{package} cannot be built on Python {python[0]}.{python[1]}; it needs Python 3.12 or older"
    return f"{package} is not installed: pip install medsr again"


def rrdb(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """basicsr's RRDBNet with the arguments of `medsr.networks.rrdb.rrdb`. Raises DependencyError without basicsr."""
    net: nn.Module = part("basicsr.archs.rrdbnet_arch", "RRDBNet")(channels, channels, scale, features, blocks, growth)
    return net


def unet_sn(channels: int = 3, features: int = 64, crop: int = 0) -> nn.Module:
    """realesrgan's discriminator with the arguments of `discriminators.unet_sn`. Raises DependencyError without it."""
    net: nn.Module = part("realesrgan.archs.discriminator_arch", "UNetDiscriminatorSN")(channels, features, True)
    return net


def real_esrganer() -> Any:
    """realesrgan's own inference class: the peer our output is compared with."""
    return part("realesrgan", "RealESRGANer")


def part(module: str, name: str) -> Any:
    """A class or function of basicsr or realesrgan. Raises DependencyError where it cannot be imported."""
    package = module.partition(".")[0]
    if not is_installed(package):
        raise DependencyError(why_absent(package))
    try:
        _supply_missing_module()
        return getattr(importlib.import_module(module), name)
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
    def rgb_to_grayscale(image: Any, num_output_channels: int = 1) -> Any:
        from torchvision.transforms import functional

        return functional.rgb_to_grayscale(image, num_output_channels)

    if _MISSING not in sys.modules:
        module = types.ModuleType(_MISSING)
        module.rgb_to_grayscale = rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[_MISSING] = module
