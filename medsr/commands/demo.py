"""`medsr demo`: the main job on a real fundus photograph that comes with scikit-image. No network, no GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.card_sections import card_sections
from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.core.intensity import Window
from medsr.degradation.multiscale import reduce, sizes
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.io.images import image as image_io
from medsr.metrics import names, perceptual, psnr_ssim
from medsr.networks import weight_store
from medsr.recipe import Recipe, load
from medsr.report.page import Picture, Section, Table, folder_name, picture, write_page
from medsr.training import report as train_report

RECIPE, BEFORE = "demo_retina", "medsr-retina-x2"
FULL_RECIPE, FULL_BEFORE = "demo_full", "realesrgan-x4plus"
HELD_OUT_FROM = 0.6
"""The photograph left of this fraction of its width is for training, the rest is held out."""
HELD_OUT_SCALE = 0.5
"""The held-out part is reduced by this (Lanczos), to about DRIVE's pixels per fundus: at full size it is too soft for
super-resolution by 2 to have anything to restore."""
CROPS = ((150, 60), (330, 110), (480, 40))
CROP_SIDE = 96
START = (
    "Repeated from the card of the model before this fine-tuning. Its figures are of the images that the card names."
)


@dataclass(frozen=True)
class Row:
    """One line of the demo's table."""

    model: str
    psnr: float
    ssim: float
    seconds: float
    perceptual: dict[str, float] = field(default_factory=dict)
    """LPIPS and DISTS by name, where the weights they need are on this machine."""


def demo(
    out: str | Path = "medsr-demo",
    device: str = "auto",
    *,
    full: bool = False,
    notify: Callable[[str], None] = print,
) -> list[Row]:
    """Fine-tune a generator on one part of a fundus photograph, and super-resolve the other part.

    It takes some minutes. The ground truth, the run, the results and `report.html` are written below `out`.

    Args:
        out: The folder for everything.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        full: Fine-tune the official Real-ESRGAN generator (16.7 M parameters, factor 4) in place of the bundled compact
            one (0.87 M, factor 2). `medsr weights fetch realesrgan-x4plus` brings its weights.
        notify: Called with each line that a user should read.

    Returns:
        The table's rows: bicubic, before and after fine-tuning. PSNR (dB) and SSIM over all channels of the held-out
        part at 8 bits.

    Raises:
        WeightsError: With `full`, where the official weights are not on this machine.

    Examples:
        .. code-block:: python

            rows = medsr.demo("medsr-demo")
    """
    began = time.monotonic()
    out = Path(out)
    name, before = (FULL_RECIPE, FULL_BEFORE) if full else (RECIPE, BEFORE)
    recipe = load(name)
    scale, blur = recipe.scale, recipe.protocol.blur_sigma
    weight_store.locate(before)
    train, truth, low = prepare(out / "data", recipe)
    notify(f"training on {len(list(train.iterdir()))} images cut from the photograph; the rest of it is for the report")
    run = out / f"run-{time.strftime('%Y%m%d-%H%M%S')}"
    result = finetune(name, data=train, out=run, device=device, notify=notify)
    models = {"bicubic": "bicubic", "before": before, "after": str(result.model)}
    rows, pictures = [], {}
    ground_truth = image_io.read(truth).to_unit()
    distances = {metric: perceptual.METRICS[metric].build("cpu") for metric in perceptual.at_hand()}
    for label, model in models.items():
        outcome = upscale([low], out / "results" / label, model=model, outscale=scale, device=device)[0]
        if outcome.error:
            raise outcome.error
        pictures[label] = image_io.read(outcome.output).to_unit()
        pair = pictures[label], ground_truth
        measured = {metric: distance(*pair) for metric, distance in distances.items()}
        rows.append(Row(label, psnr_ssim.psnr(*pair), psnr_ssim.ssim(*pair), outcome.seconds, measured))
    protocol = f"bicubic down by {scale}, Gaussian blur of sigma {blur:g} low-resolution pixels, 8 bits"
    page = out / "report.html"
    _write_report(page, before, rows, pictures | {"ground truth": ground_truth}, protocol, run)
    notify("")
    for line in table(rows):
        notify(line)
    notify(verdict(rows))
    notify(f"before: {before}; after: the same, fine-tuned on the other part of the photograph")
    notify(f"Held-out part, {ground_truth.shape[1]}x{ground_truth.shape[0]}, all channels. Protocol: {protocol}.")
    notify(f"report: {page}  ({time.monotonic() - began:.0f} s in all)")
    return rows


