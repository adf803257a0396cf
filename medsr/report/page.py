"""Self-contained HTML pages: tables, pictures and curves in one file that needs nothing else."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medsr.core.text import shown_lines
from medsr.core.version import __version__
from medsr.io.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from matplotlib.figure import Figure


FEW = 4
"""Curves that leave room for their names among them."""


@dataclass(frozen=True)
class Picture:
    """An image with a caption; `data` is a data URI. `link`: what a click opens, from the page."""

    caption: str
    data: str
    link: str = ""


@dataclass(frozen=True)
class Table:
    """`rows` below a `header`; the first column is a name, the others are figures, or with `text` words.

    `remarks`: the last column is words that may be long.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text: bool = False
    remarks: bool = False


@dataclass(frozen=True)
class Section:
    """One part of a page; pictures stand side by side, with `wide` below each other, with `columns` so many in a row.

    A row of `columns` stays a row on paper. `code` is shown as it is.
    """

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    wide: bool = False
    columns: int = 0
    code: str = ""


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page, whole or not at all. `title`: what it is about, with the name of the file or folder.

    The title and the first line also bear the date of today, so that a printed page can be told from others.
    """
    page = _template().render(title=title, date=today(), lead=lead, sections=sections, version=__version__)
    write_text(path, page)


def today() -> str:
    """The date that a page bears, as 2024-12-31."""
    return time.strftime("%Y-%m-%d")


def folder_name(folder: Path) -> str:
    """What a page calls a folder: its own name. Those above may bear the name of a person."""
    return folder.resolve().name or folder.anchor or str(folder)


@lru_cache(1)
def _template() -> Template:
    return environment("medsr.report").get_template("page.html")


def environment(package: str) -> Environment:
    """Templates of a package whose values, whoever wrote them, are text: no tags, no escape sequences."""
    import jinja2

    shared = jinja2.PackageLoader("medsr.report")  # what all pages have in common
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(package), shared])
    return jinja2.Environment(loader=loader, autoescape=True, finalize=_plain)


def _plain(value: object) -> object:
    return shown_lines(value) if type(value) is str else value  # a subclass is what the template itself wrote


def picture(caption: str, unit: NDArray[np.float32], enlarge: int = 1, link: str = "") -> Picture:
    """(H, W, 1 or 3) in [0, 1] as a PNG; `enlarge` repeats pixels, so that a crop shows its pixels as they are."""
    from PIL import Image as Pillow

    pixels = np.rint(unit.clip(0, 1) * 255).astype(np.uint8)
    pixels = pixels.repeat(enlarge, 0).repeat(enlarge, 1)
    stream = io.BytesIO()
    Pillow.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG", optimize=True)
    return Picture(caption, _data_uri("image/png", stream.getvalue()), link)


def picture_file(caption: str, path: Path) -> Picture:
    """A PNG file as a picture."""
    return Picture(caption, _data_uri("image/png", path.read_bytes()))


def curves(
    caption: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    unit: str,
    log: bool = False,
    x: str = "iteration",
    lowest: float | None = None,
) -> Picture:
    """Curves, name -> (along `x`, values), as SVG drawn by matplotlib. `lowest`: what is below is not shown."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, (iterations, values) in lines.items():
        axes.plot(iterations, values, label=name, linewidth=1.4, marker="." if len(values) < 40 else "")
    axes.set_xlabel(x)
    axes.set_ylabel(unit)
    axes.grid(alpha=0.25)
    if log:
        axes.set_yscale("log")
    if lowest is not None:
        axes.set_ylim(bottom=lowest)
    if lines:
        if len(lines) > FEW:
            figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        else:
            axes.legend(frameon=False, fontsize=8)
    return drawing(caption, figure)


def drawing(caption: str, figure: Figure) -> Picture:
    """A figure of matplotlib as SVG, of the same bytes every time."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "medsr"}):  # else the names of its parts are random
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Picture(caption, _data_uri("image/svg+xml", stream.getvalue()))


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Running mean over up to `window` values, as long as `values`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    starts = np.maximum(np.arange(1, len(values) + 1) - window, 0)
    ends = np.arange(1, len(values) + 1)
    return [float(x) for x in (sums[ends] - sums[starts]) / (ends - starts)]


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
