"""What every engine is, and what may be asked of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from medsr.core.errors import ComputationError, UsageError
from medsr.core.suggest import did_you_mean
from medsr.core.types import Array

Choice = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]
LARGEST_DIFFERENCE = 1e-4
"""Of full range: what an engine in fp32 may differ from torch in fp32 anywhere on the probe, for `auto` to take it."""
LARGEST_LOSS = 0.1
"""dB of PSNR that int8 may lose against torch in fp32, on the images it was measured on, to be used at all."""

WORST_LOSS = 0.2
"""dB that it may lose on any single one of them."""

UNASKED_LOSS, UNASKED_DIFFERENCE = 0.03, 0.007
"""What int8 or bf16 may lose of PSNR (dB), and of full range on any pixel, for `precision=auto` to take it.

The aim is 0.05 dB and 1 %; images to come are not those it was measured on.
"""


class Engine(Protocol):
    """A generator, ready to compute. `features`: its widest layer's channels, which decide how much memory it takes."""

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def features(self) -> int: ...
    def __call__(self, batch: Array) -> Array:
        """(N, C, H, W) to (N, C', scale H, scale W), float32 both."""
        ...


@dataclass(frozen=True)
class Compute:
    """What the user asks to compute with. Raises UsageError for what there is not.

    `precision`: `auto` takes bf16 or int8 on a CPU where it was measured to be as good and faster, else fp32.
    `max_gpu_memory`: GB of a GPU that may be taken, None for what is free. `compiled`: torch compiles first.
    """

    device: str = "auto"
    engine: str = "auto"
    precision: str = "fp32"
    max_gpu_memory: float | None = None
    compiled: bool = False

    def __post_init__(self) -> None:
        for parameter, value, valid in (
            ("engine", self.engine, get_args(Choice)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if value not in valid:
                raise UsageError(
                    f"`{parameter}={value}`: expected one of {', '.join(valid)}{did_you_mean(value, valid)}"
                )
        if self.engine == "torch" and self.precision == "int8":
            raise UsageError("`precision=int8`: is for OpenVINO; leave `engine=torch` out")
        if self.engine == "openvino" and self.precision == "fp16":
            raise UsageError("`precision=fp16`: is for torch on a GPU; OpenVINO computes in fp32, bf16 or int8")
        if self.compiled and (self.engine == "openvino" or self.precision == "int8"):
            raise UsageError("`compiled`: is for torch; OpenVINO compiles by itself")
        if self.max_gpu_memory is not None and not self.max_gpu_memory > 0:
            raise UsageError(f"`max_gpu_memory={self.max_gpu_memory:g}`: expected GB above 0")

    @property
    def in_torch(self) -> str:
        """The precision that torch computes in."""
        return "fp32" if self.precision == "auto" else self.precision


def loses_next_to_nothing(measured: Mapping[str, Any]) -> bool:
    """Whether PSNR and the furthest pixel, as they were measured, are hardly those of fp32."""
    loss, difference = (float(measured.get(key, np.inf)) for key in ("loss_db", "largest_difference"))
    return loss <= UNASKED_LOSS and difference <= UNASKED_DIFFERENCE


def finite(output: Array, name: str, precision: str) -> Array:
    """`output`, the answer of the network `name`. Raises ComputationError where any of it is infinite or no number.

    Half precision overflows on some networks (Real-ESRGAN's in fp16 are known for it), and weights may be damaged:
    stored as integers such an answer would be black, a finding erased without a word.
    """
    if np.isfinite(output).all():
        return output
    advice = "check or replace the weights" if precision == "fp32" else "use `precision=fp32`"
    raise ComputationError(f"{name}: in {precision} the network gives values that are not numbers; {advice}")
