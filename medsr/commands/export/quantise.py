"""int8 after training (NNCF), on medical images of the kind the model serves; and what it costs, measured."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from medsr.commands.export import graph
from medsr.commands.export.calibration import calibration_crops
from medsr.commands.export.comparison import Comparison
from medsr.commands.export.cost import Cost
from medsr.commands.export.equalise import equalise, fold, widen
from medsr.commands.export.pairs import BLURS
from medsr.commands.export.refit import Reference, refit_last_layer
from medsr.commands.export.sensitivity import ranked, restored
from medsr.core.errors import UsageError
from medsr.core.types import Array, Notify
from medsr.engines import openvino_engine
from medsr.engines.guarded import extent
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.recipe import ValidationProtocol

SUMS = ["Add", "Subtract", "Divide", "Multiply", "Interpolate", "DepthToSpace", "SpaceToDepth"]
"""Types of layers that stay in fp32: skip connections and changes of size, which carry the image too."""
CROPS, CROPS_OF_LARGE = 144, 48
"""So many pieces the ranges of activations are taken from."""
LARGE = 4_000_000
"""Weights of a network that is so slow that it gets fewer pieces: an RRDB of the usual 23 blocks has 16.7 million."""
SHARES, SHARES_OF_LARGE = (0, 1 / 30, 1 / 15, 1 / 10, 2 / 15, 1 / 5, 1 / 2), (0, 1 / 10, 1 / 5, 1 / 2)
"""Of the trunk's layers: how many are tried in fp32, one after the other."""


def quantise_trunk(model: Any, comparison: Comparison, notify: Notify) -> tuple[Any, dict[str, Any]]:
    """OpenVINO's model with an int8 trunk, and for its card: what it was calibrated on and what it loses.

    While more is lost than nobody would notice (`Cost.good_unasked`), layers are taken out of int8, first those whose
    way back to fp32 gains most for its time. Where that does not help, the first choice stands that is acceptable.
    Raises UsageError where none is.
    """
    card, samples, folders = comparison.card, comparison.samples, comparison.folders
    layers = len(graph.trunk(model))
    if not layers:
        raise UsageError("int8: this architecture has no trunk that medsr knows how to quantise")
    large = _weights(model) > LARGE
    minutes = "some twenty minutes" if large else "minutes"
    notify(f"int8: calibrating the {layers} layers of the trunk, then trying them in fp32; this takes {minutes}")
    crops = calibration_crops(samples.calibration, card["spec"]["channels"], CROPS_OF_LARGE if large else CROPS)
    limits = np.max([extent(crop, card["spec"]["channels"]) for crop in crops], axis=0)
    reference = Reference.of(model, crops)
    plain = equalise(model, crops)
    whole = _quantise(plain, crops)
    best: tuple[Any, dict[str, Any]] | None = None
    for fp32_layers in _choices(ranked(whole, plain, crops), SHARES_OF_LARGE if large else SHARES):
        quantised = restored(whole, plain, fp32_layers)
        widen(quantised)
        fold(quantised)
        quantised = refit_last_layer(quantised, reference)
        costs = comparison.costs(OpenvinoEngine(quantised, card | {"precision": "int8"}))
        for folder, cost in zip(folders, costs, strict=True):
            notify(f"{len(fp32_layers)} of {layers} trunk layers in fp32, {folder}: {cost}")
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


def _choices(ranking: list[list[str]], shares: Sequence[float]) -> list[list[str]]:
    """Layers of the trunk to leave in fp32, from the front of the ranking: none, then more and more, never all."""
    counts = sorted({min(round(share * len(ranking)), len(ranking) - 1) for share in shares})
    return [[name for names in ranking[:count] for name in names] for count in counts]


def _weights(model: Any) -> int:
    constants = (layer for layer in model.get_ordered_ops() if layer.get_type_name() == "Constant")
    return sum(int(np.prod(layer.output(0).get_shape())) for layer in constants)


def nncf_package() -> Any:
    """The package, quiet. Raises UsageError where it is not installed."""
    openvino_engine.package()  # first: see there
    try:
        import nncf
    except ImportError as error:
        raise UsageError('`int8` needs the package nncf: pip install "medsr[openvino]"') from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def _quantise(model: Any, crops: list[Array]) -> Any:
    """With the whole trunk in int8."""
    nncf = nncf_package()
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    inside = graph.trunk(model)
    layers = (layer for layer in model.get_ordered_ops() if layer.get_type_name().endswith("Convolution"))
    outside = [name for layer in layers if (name := layer.get_friendly_name()) not in inside]
    scope = nncf.IgnoredScope(names=outside, types=SUMS, validate=False)
    mixed = nncf.QuantizationPreset.MIXED  # activations after a (leaky) ReLU are far from symmetric
    data = nncf.Dataset(crops)
    # The whole range that was seen: a mean over pieces, the default, cuts off what is bright in one of them.
    # Biases stay: NNCF corrects few of those, in a way that depends on the pieces, and the last layer is fitted anyway.
    parameters = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX, disable_bias_correction=True
    )
    with contextlib.redirect_stdout(sys.stderr):  # its progress bar
        return nncf.quantize(
            model.clone(),
            data,
            subset_size=len(crops),
            ignored_scope=scope,
            preset=mixed,
            advanced_parameters=parameters,
        )
