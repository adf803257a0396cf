"""Where to compute."""

from __future__ import annotations

from medsr.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose(device: str) -> str:
    """`auto` to the best device there is; any other is checked. Raises UsageError when it is not there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device.partition(":")[0] not in DEVICES:
        raise UsageError(f"--device {device}: expected one of {', '.join(DEVICES)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: no CUDA device here; use --device cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: no Apple GPU here; use --device cpu")
    return device
