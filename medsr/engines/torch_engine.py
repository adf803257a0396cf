"""Networks in torch, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medsr.core.errors import UsageError
from medsr.core.threads import bound_torch
from medsr.core.types import Array

if TYPE_CHECKING:
    from torch import nn


class TorchEngine:
    """A network on a device, channels last. Raises UsageError for half precision without a GPU.

    `whole_images`: the network is made to see an image whole; `clips`: it returns nothing above 1 (others' networks).
    `compiled`: by torch.compile, on a GPU with CUDA graphs: worth it where many tiles have the same shape.
    """

    name = "torch"

    def __init__(self, net: nn.Module, device: str = "cpu", precision: str = "fp32", compiled: bool = False) -> None:
        import torch

        if precision in ("fp16", "bf16") and not device.startswith("cuda"):
            advice = "; on a CPU leave `engine=torch` out" if precision == "bf16" else ""
            raise UsageError(f"`precision={precision}` in torch needs a CUDA device{advice}")
        bound_torch()
        self.dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        self.net = net.to(memory_format=torch.channels_last).to(device).eval()
        if self.dtype != torch.float32:
            self.net = self.net.to(self.dtype)
        if compiled:
            self.net.compile(mode="reduce-overhead" if device.startswith("cuda") else "default")
        self.device, self.precision, self.compiled = device, precision, compiled
        self.whole_images, self.clips = getattr(net, "whole_images", False), getattr(net, "clips", False)
        self.features = max(parameter.shape[0] for parameter in net.parameters() if parameter.ndim)

    def __call__(self, batch: Array) -> Array:
        import torch

        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(batch))
            if self.device.startswith("cuda"):
                inputs = inputs.pin_memory()
            inputs = inputs.to(self.device, non_blocking=True).to(self.dtype)
            outputs = self.net(inputs.contiguous(memory_format=torch.channels_last))
            result: Array = outputs.float().contiguous().cpu().numpy()
            return result
