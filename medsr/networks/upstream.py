"""The only door to basicsr and realesrgan.

basicsr 1.4.2 imports `torchvision.transforms.functional_tensor`, which torchvision 0.17 removed; the module is put
back with the one function it was used for. Importing this file imports nothing; each function imports when called.

Whoever imports one part of basicsr gets all of it, with torchvision and the compiler of torch: two seconds at the
start of every command. So the parts are imported here without the rest, which comes when it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from medsr.core.errors import DependencyError

_MISSING = "torchvision.transforms.functional_tensor"
# Their own `__init__` imports everything they have.
_PACKAGES = (
    "basicsr",
    "basicsr.archs",
    "basicsr.data",
    "basicsr.losses",
    "basicsr.utils",
    "realesrgan",
    "realesrgan.archs",
)
# What the parts want of these packages, and where it stands.
_MODULES = {("basicsr.utils", "get_root_logger"): "basicsr.utils.logger"}


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
    try:
        _supply_missing_module()
        _begin_packages()
        with _torchvision_when_used():
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
    def rgb_to_grayscale(image: Any, num_output_channels: int = 1) -> Any:
        from torchvision.transforms import functional

        return functional.rgb_to_grayscale(image, num_output_channels)

    if _MISSING not in sys.modules:
        module = types.ModuleType(_MISSING)
        module.rgb_to_grayscale = rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[_MISSING] = module


def _begin_packages() -> None:
    """Enter the packages as they are, but with their `__init__` still to run."""
    for name in _PACKAGES:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is not None:
            module = importlib.util.module_from_spec(spec)
            module.__getattr__ = partial(_of_package, module)  # type: ignore[method-assign]
            sys.modules[name] = module
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)


def _of_package(module: types.ModuleType, name: str) -> Any:
    """What a package lacks so far: from its place, or its `__init__` runs now."""
    module_name = _MODULES.get((module.__name__, name))
    if module_name:
        return getattr(importlib.import_module(module_name), name)
    looked_for_by_python = name.startswith("__") and name not in ("__all__", "__version__", "__gitsha__")
    if looked_for_by_python or "__getattr__" not in vars(module):
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
    del module.__getattr__
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)
    return getattr(module, name)


@contextmanager
def _torchvision_when_used() -> Iterator[None]:
    """basicsr's generators import torchvision for one operation that none of ours has: then only when it is used."""
    importlib.import_module("torch")
    if "torchvision" in sys.modules:
        yield
        return

    def used(name: str) -> Any:
        if name.startswith("__") and name not in ("__path__", "__version__"):  # `inspect` looks at every module
            raise AttributeError(name)
        end()
        return getattr(importlib.import_module("torchvision"), name)

    def end() -> None:
        if sys.modules.get("torchvision") is later:
            del sys.modules["torchvision"]

    later = types.ModuleType("torchvision")
    later.__getattr__ = used  # type: ignore[method-assign]
    sys.modules["torchvision"] = later
    try:
        yield
    finally:
        end()
