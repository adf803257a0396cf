"""Where to compute."""

from __future__ import annotations

from typing import Any

from medsr.core import platform
from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose(device: str) -> str:
    """`auto` to the best device there is; any other is checked. Raises UsageError when it is not there."""
    if device == "cpu" or (device == "auto" and not platform.may_have_gpu()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device.partition(":")[0] == "gpu":
        raise UsageError(
            f"`device={device}`: means an Intel GPU through OpenVINO, for `medsr upscale` and `medsr volume`; "
            f"here use one of {', '.join(DEVICES)}{did_you_mean(device, DEVICES)}"
        )
    if device.partition(":")[0] not in DEVICES:
        raise UsageError(
            f"`device={device}`: expected one of {', '.join(DEVICES)}; of `medsr upscale` and `medsr volume` also gpu, "
            f"an Intel GPU{did_you_mean(device, (*DEVICES, 'gpu'))}"
        )
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"`device={device}`: no CUDA device here; use `device=cpu`")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("`device=mps`: no Apple GPU here; use `device=cpu`")
    return device


def shares_memory(device: str) -> bool:
    """Whether what is computed there lies in the machine's own memory: on the CPU, and on an Intel GPU (`gpu`)."""
    return device == "cpu" or device.startswith("gpu")


def training_memory_format(device: str) -> Any:
    """The order in memory in which convolutions learn fastest, a torch.memory_format.

    Channels last, but for CPUs with AVX2 and without AVX-512: there the gradient of the weights of a wide network takes
    up to eight times as long in that order as the way forwards (oneDNN), and a whole step up to 1.8 times as long.
    """
    import torch

    slow = device == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if slow else torch.channels_last


def computes_bf16(device: str) -> bool:
    """Whether `device` is known to multiply bfloat16 in hardware: one that does not emulates it, ten times slower."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Of x86; the public torch.backends.cpu.get_cpu_capability() does not tell.
    return device == "cpu" and bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
