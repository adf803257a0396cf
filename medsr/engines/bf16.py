"""bfloat16 in a network's trunk, on CPUs that compute in it. What carries the image itself stays in fp32.

bfloat16 keeps three digits. All of an image network in it was wrong by up to 1.4 % of full range, its trunk alone by
0.5 %, for the trunk only adds to what the other layers carry.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from medsr.core.errors import UsageError
from medsr.engines import openvino_engine
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.engines.rewriting import rewrite
from medsr.networks.architectures import BODY

TRUNK = re.compile(BODY)
"""In the names of layers of the trunk. First and last layers carry the image itself: they stay in fp32."""
SKIP = re.compile(r"/Add(_\d+)?$")
"""Names of the sums of skip connections. Sums that belong to a convolution are called as it is."""
CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")
_MARKED = b"""<net name="marked" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
<rt_info><attribute name="precise" version="0"/></rt_info>
<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="y" type="Result" version="opset1"><input><port id="0" precision="FP32"><dim>1</dim></port></input>
</layer></layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>"""


def available() -> bool:
    """Whether this CPU computes in bfloat16 (AVX-512 BF16, AMX). Others would emulate it, slowly."""
    return openvino_engine.available() and "BF16" in openvino_engine.core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )


def check_available() -> None:
    """Raise UsageError where bfloat16 would be emulated, or OpenVINO is missing."""
    if not openvino_engine.available():
        raise UsageError(openvino_engine.HOW_TO_GET)
    if not available():
        raise UsageError("`precision=bf16`: this CPU does not compute in bfloat16 (AVX-512 BF16, AMX); use fp32")


def keep_image_in_fp32(model: Any) -> set[str]:
    """Mark what must stay in fp32 when OpenVINO's `model` is compiled in bfloat16; returns the convolutions among it.

    That is all but the layers of the trunk, and the sums of its skip connections. Raises UsageError for a network
    without a trunk that medsr knows.
    """
    key, mark = _mark()
    layers = model.get_ordered_ops()
    if not any(TRUNK.search(layer.get_friendly_name()) for layer in layers):
        raise UsageError("`precision=bf16`: this architecture has no trunk that medsr knows; use fp32")
    outside = [layer for layer in layers if not TRUNK.search(layer.get_friendly_name())]
    for layer in (*outside, *(layer for layer in layers if SKIP.search(layer.get_friendly_name()))):
        layer.set_rt_info(mark, key)
    return {layer.get_friendly_name() for layer in outside if layer.get_type_name() in CONVOLUTIONS}


def bf16_engine(model: Any, card: dict[str, Any]) -> OpenvinoEngine:
    """OpenVINO's fp32 `model` with its trunk in bfloat16. Raises UsageError where that is not to be had here."""
    check_available()
    model = rewrite(model).clone()
    in_fp32 = keep_image_in_fp32(model)
    engine = OpenvinoEngine(model, card | {"precision": "bf16"})
    if not is_heeded(engine.compiled_model, in_fp32):
        raise UsageError("`precision=bf16`: this OpenVINO would compute all layers in it; use fp32")
    return engine


def is_heeded(compiled: Any, convolutions: set[str]) -> bool:
    """Whether a compiled model computes those convolutions in fp32: nothing promises that OpenVINO heeds a mark."""
    precisions = {
        layer.get_friendly_name(): layer.get_rt_info()["runtimePrecision"].astype(str)
        for layer in compiled.get_runtime_model().get_ordered_ops()
    }
    return all(precisions.get(name, "f32") == "f32" for name in convolutions)


@cache
def _mark() -> tuple[str, Any]:
    """Key and value of OpenVINO's mark "not in fewer bits", which Python can make only by reading it."""
    information = openvino_engine.core().read_model(_MARKED, b"").get_parameters()[0].get_rt_info()
    key = next(iter(information.keys()))
    return key, information[key]
