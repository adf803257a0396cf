"""`--report`: one HTML page that needs nothing else, with all scans and the result side by side in all three planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medsr.commands.volume.pictures import EDGES
from medsr.commands.volume.report import SHARE, heat, png
from medsr.commands.volume.together.lines import HEADER, rows
from medsr.commands.volume.together.pictures import StackPictures, StackView
from medsr.core.geometry import PLANES
from medsr.io.files import write_text
from medsr.networks.cards import measured
from medsr.report.json_text import json_text
from medsr.report.page import environment, today

IMAGES = 100
"""About as many in the page, however many scans there are."""


def write(path: Path, pictures: StackPictures, summary: dict[str, Any]) -> None:
    """Write the page, whole or not at all."""
    scale = _scale(pictures)
    count = max(3, min(9, IMAGES // (3 * len(pictures.names))))
    planes = [
        {
            "name": plane,
            "edges": EDGES[plane],
            "views": [_encode(view, scale) for view in pictures.spaced(plane, count)],
        }
        for plane in reversed(PLANES)
    ]
    page = (
        environment("medsr.commands.volume")
        .get_template("together.html")
        .render(
            planes=planes,
            names=pictures.names,
            scale=f"{scale:.4g}" if scale else "",
            share=f"{SHARE:.0%}".replace("%", " %"),
            bar=png(heat(np.linspace(0, 1, 256)[None].repeat(16, 0))),
            unit=pictures.unit,
            name=summary["output_file"],
            date=today(),
            card=measured(summary["model"]["name"]),
            header=HEADER,
            rows=rows(summary["stacks"]),
            summary=summary,
            details=json_text(_with_names_only(summary)),
        )
    )
    write_text(path, page)


def _with_names_only(summary: dict[str, Any]) -> dict[str, Any]:
    """The page travels further than its result: where files lie on this machine is not in it."""
    files = [entry | {"file": Path(entry["file"]).name} for entry in summary["input_files"]]
    like = summary["like"] and summary["like"] | {"file": Path(summary["like"]["file"]).name}
    parameters = summary["parameters"] | {"fuse": Path(summary["parameters"]["fuse"]).name}
    return summary | {"input_files": files, "like": like, "parameters": parameters}


def _scale(pictures: StackPictures) -> float:
    """The spread that is full colour, a fixed share of the range; 0 where there is none."""
    there = pictures.spread is not None and bool(np.any(pictures.spread))
    return SHARE * pictures.range if there else 0.0


def _encode(view: StackView, scale: float) -> dict[str, Any]:
    height, width = view.images[0].shape
    spread = png(heat(view.spread / scale)) if view.spread is not None and scale else None
    size = {"width": width, "height": round(height * view.aspect, 2)}
    return size | {"index": view.index, "images": [png(image) for image in view.images], "spread": spread}
