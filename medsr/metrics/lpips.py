"""LPIPS (Zhang et al. 2018), where the weights it needs are on this machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medsr.core.errors import WeightsError
from medsr.core.types import Array
from medsr.networks import weight_store

METRICS = {"lpips": ("alex", "alexnet"), "lpips_vgg": ("vgg", "vgg16")}
"""Each metric's network, as its authors' program calls it, and the name of that network's weights."""


def at_hand() -> list[str]:
    """The metrics whose weights are on this machine."""
    return [metric for metric, (_, backbone) in METRICS.items() if weight_store.get(backbone).path.is_file()]


def lpips(metric: str = "lpips", device: str = "cpu") -> Callable[[Array, Array], float] | None:
    """The distance of two (H, W, 1 or 3) images in [0, 1], version 0.1; None without the weights.

    `metric`: `lpips`, on AlexNet, or `lpips_vgg`, on VGG16. Raises WeightsError when the weights are there and damaged.
    """
    net, backbone = METRICS[metric]
    if not weight_store.get(backbone).path.is_file():
        return None
    import torch
    from lpips import LPIPS

    from medsr.networks.checkpoint import read_state

    state, _ = read_state(weight_store.locate(backbone))
    distance = LPIPS(net=net, pnet_rand=True, verbose=False)
    net_state = distance.net.state_dict()
    # torchvision counts the layers through, lpips keeps their numbers inside its slices: slice2.3 is features.3.
    names = {key: "features." + key.split(".", 1)[1] for key in net_state}
    features = {key: state[name] for key, name in names.items() if name in state}
    if absent := [key for key in net_state if key not in features]:
        raise WeightsError(
            f"{backbone}: {weight_store.get(backbone).path} holds no layer for {absent[0]}; fetch it again"
        )
    distance.net.load_state_dict(features)
    distance.to(device)

    def measure(result: Array, ground_truth: Array) -> float:
        with torch.inference_mode():
            pair = [_tensor(image).to(device) for image in (result, ground_truth)]
            return float(distance(*pair))

    def _tensor(unit: Array) -> torch.Tensor:
        colour = np.repeat(unit, 3, axis=2) if unit.shape[2] == 1 else unit
        return torch.from_numpy(np.moveaxis(colour, 2, 0)[None].clip(0, 1) * 2 - 1).float()

    return measure
