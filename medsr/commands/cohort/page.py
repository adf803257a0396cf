"""`cohort.html`: every subject's figures, outliers first, with thumbnails; what failed, and why."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from medsr.commands.cohort.figures import LABELS, OUTLIER_DISTANCE, Subject, load_subjects
from medsr.commands.cohort.plan import CohortPlan
from medsr.commands.cohort.results import CohortStatus
from medsr.report.page import Picture, Section, Table, folder_name, picture, write_page

PAGE = "cohort.html"
SHOWN = 60
"""Pictures on the page: all of a large cohort would make it too large to open."""
SIDE = 720
"""Pixels of the longer side of a picture, which is shown half as wide as the page; it links to the whole."""
COLUMNS = 2


def write(plan: CohortPlan, status: CohortStatus) -> None:
    """Draw the page from what lies beside the results."""
    subjects = load_subjects(plan, status.done)
    outlying = [subject for subject in subjects if subject.outliers]
    lead = f"{len(status.done)} of {status.total} done, {len(status.failed)} failed; {len(outlying)} unlike the others."
    sections = []
    if status.failed:
        rows = [(row.input, row.reason) for row in status.failed]
        again = f"To do them again, alone: medsr cohort retry {plan.out}"
        sections.append(Section("Failed", again, [Table(("input", "reason"), rows, text=True)]))
    if subjects:
        sections += [_table(subjects), _pictures(plan, subjects)]
    write_page(plan.out / PAGE, f"{folder_name(plan.out)}: cohort ({plan.command})", lead, sections)


def _table(subjects: list[Subject]) -> Section:
    keys = [key for key in LABELS if any(key in subject.values for subject in subjects)]
    rows = [(subject.name, *(_cell(subject, key) for key in keys), "; ".join(subject.notes)) for subject in subjects]
    text = (
        "The most unlike first: by the figure furthest from the cohort's median, in robust standard deviations. "
        f"Figures beyond {OUTLIER_DISTANCE} are marked with *."
    )
    return Section("Subjects", text, [Table(("result", *(LABELS[key] for key in keys), "remarks"), rows, remarks=True)])


def _cell(subject: Subject, key: str) -> str:
    if key not in subject.values:
        return ""
    return f"{subject.values[key]:.4g}{'*' if key in subject.outliers else ''}"


def _pictures(plan: CohortPlan, subjects: list[Subject]) -> Section:
    pictures: list[Picture] = []
    for subject in subjects[:SHOWN]:
        if subject.picture is not None and (thumbnail := _thumbnail(subject.picture)) is not None:
            figure = subject.outlier_figure
            reason = f": {LABELS[figure]} {subject.values[figure]:.4g}" if subject.outliers else ""
            pictures.append(picture(f"{subject.name}{reason}", thumbnail, link=_link(plan, subject.picture)))
    text = "A picture links to the whole one, or to the report of its scan where there is one."
    if len(subjects) > SHOWN:
        text = f"The {SHOWN} most unlike of {len(subjects)}. {text}"
    return Section("Pictures", text, pictures=pictures, columns=COLUMNS)


def _link(plan: CohortPlan, shown: Path) -> str:
    """The way from the page to a scan's report, else to its preview or the image; none to what lies elsewhere."""
    report = shown.with_name(shown.name.replace("_preview.png", "_report.html"))
    target = report if report.is_file() else shown
    return quote(os.fsencode(target.relative_to(plan.out).as_posix())) if target.is_relative_to(plan.out) else ""


def _thumbnail(path: Path) -> NDArray[np.float32] | None:
    """A small picture of a preview or a result, in [0, 1]; None of one that no picture can be made of."""
    from PIL import Image

    from medsr.core.errors import MedsrError
    from medsr.io.display import of_image
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
            display = of_image(image)
            window = replace(image.window, low=display.low, high=display.high)
            unit = as_shown(replace(image, window=window)).to_unit().clip(0, 1)
            small = Image.fromarray(np.rint(unit.repeat(3 // unit.shape[2], axis=2) * DIGITS).astype(np.uint8))
    except (OSError, MedsrError):
        return None
    small.thumbnail((SIDE, SIDE))
    return np.asarray(small, np.float32) / np.float32(DIGITS)
