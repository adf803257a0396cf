"""Where to compute."""

from __future__ import annotations

import sys
from pathlib import Path

from medsr.core.errors import UsageError

DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What Linux has where torch could find a GPU: NVIDIA, AMD, either through WSL."""
DEVICES = ("auto", "cpu", "cuda", "mps")


def choose(device: str) -> str:
    """`auto` to the best device there is; any other is checked. Raises UsageError when it is not there."""
    if device == "cpu" or (device == "auto" and not _gpu_possible()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device.partition(":")[0] not in DEVICES:
        raise UsageError(f"`device={device}`: expected one of {', '.join(DEVICES)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"`device={device}`: no CUDA device here; use `device=cpu`")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("`device=mps`: no Apple GPU here; use `device=cpu`")
    return device


def computes_bf16(device: str) -> bool:
    """Whether `device` is known to multiply bfloat16 in hardware: one that does not emulates it, ten times slower."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Of x86; the public torch.backends.cpu.get_cpu_capability() does not tell.
    return device == "cpu" and bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _gpu_possible() -> bool:
    """Whether asking torch is worth its two seconds."""
    return sys.platform != "linux" or any(Path(driver).exists() for driver in DRIVERS)
