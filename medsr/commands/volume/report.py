"""`--report`: one HTML page that needs nothing else, with a before/after slider on slices in all three planes."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.commands.volume.pictures import EDGES, Pictures, View
from medsr.core.geometry import PLANES
from medsr.io.files import write_text
from medsr.networks.cards import measured
from medsr.report.json_text import json_text
from medsr.report.page import environment, today

SLICES = 12
"""Views of each plane in the page."""
SHARE = 0.05
"""Of the scan's range of intensities: what has the full colour in an overlay. Of every scan the same, so that colour
means something: scaled to itself, rounding noise would be as yellow as a mistake."""


def write(path: Path, pictures: Pictures, summary: dict[str, Any]) -> None:
    """Write the page, whole or not at all."""
    scales = _scales(pictures)
    planes = [
        {
            "name": plane,
            "edges": EDGES[plane],
            "views": [_encode(view, scales) for view in pictures.spaced(plane, SLICES)],
        }
        for plane in reversed(PLANES)
    ]
    overlays = [name for name in ("spread", "difference") if scales[name]]
    page = (
        environment("medsr.commands.volume")
        .get_template("volume.html")
        .render(
            planes=planes,
            overlays=overlays,
            scales={name: f"{value:.4g}" for name, value in scales.items()},
            share=f"{SHARE:.0%}".replace("%", " %"),
            bar=png(heat(np.linspace(0, 1, 256)[None].repeat(16, 0))),
            unit=pictures.unit,
            name=Path(summary.get("input_file") or path.name).name,
            date=today(),
            card=measured(summary["model"]["name"]),
            summary=summary,
            figures=summary.get("consistency"),
            details=json_text(_with_names_only(summary)),
        )
    )
    write_text(path, page)


def _with_names_only(summary: dict[str, Any]) -> dict[str, Any]:
    """The page travels further than its result: where files lie on this machine is not in it."""
    names: dict[str, Any] = {"also": [Path(name).name for name in summary.get("also", [])]}
    if "input_file" in summary:
        names["input_file"] = Path(summary["input_file"]).name
    parameters = summary["parameters"]
    return summary | names | {"parameters": parameters | {"fuse": Path(parameters["fuse"]).name}}


def _scales(pictures: Pictures) -> dict[str, float]:
    """The value that is full colour in each overlay; 0 for one that is not there, or is 0 everywhere."""
    overlays = {"spread": pictures.spread, "difference": pictures.difference}
    there = {name: values is not None and bool(np.any(values)) for name, values in overlays.items()}
    return {name: SHARE * pictures.range if there[name] else 0.0 for name in overlays}


def _encode(view: View, scales: dict[str, float]) -> dict[str, Any]:
    height, width = view.after.shape
    encoded: dict[str, Any] = {"index": view.index, "width": width, "height": round(height * view.aspect, 2)}
    encoded["before"], encoded["after"] = png(view.before), png(view.after)
    for name, values in (("spread", view.spread), ("difference", view.difference)):
        if values is not None and scales[name]:
            encoded[name] = png(heat(np.abs(values) / scales[name]))
    return encoded


def heat(share: NDArray) -> NDArray:
    """0 to 1 as transparent to red to yellow: (H, W, 4)."""
    share = share.clip(0, 1)
    return np.stack([np.ones_like(share), share**2 * 0.9, np.zeros_like(share), share**0.7 * 0.9], axis=2)


def png(unit: NDArray) -> str:
    """Values from 0 to 1, (H, W) or (H, W, 4), as a data URI."""
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(np.rint(unit.clip(0, 1) * 255).astype(np.uint8)).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