def prepare(folder: Path, recipe: Recipe) -> tuple[Path, Path, Path]:
    """Cut scikit-image's photograph: the training folder, the held-out ground truth and its low resolution."""
    from skimage.data import retina

    photograph = retina()
    border = round(photograph.shape[1] * HELD_OUT_FROM)
    train = folder / "train"
    part = _as_image(photograph[:, :border])
    multiscale = recipe.data.multiscale
    every = sizes(part.pixels.shape[:2], multiscale.scales if multiscale else (), None)
    for size in every:
        image_io.write(train / f"retina_left_{size[1]}x{size[0]}.png", reduce(part, size))
    right = _as_image(crop_to_multiple(photograph[:, border:], round(2 * recipe.scale / HELD_OUT_SCALE)))
    height, width = right.pixels.shape[:2]
    held_out = reduce(right, (round(height * HELD_OUT_SCALE), round(width * HELD_OUT_SCALE)))
    truth, low = folder / "held_out" / "ground_truth.png", folder / "held_out" / "low_resolution.png"
    image_io.write(truth, held_out)
    degraded = bicubic_then_blur(held_out.to_unit(), recipe.scale, recipe.protocol.blur_sigma)
    image_io.write(low, held_out.with_unit(degraded))
    return train, truth, low


def table(rows: list[Row]) -> list[str]:
    """The table as aligned text."""
    cells = _cells(rows)
    widths = [len(title) + 2 for title in cells[0][1:]]
    return [line[0].ljust(10) + "".join(map(str.rjust, line[1:], widths)) for line in cells]


def verdict(rows: list[Row]) -> str:
    """How the fine-tuned model stands to bicubic, and where it stood before."""
    psnr = {row.model: row.psnr for row in rows}
    before, after = (_than(psnr[model] - psnr["bicubic"]) for model in ("before", "after"))
    return f"On the held-out part the fine-tuned model is {after} (PSNR); before fine-tuning it was {before}."


def _than(gain: float) -> str:
    return f"{abs(gain):.2f} dB {'better' if gain >= 0 else 'worse'} than bicubic"


def _cells(rows: list[Row]) -> list[list[str]]:
    """The table's header and lines."""
    labels = [names.label(metric) for metric in rows[0].perceptual]
    return [["model", "PSNR (dB)", "  SSIM", *labels, "time (s)"]] + [
        [
            row.model,
            f"{row.psnr:.2f}",
            f"{row.ssim:.4f}",
            *(f"{distance:.4f}" for distance in row.perceptual.values()),
            f"{row.seconds:.1f}",
        ]
        for row in rows
    ]


def _as_image(pixels: NDArray[np.uint8]) -> image_io.Image:
    return image_io.Image(np.ascontiguousarray(pixels), Window.of_bits(8), image_io.PNG)


def _write_report(
    path: Path, model: str, rows: list[Row], pictures: dict[str, NDArray[np.float32]], protocol: str, run: Path
) -> None:
    header, *lines = _cells(rows)
    figures = Table(
        [title.strip() for title in header],
        lines,
        f"Held-out part, all channels. Protocol: {protocol}.",
    )
    whole = [picture(name, unit) for name, unit in pictures.items()]
    crops: list[Picture] = []
    for top, left in CROPS:
        cut = np.s_[top : top + CROP_SIDE, left : left + CROP_SIDE]
        crops += [picture(f"{name}, at row {top}, column {left}", unit[cut], 3) for name, unit in pictures.items()]
    sections = [
        Section("Figures", tables=[figures]),
        *card_sections([model], START),
        Section(
            "Zoomed",
            f"Crops of {CROP_SIDE} pixels, every pixel enlarged three times.",
            pictures=crops,
            columns=len(pictures),
        ),
        Section("Whole", pictures=whole, columns=len(whole)),
        Section("Training", pictures=train_report.loss_curves(run)),
    ]
    lead = (
        f"A fundus photograph (scikit-image's data.retina, public domain). The model {model} was fine-tuned on its "
        "left part and tried on its right part, which the fine-tuning did not see."
    )
    lead = f"{verdict(rows)} {lead}"
    write_page(path, f"{folder_name(path.parent)}: super-resolution of a fundus photograph", lead, sections)
