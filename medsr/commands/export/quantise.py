"""int8 after training (NNCF), on medical images of the kind the model serves; and what it costs, measured."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.commands.export.comparison import Comparison
from medsr.commands.export.cost import Cost
from medsr.commands.export.pairs import BLURS
from medsr.commands.export.refit import Reference, refit_last_layer
from medsr.core.errors import UsageError
from medsr.core.types import Array, Notify
from medsr.engines import openvino_engine
from medsr.engines.guarded import extent
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.recipe import ValidationProtocol

if TYPE_CHECKING:
    from medsr.training.validation import ValidationSample

TRUNK = re.compile(r"/body(?:/body)?\.(\d+)/")
"""In the names of the layers that become int8. First and last layers carry the image itself: they stay in fp32."""
SUMS = ["Add", "Multiply", "Interpolate", "DepthToSpace", "SpaceToDepth"]
"""Types of layers that stay in fp32: skip connections and changes of size, which carry the image too."""
CROP, CROPS, CROPS_OF_LARGE = 96, 144, 48
"""Side in low-resolution pixels and number of the pieces that ranges of activations are taken from."""
LARGE = 4_000_000
"""Weights of a network that is so slow that it gets fewer pieces: an RRDB of the usual 23 blocks has 16.7 million."""
GAIN = 0.5, 1.3
"""How much darker or brighter another camera's channel may be."""


def quantise_trunk(model: Any, comparison: Comparison, notify: Notify) -> tuple[Any, dict[str, Any]]:
    """OpenVINO's model with an int8 trunk, and for its card: what it was calibrated on and what it loses.

    While more is lost than nobody would notice (`Cost.good_unasked`), the trunk's layers are taken out of int8 that
    write into its skip connections (the last of each block), and then those of the first and last blocks. Where that
    does not help, the first choice stands that is acceptable. Raises UsageError where none is.
    """
    card, samples, folders = comparison.card, comparison.samples, comparison.folders
    crops = _crops(samples.calibration, card["spec"]["channels"], CROPS_OF_LARGE if _weights(model) > LARGE else CROPS)
    limits = np.max([extent(crop, card["spec"]["channels"]) for crop in crops], axis=0)
    reference = Reference.of(model, crops)
    best: tuple[Any, dict[str, Any]] | None = None
    for fp32_layers in _choices(model):
        quantised = refit_last_layer(_quantise(model, crops, fp32_layers), reference)
        costs = comparison.costs(OpenvinoEngine(quantised, card | {"precision": "int8"}))
        for folder, cost in zip(folders, costs, strict=True):
            notify(f"{len(fp32_layers)} trunk layers in fp32, {folder}: {cost}")
        worst = Cost.worst(costs)
        if worst.good_unasked or (worst.acceptable and best is None):
            measured = asdict(worst) | {"protocol": _protocol(samples.slices)}
            measured["folders"] = [asdict(cost) for cost in costs]  # names of folders may tell of people
            calibration: dict[str, Any] = {"bits": samples.bits} if samples.bits else {}
            calibration |= {
                "calibrated_on": len(samples.calibration),
                "crops": len(crops),
                "fp32_layers": len(fp32_layers),
                "extent": [round(float(side), 4) for side in limits],
            }
            best = quantised, {"calibration": calibration, "measured": measured}
        if worst.good_unasked:
            break
    if best is None:
        raise UsageError(worst.refusal(folders))
    return best


def _protocol(slices: bool) -> str:
    protocol = ValidationProtocol()
    factors = ", ".join(f"{factor:g}" for factor in protocol.factors)
    if slices:
        return f"mean downsampling of the third axis by {factors}"
    blurs = " or ".join(f"{sigma:g}" for sigma in BLURS[:2])
    return f"bicubic down by the scale, Gaussian blur of sigma {blurs}, 8 bits; all channels"


def _choices(model: Any) -> list[list[str]]:
    """Layers of the trunk to leave in fp32: none, then more and more. A dense block of an RRDB counts as a block."""
    names = [name for name in _convolutions(model) if TRUNK.search(name)]
    if not names:
        raise UsageError("int8: this architecture has no trunk that medsr knows how to quantise")
    block_of = {name: name.rpartition("/conv")[0] or name for name in names}
    blocks = list(dict.fromkeys(block_of.values()))
    last = {block: name for name, block in block_of.items()}  # in the order of computing: the last one stays
    edge = {name for name, block in block_of.items() if block in (blocks[0], blocks[-1])}
    choices = [[], sorted(last.values()), sorted(edge | set(last.values()))]
    return [choice for choice in choices if len(choice) < len(names)]  # else nothing would be in int8


def _weights(model: Any) -> int:
    constants = (layer for layer in model.get_ordered_ops() if layer.get_type_name() == "Constant")
    return sum(int(np.prod(layer.output(0).get_shape())) for layer in constants)


def _convolutions(model: Any) -> list[str]:
    return [layer.get_friendly_name() for layer in model.get_ordered_ops() if layer.get_type_name() == "Convolution"]


def _quantise(model: Any, crops: list[Array], fp32_layers: list[str]) -> Any:
    openvino_engine.package()  # first: see there
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise UsageError('`int8` needs the package nncf: pip install "medsr[openvino]"') from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    outside = [name for name in _convolutions(model) if not TRUNK.search(name)]
    scope = nncf.IgnoredScope(names=[*outside, *fp32_layers], types=SUMS, validate=False)
    mixed = nncf.QuantizationPreset.MIXED  # activations after a (leaky) ReLU are far from symmetric
    data = nncf.Dataset(crops)
    # The whole range that was seen: a mean over pieces, the default, cuts off what is bright in one of them.
    whole = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX)
    return nncf.quantize(
        model.clone(),
        data,
        subset_size=len(crops),
        ignored_scope=scope,
        preset=mixed,
        advanced_parameters=whole,
    )


def _crops(pairs: list[ValidationSample], image: int, count: int) -> list[Array]:
    """`count` (1, C, CROP, CROP) pieces of the low resolution, drawn with a fixed seed, in turn from every image.

    A third is stretched to full contrast: a bright vessel, a lead marker in an image to come must not lie beyond the
    ranges seen here, where int8 cuts off. A third has another camera's colours.
    """
    rng = np.random.default_rng(0)
    crops = []
    for index in range(count):
        low = pairs[index % len(pairs)].low_resolution
        side = [min(CROP, length - length % 4) for length in low.shape[:2]]
        y, x = (int(rng.integers(0, low.shape[n] - side[n] + 1)) for n in range(2))
        piece = low[y : y + side[0], x : x + side[1]]
        if index % 3 == 1:
            piece = _stretched(piece, image)
        elif index % 3 == 2:
            piece = _recoloured(piece, image, rng)
        crops.append(np.ascontiguousarray(piece.transpose(2, 0, 1)[None]))
    return crops


def _recoloured(piece: Array, image: int, rng: np.random.Generator) -> Array:
    """With the first `image` channels in another order, each brighter or darker."""
    result = piece.copy()
    gains = rng.uniform(*GAIN, image).astype(np.float32)
    result[:, :, :image] = np.clip(piece[:, :, rng.permutation(image)] * gains, 0, 1)
    return result


def _stretched(piece: Array, image: int) -> Array:
    """With the first `image` channels from 0 to 1; the others are a refiner's maps."""
    result = piece.copy()
    values = result[:, :, :image]
    low, high = float(values.min()), float(values.max())
    values -= low
    values /= max(high - low, 1e-3)
    return result
