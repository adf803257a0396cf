"""`cohort.html`: every subject's figures, outliers first, with thumbnails; what failed, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.cohort.figures import LABELS, UNLIKE, Subject, subjects
from medsr.commands.cohort.plan import Plan
from medsr.commands.cohort.results import Standing
from medsr.report.page import Section, Table, picture, write_page

PAGE = "cohort.html"
SHOWN = 60
"""Thumbnails on the page: all of a large cohort would make it too large to open."""
SIDE = 360


def write(plan: Plan, now: Standing) -> None:
    """Draw the page from what lies beside the results."""
    found = subjects(plan, now.done)
    unlike = [one for one in found if one.unlike]
    lead = f"{len(now.done)} of {now.total} done, {len(now.failed)} failed; {len(unlike)} unlike the others."
    sections = []
    if now.failed:
        rows = [(row.input, row.reason) for row in now.failed]
        again = f"To do them again, alone: medsr cohort retry {plan.out}"
        sections.append(Section("Failed", again, [Table(("input", "reason"), rows, text=True)]))
    if found:
        sections += [_table(found), _pictures(found)]
    write_page(plan.out / PAGE, f"medsr cohort {plan.command}", lead, sections)


def _table(found: list[Subject]) -> Section:
    keys = [key for key in LABELS if any(key in one.values for one in found)]
    rows = [(one.name, *(_cell(one, key) for key in keys), "; ".join(one.notes)) for one in found]
    text = (
        "The most unlike first: by the figure furthest from the cohort's median, in robust standard deviations. "
        f"Figures beyond {UNLIKE} are marked with *."
    )
    return Section("Subjects", text, [Table(("result", *(LABELS[key] for key in keys), "remarks"), rows)])


def _cell(one: Subject, key: str) -> str:
    if key not in one.values:
        return ""
    return f"{one.values[key]:.4g}{'*' if key in one.unlike else ''}"


def _pictures(found: list[Subject]) -> Section:
    pictures = []
    for one in found[:SHOWN]:
        if one.picture is not None and (unit := _thumbnail(one.picture)) is not None:
            why = f": {LABELS[one.why]} {one.values[one.why]:.4g}" if one.unlike else ""
            pictures.append(picture(f"{one.name}{why}", unit))
    text = "" if len(found) <= SHOWN else f"The {SHOWN} most unlike of {len(found)}."
    return Section("Pictures", text, pictures=pictures, small=True)


def _thumbnail(path: Path) -> NDArray[np.float32] | None:
    """A small picture of a preview or a result, in [0, 1]; None of one that no picture can be made of."""
    from PIL import Image

    from medsr.core.errors import MedsrError
    from medsr.io.images import image as image_io
    from medsr.io.images.frames import ALL
    from medsr.io.orientation import as_shown
    from medsr.metrics.psnr_ssim import DIGITS

    try:
        if path.name.endswith("_preview.png"):
            with Image.open(path, formats=["PNG"]) as whole:
                small = whole.convert("RGB")
        else:
            content = image_io.read_frames(path, ALL)
            image = content if isinstance(content, image_io.Image) else next(iter(content))
            unit = as_shown(image).to_unit().clip(0, 1)
            small = Image.fromarray(np.rint(unit.repeat(3 // unit.shape[2], axis=2) * DIGITS).astype(np.uint8))
    except (OSError, MedsrError):
        return None
    small.thumbnail((SIDE, SIDE))
    return np.asarray(small, np.float32) / np.float32(DIGITS)
