"""LPIPS (Zhang et al. 2018): the learned distance of two images in the features of a network."""

from __future__ import annotations

import numpy as np
import torch
from lpips import LPIPS

from medsr.core.errors import WeightsError
from medsr.core.types import Array, Distance
from medsr.networks import weight_store
from medsr.networks.checkpoint import read_state

NETWORKS = {"alexnet": "alex", "vgg16": "vgg"}
"""The name of each network's weights, and what the authors' program calls it."""


def lpips(network: str = "alexnet", device: str = "cpu") -> Distance:
    """LPIPS of two (H, W, 1 or 3) images in [0, 1], version 0.1, on `alexnet` or `vgg16`.

    Raises WeightsError when the weights are not on this machine, or damaged.
    """
    state, _ = read_state(weight_store.locate(network))
    distance = LPIPS(net=NETWORKS[network], pnet_rand=True, verbose=False)
    net_state = distance.net.state_dict()
    # torchvision counts the layers through, lpips keeps their numbers inside its slices: slice2.3 is features.3.
    names = {key: "features." + key.split(".", 1)[1] for key in net_state}
    features = {key: state[name] for key, name in names.items() if name in state}
    if missing := [key for key in net_state if key not in features]:
        raise WeightsError(
            f"{network}: {weight_store.get(network).path} holds no layer for {missing[0]}; fetch it again"
        )
    distance.net.load_state_dict(features)
    distance.to(device)

    def measure(result: Array, ground_truth: Array) -> float:
        with torch.inference_mode():
            return float(distance(*(as_batch(image, device) * 2 - 1 for image in (result, ground_truth))))

    return measure


def as_batch(image: Array, device: str) -> torch.Tensor:
    """(H, W, 1 or 3) to (1, 3, H, W) in [0, 1] on that device; grey is repeated."""
    colour = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(colour, 2, 0)[None].clip(0, 1))).float().to(device)
