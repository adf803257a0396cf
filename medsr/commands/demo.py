"""`medsr demo`: the main job on a real fundus photograph that comes with scikit-image. No network, no GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.core.intensity import Window
from medsr.degradation.multiscale import reduce, sizes
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.io.images import image as image_io
from medsr.metrics import psnr_ssim
from medsr.recipe import load
from medsr.report.page import Picture, Section, Table, picture, write_page
from medsr.training import report as train_report

RECIPE = "demo_retina"
BEFORE = "medsr-retina-x2"
HELD_OUT_FROM = 0.6
"""The photograph left of this fraction of its width is for training, the rest is held out."""
HELD_OUT_SCALE = 0.5
"""The held-out part is reduced by this (Lanczos), to about DRIVE's pixels per fundus: at full size it is too soft for
super-resolution by 2 to have anything to restore."""
CROPS = ((150, 60), (330, 110), (480, 40))
CROP_SIDE = 96


@dataclass(frozen=True)
class Row:
    """One line of the demo's table."""

    model: str
    psnr: float
    ssim: float
    seconds: float


def demo(out: str | Path = "medsr-demo", device: str = "auto", *, notify: Callable[[str], None] = print) -> list[Row]:
    """Fine-tune the bundled retinal generator on one part of a fundus photograph, and super-resolve the other part.

    It takes some minutes. The ground truth, the run, the results and `report.html` are written below `out`.

    Args:
        out: The folder for everything.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        notify: Called with each line that a user should read.

    Returns:
        The table's rows: bicubic, before and after fine-tuning. PSNR (dB) and SSIM over all channels of the held-out
        part at 8 bits.

    Examples:
        .. code-block:: python

            rows = medsr.demo("medsr-demo")
    """
    began = time.monotonic()
    out = Path(out)
    train, truth, low = prepare(out / "data")
    settings = load(RECIPE)
    scale, blur = settings.scale, settings.protocol.blur_sigma
    notify(f"training on {len(list(train.iterdir()))} images cut from the photograph; the rest of it is for the report")
    run = out / f"run-{time.strftime('%Y%m%d-%H%M%S')}"
    result = finetune(RECIPE, data=train, out=run, device=device, notify=notify)
    models = {"bicubic": "bicubic", "before": BEFORE, "after": str(result.model)}
    rows, pictures = [], {}
    ground_truth = image_io.read(truth).to_unit()
    for name, model in models.items():
        outcome = upscale([low], out / "results" / name, model=model, outscale=scale, device=device)[0]
        if outcome.error:
            raise outcome.error
        pictures[name] = image_io.read(outcome.output).to_unit()
        scores = psnr_ssim.psnr(pictures[name], ground_truth), psnr_ssim.ssim(pictures[name], ground_truth)
        rows.append(Row(name, *scores, outcome.seconds))
    protocol = f"bicubic down by {scale}, Gaussian blur of sigma {blur:g} low-resolution pixels, 8 bits"
    page = out / "report.html"
    _write_report(page, rows, pictures | {"ground truth": ground_truth}, protocol, run)
    notify("")
    for line in table(rows):
        notify(line)
    notify(f"Held-out part, {ground_truth.shape[1]}x{ground_truth.shape[0]}, all channels. Protocol: {protocol}.")
    notify(f"report: {page}  ({time.monotonic() - began:.0f} s in all)")
    return rows


def prepare(folder: Path) -> tuple[Path, Path, Path]:
    """Cut scikit-image's photograph: the training folder, the held-out ground truth and its low resolution."""
    from skimage.data import retina

    settings = load(RECIPE)
    photograph = retina()
    border = round(photograph.shape[1] * HELD_OUT_FROM)
    train = folder / "train"
    part = _as_image(photograph[:, :border])
    multiscale = settings.data.multiscale
    every = sizes(part.pixels.shape[:2], multiscale.scales if multiscale else (), None)
    for size in every:
        image_io.write(train / f"retina_left_{size[1]}x{size[0]}.png", reduce(part, size))
    right = _as_image(crop_to_multiple(photograph[:, border:], round(2 * settings.scale / HELD_OUT_SCALE)))
    height, width = right.pixels.shape[:2]
    held_out = reduce(right, (round(height * HELD_OUT_SCALE), round(width * HELD_OUT_SCALE)))
    truth, low = folder / "held_out" / "ground_truth.png", folder / "held_out" / "low_resolution.png"
    image_io.write(truth, held_out)
    degraded = bicubic_then_blur(held_out.to_unit(), settings.scale, settings.protocol.blur_sigma)
    image_io.write(low, held_out.with_unit(degraded))
    return train, truth, low


def table(rows: list[Row]) -> list[str]:
    """The table as aligned text."""
    lines = [f"{'model':<10}{'PSNR (dB)':>11}{'SSIM':>9}{'time (s)':>10}"]
    return lines + [f"{row.model:<10}{row.psnr:>11.2f}{row.ssim:>9.4f}{row.seconds:>10.1f}" for row in rows]


def _as_image(pixels: NDArray[np.uint8]) -> image_io.Image:
    return image_io.Image(np.ascontiguousarray(pixels), Window.of_bits(8), image_io.PNG)


def _write_report(
    path: Path, rows: list[Row], pictures: dict[str, NDArray[np.float32]], protocol: str, run: Path
) -> None:
    figures = Table(
        ["model", "PSNR (dB)", "SSIM", "time (s)"],
        [[row.model, f"{row.psnr:.2f}", f"{row.ssim:.4f}", f"{row.seconds:.1f}"] for row in rows],
        f"Held-out part, all channels. Protocol: {protocol}.",
    )
    whole = [picture(name, unit) for name, unit in pictures.items()]
    crops: list[Picture] = []
    for top, left in CROPS:
        cut = np.s_[top : top + CROP_SIDE, left : left + CROP_SIDE]
        crops += [picture(f"{name}, at row {top}, column {left}", unit[cut], 3) for name, unit in pictures.items()]
    sections = [
        Section("Figures", tables=[figures]),
        Section("Zoomed", f"Crops of {CROP_SIDE} pixels, every pixel enlarged three times.", pictures=crops),
        Section("Whole", pictures=whole),
        Section("Training", pictures=train_report.loss_curves(run)),
    ]
    lead = (
        "A fundus photograph (scikit-image's data.retina, public domain). The bundled compact generator never saw it; "
        "it was fine-tuned on the left part and tried on the right part, which it did not see either."
    )
    write_page(path, "medsr demo: super-resolution of a fundus photograph", lead, sections)
