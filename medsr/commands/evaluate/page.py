"""An evaluation's `report.html`: tables, intervals, pictures, protocol, and what the numbers do not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter

from medsr.commands.card_sections import card_sections
from medsr.commands.evaluate import tables
from medsr.commands.evaluate.benchmarks import is_plotted, label, split
from medsr.commands.evaluate.gallery import TRUTH, Gallery
from medsr.commands.evaluate.result import Evaluation
from medsr.commands.evaluate.verdict import verdict
from medsr.core.types import Array
from medsr.metrics.regions import foreground
from medsr.report.page import Picture, Section, Table, drawing, folder_name, picture, write_page

CROP = 96
ENLARGE = 3
EDGE = 12
"""Pixels of the foreground's edge where no crop is sought: its step would always win."""
DIFFERENCE = 0.1
"""Of full range, that gives the strongest colour of a difference map."""
COST = ("seconds", "memory_mb")
CAUTION = (
    "The low resolution was made by a formula; a real camera or scanner blurs in its own way. PSNR and SSIM are means "
    "over pixels and can rise while a small finding disappears; nobody read these images for a diagnosis. Look at the "
    "pictures, the worst first, and ask a reader before relying on any of it. Missing and added detail are about the "
    "finest structures only: what is larger than a few low-resolution pixels, invented or erased, is not in them."
)


def write(path: Path, result: Evaluation, gallery: Gallery, data: Path) -> None:
    """Write the page, one file that needs nothing else. `data`: the folder that was measured on."""
    cost = [key for key in result.metrics if key in COST]
    quality = [key for key in result.metrics if key not in COST]
    shown = ("channel", "low_resolution")
    parameters = [f"{name.replace('_', ' ')}: {result.protocol[name]}" for name in shown if name in result.protocol]
    caption = "; ".join([tables.counted(result), *parameters, "means with 95 % bootstrap intervals over images"])
    sections = [
        Section("Quality", tables.sentences(tables.remarks(result), result.seen), _tables(result, quality, caption)),
        Section("Intervals", INTERVALS.format(result.baseline), pictures=_plots(result), wide=True),
        Section("Cost", tables=_tables(result, cost, "One image at a time; memory is that of the whole process.")),
        *card_sections(result.models),
        Section("What the numbers do not say", CAUTION),
    ]
    for model in result.models:
        if model != result.baseline or len(result.models) == 1:
            sections += _pictures(result, gallery, model)
    protocol = [[name, value] for name, value in tables.protocol(result)]
    sections.append(Section("Protocol", tables=[Table(["", ""], protocol, text=True)]))
    if result.failed:
        reasons = [[outcome.input.name, str(outcome.error)] for outcome in result.failed]
        sections.append(Section("Left out", tables=[Table(["file", "reason"], reasons, text=True)]))
    versions = ", ".join(f"{name} {value}" for name, value in result.versions.items())
    measured = dict.fromkeys(split(key)[0] for key in result.metrics)
    about = [[metric.label, metric.about] for metric in measured]
    sections.append(Section("Metrics and versions", versions, [Table(["metric", "what it is"], about, text=True)]))
    alone = f"{result.baseline}, measured on {tables.counted(result)}."
    lead = " ".join(verdict(result)) or alone
    write_page(path, f"{folder_name(data)}: evaluation ({result.benchmark})", lead, sections)


INTERVALS = (
    "Left: means with their intervals. Right: differences to {} on the same image, each image a dot; an interval that "
    "does not touch the line is a difference these images can tell."
)


def _tables(result: Evaluation, metrics: list[str], caption: str) -> list[Table]:
    return [Table(header, rows, caption) for header, rows in tables.grids(result, metrics)]


def _plots(result: Evaluation) -> list[Picture]:
    return [_plot(result, key) for key in result.metrics if is_plotted(key)]


def _plot(result: Evaluation, key: str) -> Picture:
    others = [model for model in result.models if model != result.baseline]
    figure = Figure(figsize=(9.6, 0.9 + 0.42 * len(result.models)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=bool(others))
    names = list(result.models)
    for row, model in enumerate(reversed(names)):
        if mean := result.means[model].get(key):
            low, high = (mean.low, mean.high) if mean.low is not None else (mean.mean, mean.mean)
            left.plot([low, high], [row, row], color="tab:blue", linewidth=2)
            left.plot([mean.mean], [row], "o", color="tab:blue")
        if model in result.differences and (gain := result.differences[model].get(key)):
            dots = list(result.gains(model, key).values())
            right.plot(dots, [row] * len(dots), ".", color="grey", alpha=0.35)
            low, high = (gain.low, gain.high) if gain.low is not None else (gain.mean, gain.mean)
            right.plot([low, high], [row, row], color="tab:orange", linewidth=3)
            right.plot([gain.mean], [row], "o", color="tab:orange")
    left.set_yticks(range(len(names)), list(reversed(names)))
    left.set_ylim(-0.6, len(names) - 0.4)
    right.axvline(0, color="black", linewidth=0.8)
    left.set_xlabel(label(key))
    right.set_xlabel(f"difference to {result.baseline}")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.25)
        axes.locator_params(axis="x", nbins=6)  # more figures of four digits than that touch each other
    return drawing(label(key), figure)


