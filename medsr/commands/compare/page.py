"""The page of a comparison: table, curves, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from medsr.commands.card_sections import card_sections
from medsr.commands.compare.entry import Entry, Failed
from medsr.commands.evaluate.verdict import compared
from medsr.core.types import Array
from medsr.metrics import names, perceptual
from medsr.metrics.bootstrap import METHOD, IntervalSummary
from medsr.report.page import Section, Table, curves, folder_name, picture, write_page
from medsr.training.validation import Predict, Scores, ValidationSample

Shown = list[Array]
"""A crop of each image shown, (SIDE, SIDE, C) in [0, 1]."""
SIDE = 96
ENLARGE = 2
MOST_COLUMNS = 6
IMAGES = 3
"""How many held-out images are shown."""
CAUTION = (
    "Networks this small, trained this briefly, say how fast a method learns, not how good it becomes. A GAN stage "
    "gives PSNR away for what looks sharp, and may invent detail: compare the pictures, not only the table."
)
START = "Recipes started from it. Repeated from its card: its figures before this training, of the images named there."


@dataclass(frozen=True)
class ComparisonSummary:
    """What the page says of the protocol. `images`: the held-out ones, by name. `recipes`: name -> YAML.

    `starts`: the weights that recipes started from, by name or file.
    """

    protocol: str
    baseline: str
    budget: str
    images: tuple[str, ...]
    recipes: Mapping[str, str]
    starts: tuple[str, ...] = ()


def header(baseline: str, scores: Scores) -> list[str]:
    """The table's columns: those of perceptual distances only where their weights are at hand."""
    columns = ["model", "parameters", "iterations", "it/s", "start", "PSNR", f"over {baseline}", "SSIM", "PSNR on Y"]
    return columns + [names.label(metric) for metric in scores.per_image if metric in perceptual.METRICS]


def rows(entries: Sequence[Entry], baseline: str) -> list[list[str]]:
    """The table, interpolation first."""
    scores = entries[0].bicubic
    table = [[baseline, "", "", "", "", f"{scores.psnr:.2f}", "", f"{scores.ssim:.4f}", *_last_columns(scores)]]
    for entry in entries:
        result = entry.leaf.result
        speed = f"{result.iterations / max(result.seconds, 1e-9):.2f}"
        measured = [
            f"{entry.start_psnr:.2f}",
            f"{entry.scores.psnr:.2f}",
            interval(entry.gain),
            f"{entry.scores.ssim:.4f}",
        ]
        cost = [f"{entry.parameters:,}", str(result.iterations), speed]
        table.append([entry.leaf.name, *cost, *measured, *_last_columns(entry.scores)])
    return table


def _last_columns(scores: Scores) -> list[str]:
    distances = [f"{scores.mean(metric):.4f}" for metric in scores.per_image if metric in perceptual.METRICS]
    return [f"{scores.mean('psnr_y'):.2f}", *distances]


def interval(gain: IntervalSummary) -> str:
    """A difference in dB with its interval."""
    return f"{gain.mean:+.2f}" + (f" [{gain.low:+.2f}, {gain.high:+.2f}]" if gain.low is not None else "")


def remarks(entries: Sequence[Entry], baseline: str) -> list[str]:
    """Which got no better by training, and which do not beat interpolation."""
    worse = [entry.leaf.name for entry in entries if not entry.improved]
    behind = [entry.leaf.name for entry in entries if not entry.gain.above_zero]
    lines = [f"No better than they began: {', '.join(worse)}."] if worse else []
    return lines + ([f"Not better than {baseline} on these images (PSNR): {', '.join(behind)}."] if behind else [])


def verdict(entries: Sequence[Entry], baseline: str) -> list[str]:
    """Whether the weights that each recipe ended with are better than interpolation, the best first."""
    last = {entry.leaf.of: entry for entry in entries}.values()
    ranked = sorted(last, key=lambda entry: -entry.gain.mean)
    return [sentence for entry in ranked if (sentence := compared(entry.leaf.name, baseline, entry.gains))]


