"""Writes RRDB generators in ncnn's form, as its own converter does."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from medsr.networks.checkpoint import Spec

SPEC = Spec("rrdb", 4, 3, {"features": 8, "blocks": 1, "growth": 4})


def write_ncnn(param: Path, state: Mapping[str, Tensor], half: bool = True) -> Path:
    """A `.param` and the `.bin` beside it."""
    text, numbers = to_ncnn(state, half)
    param.write_text(text)
    param.with_suffix(".bin").write_bytes(numbers)
    return param


def to_ncnn(state: Mapping[str, Tensor], half: bool = True) -> tuple[str, bytes]:
    """An RRDBNet's weights (scale 4) as graph and numbers. Blobs may be read several times: Split is left out."""
    layers: list[str] = ["Input data 0 1 data"]
    numbers = b""

    def add(kind: str, name: str, inputs: list[str], options: str = "") -> str:
        layers.append(f"{kind} {name} {len(inputs)} 1 {' '.join(inputs)} {name} {options}".strip())
        return name

    def convolve(name: str, blob: str, activated: bool = False) -> str:
        nonlocal numbers
        weight, bias = state[f"{name}.weight"].numpy(), state[f"{name}.bias"].numpy()
        values = weight.astype("<f2" if half else "<f4").tobytes()
        numbers += struct.pack("<I", 0x01306B47 if half else 0) + values + b"\0" * (-len(values) % 4)
        numbers += bias.astype(np.float32).tobytes()
        more = " 9=2 -23310=1,2.000000e-01" if activated else ""
        return add("Convolution", name, [blob], f"0={len(bias)} 1=3 4=1 5=1 6={weight.size}{more}")

    scaled = "0=1 -23301=2,2.000000e-01,1.000000e+00"
    first = trunk = convolve("conv_first", "data")
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    for block in range(blocks):
        beginning = trunk
        for dense in (1, 2, 3):
            prefix = f"body.{block}.rdb{dense}"
            blobs = [trunk]
            for index in (1, 2, 3, 4):
                seen = blobs[0] if index == 1 else add("Concat", f"{prefix}.cat{index}", blobs)
                blobs.append(convolve(f"{prefix}.conv{index}", seen, True))
            last = convolve(f"{prefix}.conv5", add("Concat", f"{prefix}.cat5", blobs))
            trunk = add("Eltwise", f"{prefix}.sum", [last, trunk], scaled)
        trunk = add("Eltwise", f"body.{block}.sum", [trunk, beginning], scaled)
    features = add("BinaryOp", "sum", [first, convolve("conv_body", trunk)], "0=0")
    for name in ("conv_up1", "conv_up2"):
        larger = add("Interp", f"{name}.larger", [features], "0=1 1=2.000000e+00 2=2.000000e+00")
        features = convolve(name, larger, True)
    convolve("conv_last", convolve("conv_hr", features, True))
    return "\n".join(["7767517", f"{len(layers)} {len(layers)}", *layers]) + "\n", numbers
