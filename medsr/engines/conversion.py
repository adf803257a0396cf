"""From a torch network to ONNX and OpenVINO, with a card that says what it is."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import UsageError
from medsr.core.version import __version__
from medsr.engines import openvino_engine
from medsr.io.files import atomic_path, utf8_name
from medsr.networks.architectures import condition_maps

if TYPE_CHECKING:
    from torch import nn

    from medsr.networks.checkpoint import Spec

SIDE = 32
"""Of the example the network is traced with; other sizes work."""
OPSET = 17


def card_of(name: str, sha256: str, spec: Spec, training: dict[str, Any]) -> dict[str, Any]:
    """What an exported file says of itself. `sha256`: of the weight file it was made from."""
    return {
        "tool": "medsr",
        "version": __version__,
        "model": name,
        "sha256": sha256,
        "spec": asdict(spec),
        "training": training,
        "precision": "fp32",
    }


def check() -> None:
    """Raise UsageError where what writes ONNX is missing."""
    if find_spec("onnx") is None:
        raise UsageError('medsr export needs the package onnx: pip install "medsr[openvino]"')


def to_onnx(net: nn.Module, spec: Spec) -> bytes:
    """The network as ONNX: (n, channels, height, width), all but the channels free.

    Heights and widths must be multiples of `networks.architectures.SIZE_MULTIPLE`, as in torch.
    """
    import torch

    channels = spec.channels + condition_maps(spec.architecture)
    example = torch.rand(1, channels, SIDE, SIDE)
    free = {
        "input": {0: "n", 2: "height", 3: "width"},
        "output": {0: "n", 2: "large_height", 3: "large_width"},
    }
    packed = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about sizes that are whole numbers here
        plain = net.cpu().float().to(memory_format=torch.contiguous_format).eval()
        torch.onnx.export(
            plain,
            (example,),
            packed,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes=free,
        )
    return packed.getvalue()


def to_openvino(onnx: bytes) -> Any:
    """OpenVINO's model of an ONNX file's content. Raises UsageError where OpenVINO is missing."""
    return openvino_engine.core().read_model(onnx)


def save_onnx(path: Path, content: bytes, card: dict[str, Any]) -> None:
    """Write ONNX with its card."""
    import onnx

    model = onnx.load_model_from_string(content)
    entry = model.metadata_props.add()
    entry.key, entry.value = openvino_engine.CARD, json.dumps(card)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def save_openvino(path: Path, model: Any, card: dict[str, Any]) -> None:
    """Write `path` (.xml) and its .bin beside it, weights as they are, with the card."""
    model.set_rt_info(json.dumps(card), openvino_engine.CARD)
    with (
        atomic_path(path.with_suffix(".bin")) as weights,
        atomic_path(path) as text,
        utf8_name(text) as xml,
        utf8_name(weights) as binary,
    ):
        openvino_engine.package().serialize(model, str(xml), str(binary))
