"""RRDB generators in ncnn's form: `.param`, a graph in words, and `.bin`, its numbers.

Desktop programs carry the Real-ESRGAN weights so. The graph is not trusted to be an RRDB because it looks like one: it
is computed layer by layer on noise, and the network built of its weights must give the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import WeightsError
from medsr.networks.checkpoint import Spec

if TYPE_CHECKING:
    from torch import Tensor

MAGIC = "7767517"
HALF_PRECISION = 0x01306B47
"""What stands before weights of 16 bits; 0 stands before those of 32."""
LARGEST_DIFFERENCE = 1e-4
"""Between the graph's result and ours on noise of [0, 1]; summing in another order leaves some 1e-6."""
MOST_CHANNELS = 4096
_RRDB_LAYERS = frozenset({"Input", "Split", "Convolution", "Concat", "Eltwise", "BinaryOp", "Interp"})
_OUTER = ("conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


@dataclass(frozen=True)
class Layer:
    """One line of a `.param`. `options`: ncnn's numbered parameters, as text; lists have their length first."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[int, str]

    def number(self, key: int, default: float = 0.0) -> float:
        """A numbered parameter. Raises ValueError where it is not a number."""
        return float(self.options.get(key, default))

    def numbers(self, key: int) -> list[float]:
        """A numbered list, which ncnn stores under -23300 less its number."""
        return [float(part) for part in self.options.get(-23300 - key, "0").split(",")[1:]]


def load(param: Path) -> tuple[dict[str, Tensor], Spec]:
    """The weights of an RRDB generator in RRDBNet's names, and what it is.

    `param`: the graph; its numbers lie beside it in a `.bin` of the same name. Raises WeightsError for files that are
    damaged or do not belong together, and for any other network, with what it is made of.
    """
    numbers = param.with_suffix(".bin")
    if not numbers.is_file():
        raise WeightsError(f"{param}: its numbers, {numbers.name}, must lie beside it")
    if param.stat().st_size > 1 << 22:
        raise WeightsError(f"{param}: too large for a graph of ncnn")
    try:
        return convert(param.read_text(encoding="utf-8"), numbers.read_bytes())
    except WeightsError as error:
        raise WeightsError(f"{param}: {error}") from error
    except (ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:
        raise WeightsError(f"{param}: damaged, or not a graph of ncnn") from error


def convert(param: str, numbers: bytes) -> tuple[dict[str, Tensor], Spec]:
    """As `load`, of the two files' contents; what is damaged raises ValueError and its like."""
    import torch

    layers = parse(param)
    kinds = {layer.kind for layer in layers}
    if strange := sorted(kinds - _RRDB_LAYERS):
        raise WeightsError(f"a network with layers {', '.join(strange)}; of ncnn's, medsr reads RRDB generators only")
    tensors = read_tensors(layers, numbers)
    state, spec = _named(tensors)
    with torch.random.fork_rng([]), torch.inference_mode():
        noise = torch.rand(1, tensors[0][0].shape[1], 12, 10, generator=torch.Generator().manual_seed(0))
        net = spec.build().eval()
        net.load_state_dict(state)
        difference = float((net(noise) - _run(layers, tensors, noise)).abs().max())
    if not difference <= LARGEST_DIFFERENCE:
        raise WeightsError(f"not an RRDB generator: it gives other results than one (up to {difference:.2g} away)")
    return state, spec


def parse(param: str) -> list[Layer]:
    """The layers of a `.param`, in order. Raises ValueError."""
    lines = param.split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError("not a graph of ncnn")
    layers = []
    for line in lines[2:]:
        words = line.split()
        if not words:
            continue
        inputs, outputs = int(words[2]), int(words[3])
        names, options = words[4 : 4 + inputs + outputs], words[4 + inputs + outputs :]
        if inputs < 0 or outputs < 0 or len(names) < inputs + outputs:
            raise ValueError(f"a line of a graph of ncnn is cut short: {line[:60]}")
        pairs = (option.split("=", 1) for option in options)
        layers.append(
            Layer(words[0], tuple(names[:inputs]), tuple(names[inputs:]), {int(key): text for key, text in pairs})
        )
    if len(layers) != int(lines[1].split()[0]):
        raise ValueError("a graph of ncnn is cut short")
    return layers


def read_tensors(layers: list[Layer], numbers: bytes) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weight (out, in, height, width) and bias (out) of every convolution. Raises ValueError unless all bytes fit."""
    tensors = []
    at = 0
    for layer in (layer for layer in layers if layer.kind == "Convolution"):
        out, kernel, size = int(layer.number(0)), int(layer.number(1)), int(layer.number(6))
        if not (0 < out <= MOST_CHANNELS and kernel == 3 and size % (out * 9) == 0 and layer.number(5) == 1):
            raise ValueError("a convolution that RRDB generators do not have")
        (tag,) = struct.unpack_from("<I", numbers, at)
        if tag not in (HALF_PRECISION, 0):
            raise ValueError(f"weights of a form that is not known: {tag:#x}")
        kind, width = ("<f2", 2) if tag else ("<f4", 4)
        weight = np.frombuffer(numbers, kind, size, at + 4).astype(np.float32).reshape(out, -1, 3, 3)
        at += 4 + size * width
        at += -at % 4
        bias = np.frombuffer(numbers, "<f4", out, at).astype(np.float32)
        at += 4 * out
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("weights that are not numbers")
        tensors.append((weight, bias))
    if at != len(numbers):
        raise ValueError(f"{len(numbers)} bytes of numbers, the graph takes {at}")
    return tensors


def _named(tensors: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> tuple[dict[str, Tensor], Spec]:
    """Convolutions in RRDBNet's order under its names."""
    import torch

    from medsr.networks.checkpoint import rrdb_spec

    blocks, rest = divmod(len(tensors) - len(_OUTER), 15)
    if blocks < 1 or rest:
        raise WeightsError(f"{len(tensors)} convolutions, which is not the number of an RRDB generator")
    trunk = [f"body.{b}.rdb{r}.conv{c}" for b in range(blocks) for r in (1, 2, 3) for c in (1, 2, 3, 4, 5)]
    state = {}
    for name, (weight, bias) in zip([_OUTER[0], *trunk, *_OUTER[1:]], tensors, strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.from_numpy(weight), torch.from_numpy(bias)
    return state, rrdb_spec(state, Path("graph"))


def _run(layers: list[Layer], tensors: list[tuple[NDArray[np.float32], NDArray[np.float32]]], image: Tensor) -> Tensor:
    """What the graph makes of an image, (1, C, H, W), by ncnn's definitions of its layers."""
    import torch
    from torch.nn import functional

    blobs: dict[str, Tensor] = {}
    weights = iter(tensors)
    result = image
    for layer in layers:
        inputs = [blobs[name] for name in layer.inputs]
        if layer.kind == "Input":
            result = image
        elif layer.kind == "Split":
            result = inputs[0]
        elif layer.kind == "Convolution":
            weight, bias = next(weights)
            padding = int(layer.number(4))
            stride = int(layer.number(3, 1))
            result = functional.conv2d(inputs[0], torch.from_numpy(weight), torch.from_numpy(bias), stride, padding)
            result = _activated(layer, result)
        elif layer.kind == "Concat":
            result = torch.cat(inputs, 1)
        elif layer.kind == "Eltwise" and layer.number(0) == 1:
            factors = layer.numbers(1) or [1.0] * len(inputs)
            result = torch.stack([f * part for f, part in zip(factors, inputs, strict=True)]).sum(0)
        elif layer.kind == "BinaryOp" and layer.number(0) == 0 and len(inputs) == 2:
            result = inputs[0] + inputs[1]
        elif layer.kind == "Interp" and layer.number(0) == 1 and layer.number(1) == layer.number(2) == 2:
            result = functional.interpolate(inputs[0], scale_factor=2.0, mode="nearest")
        else:
            raise WeightsError(f"a layer {layer.kind} with options that RRDB generators do not have")
        blobs |= dict.fromkeys(layer.outputs, result)
    return result


def _activated(layer: Layer, image: Tensor) -> Tensor:
    from torch.nn import functional

    kind = int(layer.number(9))
    if kind == 0:
        return image
    if kind == 2:
        return functional.leaky_relu(image, layer.numbers(10)[0])
    raise WeightsError(f"an activation of kind {kind}, which RRDB generators do not have")
