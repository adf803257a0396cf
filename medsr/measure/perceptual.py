"""LPIPS (Zhang et al. 2018), where the weights it needs are on this machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medsr.errors import WeightsError
from medsr.nets import weights

Array = NDArray[np.float32]
BACKBONE = "alexnet"


def lpips(device: str = "cpu") -> Callable[[Array, Array], float] | None:
    """The distance of two (H, W, 1 or 3) images in [0, 1], version 0.1 on AlexNet; None without the weights.

    Raises WeightsError when the weights are there and damaged.
    """
    if not weights.get(BACKBONE).path.is_file():
        return None
    import torch
    from lpips import LPIPS

    state = torch.load(weights.locate(BACKBONE), map_location="cpu", weights_only=True)
    distance = LPIPS(net="alex", pnet_rand=True, verbose=False)
    own = distance.net.state_dict()
    # torchvision counts the layers through, lpips keeps their numbers inside its slices: slice2.3 is features.3.
    given = {key: state.get("features." + key.split(".", 1)[1]) for key in own}
    if absent := [key for key, value in given.items() if value is None]:
        raise WeightsError(f"{BACKBONE}: {weights.get(BACKBONE).path} holds no layer for {absent[0]}; fetch it again")
    distance.net.load_state_dict(given)
    distance.to(device)

    def measure(result: Array, ground_truth: Array) -> float:
        with torch.inference_mode():
            pair = [_tensor(one).to(device) for one in (result, ground_truth)]
            return float(distance(*pair))

    def _tensor(unit: Array) -> torch.Tensor:
        colour = np.repeat(unit, 3, axis=2) if unit.shape[2] == 1 else unit
        return torch.from_numpy(np.moveaxis(colour, 2, 0)[None].clip(0, 1) * 2 - 1).float()

    return measure
