"""Generators of other projects, for inference: whatever architecture spandrel knows (`medsr[spandrel]`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "spandrel:"
"""Of the name of an architecture that is not ours."""
PURPOSES = ("SR", "Restoration")
"""What may be done to an image; a network for faces draws faces."""


def load(state: Mapping[str, Tensor], path: Path) -> tuple[nn.Module, str, int, int]:
    """A network from its tensors: (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W), of any size.

    Returns it with its architecture's name, its scale and its channels. Raises WeightsError for tensors of no known
    architecture, for networks that are no generators of images in 1 or 3 channels, and where spandrel is missing.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise WeightsError(
            f"{path}: not an RRDB generator; other architectures load through spandrel: pip install 'medsr[spandrel]'"
        ) from error
    try:
        found: Any = ModelLoader().load_from_state_dict(dict(state))
    except UnsupportedModelError as error:
        raise WeightsError(f"{path}: the weights of no architecture that medsr or spandrel knows") from error
    except Exception as error:  # each of forty architectures fails in its own way on damaged shapes
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: its weights do not fit together: {reason}") from error
    name = str(found.architecture.id)
    image = isinstance(found, ImageModelDescriptor) and found.purpose in PURPOSES
    if not image or found.input_channels != found.output_channels or found.input_channels not in (1, 3):
        raise WeightsError(f"{path}: a {name} network, which is no generator of images in 1 or 3 channels")
    return _whole(found), name, int(found.scale), int(found.input_channels)


def _whole(found: Any) -> nn.Module:
    """The network with its demands on the size of its input met by padding. Values are not clipped."""
    from torch import nn
    from torch.nn.functional import pad

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = found.model
            self.needs, self.scale = found.size_requirements, int(found.scale)

        def forward(self, x: Tensor) -> Tensor:
            height, width = x.shape[-2:]
            right, below = self.needs.get_padding(width, height)
            if right or below:
                mirrored = right < width and below < height
                x = pad(x, (0, right, 0, below), "reflect" if mirrored else "replicate")
            made: Tensor = self.inner(x)
            return made[..., : height * self.scale, : width * self.scale]

    return Whole()
