"""Generators of other projects, for inference: whatever architecture spandrel knows (`medsr[spandrel]`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import UsageError, WeightsError
from medsr.core.text import reason

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "spandrel:"
"""Of the name of an architecture that is not ours."""
PURPOSES = ("SR", "Restoration")
"""What may be done to an image; a network for faces draws faces."""


FEWEST = 3
"""Tensors of the smallest network."""
PROBE = 8
"""Side of the image a network is tried on before it is used, pixels."""
FAR_BEYOND = 1000.0
"""Of full range: a network that answers that with exactly 1 clips what it returns."""


def load(state: Mapping[str, Tensor], path: Path) -> tuple[nn.Module, str, int, int]:
    """A network from its tensors: (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W), of any size.

    Returns it with its architecture's name, its scale and its channels. Raises WeightsError for tensors of no known
    architecture, for networks that are no generators of images in 1 or 3 channels or do not compute as one, and where
    spandrel is missing.
    """
    if len(state) < FEWEST:  # not worth the seconds that its import takes
        raise WeightsError(f"{path}: the weights of no architecture that medsr or spandrel knows")
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise WeightsError(
            f"{path}: not an RRDB generator; other architectures load through spandrel: pip install 'medsr[spandrel]'"
        ) from error
    try:
        descriptor: Any = ModelLoader().load_from_state_dict(dict(state))
    except UnsupportedModelError as error:
        raise WeightsError(f"{path}: the weights of no architecture that medsr or spandrel knows") from error
    except Exception as error:  # each of forty architectures fails in its own way on damaged shapes
        raise WeightsError(f"{path}: its weights do not fit together: {reason(error)}") from error
    name, channels = str(descriptor.architecture.id), descriptor.input_channels
    if isinstance(descriptor, ImageModelDescriptor) and descriptor.purpose not in PURPOSES:
        raise WeightsError(f"{path}: a {name} network, which draws faces; medsr takes networks for any image")
    image = isinstance(descriptor, ImageModelDescriptor)
    if not image or channels != descriptor.output_channels or channels not in (1, 3):
        raise WeightsError(f"{path}: a {name} network, which is not a generator of images in 1 or 3 channels")
    net = _whole(descriptor, path).eval()
    _try(net, name, int(channels), int(descriptor.scale), path)
    return net, name, int(descriptor.scale), int(channels)


def check_precision(net: nn.Module, precision: str, name: str) -> None:
    """Raise UsageError where another project's network does not compute in that precision."""
    if precision not in getattr(net, "precisions", (precision,)):
        raise UsageError(f"{name}: its architecture does not compute in {precision}; use fp32")


def _whole(descriptor: Any, path: Path) -> nn.Module:
    """The network, called as its descriptor calls it, but for the clipping to [0, 1]: volumes reach beyond.

    Its demands on the size of its input are met by padding, as the descriptor does it.
    """
    from spandrel import ModelTiling
    from torch import cat, nn
    from torch.nn.functional import pad

    call: Any = getattr(descriptor, "_call_fn", None)
    if call is None:
        raise WeightsError(f"{path}: this version of spandrel is not supported; pip install 'medsr[spandrel]'")

    class Whole(nn.Module):
        clips = False

        def __init__(self) -> None:
            super().__init__()
            self.inner = descriptor.model
            self.needs, self.scale = descriptor.size_requirements, int(descriptor.scale)
            self.whole_images = descriptor.tiling is not ModelTiling.SUPPORTED
            halves = {"fp16": descriptor.supports_half, "bf16": descriptor.supports_bfloat16}
            self.precisions = ("fp32", *(precision for precision, supported in halves.items() if supported))

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 1:  # noise maps are made for one image
                return cat([self(image[None]) for image in x])
            height, width = x.shape[-2:]
            right, below = self.needs.get_padding(width, height)
            if right or below:
                mirrored = (min(right, width - 1), min(below, height - 1))
                x = pad(x, (0, mirrored[0], 0, mirrored[1]), "reflect")
                x = pad(x, (0, right - mirrored[0], 0, below - mirrored[1]), "replicate")
            result: Tensor = call(self.inner, x)
            return result[..., : height * self.scale, : width * self.scale]

    return Whole()


def _try(net: Any, name: str, channels: int, scale: int, path: Path) -> None:
    """Compute a small image; notes whether the network clips. Raises WeightsError where it is no function of it."""
    import torch

    image = torch.linspace(0, 1, channels * PROBE * PROBE).reshape(1, channels, PROBE, PROBE)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        try:
            first, second = net(image).clone(), net(image).clone()
            net.clips = float(net(image.new_full(image.shape, FAR_BEYOND)).max()) == 1
        except Exception as error:  # each architecture fails in its own way
            raise WeightsError(f"{path}: a {name} network that medsr cannot call ({reason(error)})") from error
    if first.shape != (1, channels, PROBE * scale, PROBE * scale):
        shape = " x ".join(map(str, first.shape))
        raise WeightsError(f"{path}: a {name} network, which makes {shape} of a {PROBE}x{PROBE} image at x{scale}")
    if not torch.equal(first, second) and bool(torch.isfinite(first).all()):
        raise WeightsError(f"{path}: a {name} network, which answers the same image differently every time")