def _pictures(result: Evaluation, gallery: Gallery, model: str) -> list[Section]:
    gains = result.gains(model, "psnr") if model != result.baseline else result.values(model, "psnr")
    ranked = sorted(gains, key=lambda image: (gains[image], image))
    chosen = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    sections = []
    for image in dict.fromkeys(chosen.values()):
        which = " and ".join(rank for rank, candidate in chosen.items() if candidate == image)
        how = f"{gains[image]:+.2f} dB over {result.baseline}" if model != result.baseline else f"{gains[image]:.2f} dB"
        title = f"{model}: {which} image, {image} ({how})"
        columns = 1 + 2 * len({result.baseline, model})  # ground truth, results, their differences
        crops = _crops(gallery, image, result.baseline, model)
        sections.append(Section(title, EXPLAINED, pictures=crops, columns=columns))
    return sections


EXPLAINED = (
    "First row: where the ground truth has its finest detail. Second row: where else this model is furthest from it. "
    "Both are sought in the foreground, away from its edge, and framed in the last picture. Differences: result minus "
    f"ground truth, red brighter, blue darker, full colour at {DIFFERENCE:.0%} of full range."
)


def _crops(gallery: Gallery, image: str, baseline: str, model: str) -> list[Picture]:
    truth = gallery.get(image, TRUTH)
    results = {name: gallery.get(image, name) for name in dict.fromkeys([baseline, model])}
    inside = binary_erosion(foreground(truth), iterations=EDGE)
    error = ((results[model] - truth) ** 2).mean(axis=2)
    finest = _peak(_fine(truth) * inside)
    elsewhere = error * inside
    elsewhere[finest] = 0
    crops = {"finest detail": finest, "largest error": _peak(elsewhere)}
    pictures = []
    for words, crop in crops.items():
        pictures.append(picture(f"ground truth, {words}", truth[crop], ENLARGE))
        pictures += [picture(name, result[crop], ENLARGE) for name, result in results.items()]
        for name, result in results.items():
            pictures.append(picture(f"difference of {name}", _coloured((result - truth)[crop]), ENLARGE))
    return [*pictures, picture("whole", _framed(truth, list(crops.values())))]


def _framed(truth: Array, places: list[tuple[slice, slice]]) -> Array:
    framed = np.repeat(truth, 3, axis=2) if truth.shape[2] == 1 else truth.copy()
    for rows, columns in places:
        colour = np.array([1.0, 1.0, 0.0], np.float32)
        line = max(2, max(framed.shape[:2]) // 150)  # as wide as it must be to be seen in a small picture
        inside = framed[rows, columns].copy()
        framed[rows, columns] = colour
        height, width = inside.shape[:2]
        inner = (slice(line, max(line, height - line)), slice(line, max(line, width - line)))
        framed[rows, columns][inner] = inside[inner]
    return framed


def _fine(truth: Array) -> Array:
    grey = truth.mean(axis=2)
    return np.asarray((grey - gaussian_filter(grey, 2)) ** 2, np.float32)


def _peak(weight: Array) -> tuple[slice, slice]:
    """The square of CROP pixels that holds the most."""
    height, width = weight.shape
    half = CROP // 2
    sums = uniform_filter(weight.astype(np.float64), CROP, mode="constant")
    inner = sums[half : max(half + 1, height - half + 1), half : max(half + 1, width - half + 1)]
    if inner.size == 0:  # an image smaller than the crop is shown whole
        return slice(0, height), slice(0, width)
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(row), int(row) + CROP), slice(int(column), int(column) + CROP)


def _coloured(difference: Array) -> Array:
    """(H, W, C) to red and blue, (H, W, 3)."""
    from matplotlib import colormaps

    scaled = (difference.mean(axis=2) / DIFFERENCE).clip(-1, 1) / 2 + 0.5
    return np.asarray(colormaps["RdBu_r"](scaled)[:, :, :3], np.float32)