def write(
    path: Path,
    entries: Sequence[Entry],
    failed: Sequence[Failed],
    shown: Mapping[str, Shown],
    summary: ComparisonSummary,
) -> None:
    """Write the page, one file that needs nothing else."""
    held_out = "1 held-out image" if len(summary.images) == 1 else f"{len(summary.images)} held-out images"
    caption = f"{held_out}. Protocol: {summary.protocol}. {summary.budget}. PSNR in dB. {METHOD}."
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for entry in entries:  # a recipe's stages follow each other
        minutes, psnrs = lines.setdefault(entry.leaf.of, ([], []))
        minutes += entry.course()[0]
        psnrs += entry.course()[1]
    longest = max(max(minutes) for minutes, _ in lines.values() if minutes)
    psnr = entries[0].bicubic.psnr
    lines[summary.baseline] = ([0.0, longest], [psnr, psnr])
    lowest = psnr - 8.0  # a network from scratch begins at 6 dB, and would flatten all that follows
    drawn = curves("Validation PSNR of the EMA weights", lines, "dB", x="minutes of training", lowest=lowest)
    table = Table(header(summary.baseline, entries[0].bicubic), rows(entries, summary.baseline), caption)
    sections = [
        Section("Result", " ".join(remarks(entries, summary.baseline)), [table]),
        Section("Curves", f"Below {lowest:.0f} dB nothing is drawn.", pictures=[drawn], wide=True),
        *card_sections(summary.starts, START),
        Section("What the numbers do not say", CAUTION),
    ]
    for index in range(len(next(iter(shown.values())))):
        crops_shown = [picture(name, crops[index], ENLARGE) for name, crops in shown.items()]
        where = f"The {SIDE} x {SIDE} pixels with most detail of held-out image {index + 1}, enlarged {ENLARGE} times."
        sections.append(
            Section(f"Pictures {index + 1}", where, pictures=crops_shown, columns=min(len(crops_shown), MOST_COLUMNS))
        )
    if failed:
        reasons = [[failure.name, failure.reason] for failure in failed]
        sections.append(Section("Did not come to their end", tables=[Table(["recipe", "reason"], reasons, text=True)]))
    sections += [Section(f"Recipe {name}", code=text) for name, text in summary.recipes.items()]
    wide = f"{len(summary.recipes)} recipes on the same images, {summary.budget}, beside {summary.baseline}."
    lead = " ".join([*verdict(entries, summary.baseline), wide])
    write_page(path, f"{folder_name(path.parent)}: comparison of recipes", lead, sections)


def crops(model: Predict, held_out: Sequence[ValidationSample], scale: int) -> Shown:
    """The same place of some images, as a model shows it."""
    return [_cut(model(sample.low_resolution, scale), sample.ground_truth) for sample in _chosen(held_out)]


def baseline_crops(held_out: Sequence[ValidationSample]) -> dict[str, Shown]:
    """The same place in ground truth, low resolution (its pixels as they are) and interpolation."""
    chosen = _chosen(held_out)
    return {
        "ground truth": [_cut(sample.ground_truth, sample.ground_truth) for sample in chosen],
        "low resolution": [_cut(_repeated(sample), sample.ground_truth) for sample in chosen],
        "interpolation": [_cut(sample.interpolated, sample.ground_truth) for sample in chosen],
    }


def _chosen(held_out: Sequence[ValidationSample]) -> list[ValidationSample]:
    """Some, spread over all."""
    indices = np.linspace(0, len(held_out) - 1, min(IMAGES, len(held_out))).round().astype(int)
    return [held_out[index] for index in indices]


def _repeated(sample: ValidationSample) -> Array:
    image = sample.low_resolution[:, :, : sample.ground_truth.shape[2]]
    scale = sample.ground_truth.shape[0] // image.shape[0]
    return image.repeat(scale, 0).repeat(scale, 1)


def _cut(image: Array, truth: Array) -> Array:
    """The SIDE x SIDE pixels where the ground truth varies most at the finest scale."""
    grey = truth.mean(axis=2)
    detail = uniform_filter((grey - uniform_filter(grey, 5)) ** 2, SIDE, mode="constant")
    tops, lefts = (max(1, length - SIDE + 1) for length in grey.shape)
    middle = min(SIDE // 2, grey.shape[0] // 2), min(SIDE // 2, grey.shape[1] // 2)
    inner = detail[middle[0] : middle[0] + tops, middle[1] : middle[1] + lefts]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return image[top : top + SIDE, left : left + SIDE]
