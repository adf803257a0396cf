"""What an evaluation comes to: one sentence for each model, before all tables."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from medsr.commands.evaluate.result import Evaluation
from medsr.metrics.bootstrap import summarize


def verdict(result: Evaluation) -> list[str]:
    """Whether each model is better than the baseline, by how many dB of PSNR, and on how many images."""
    models = [model for model in result.models if model != result.baseline]
    sentences = [
        compared(model, result.baseline, list(result.gains(model, "psnr").values()), _but(result, model))
        for model in models
    ]
    return [sentence for sentence in sentences if sentence]


def compared(model: str, baseline: str, differences: Sequence[float], but: str = "") -> str:
    """A sentence on `differences` to the baseline, dB of PSNR image by image; `but` ends one that praises.

    Nothing where no PSNR could be compared, as where two results are equal to the ground truth.
    """
    gains = [gain for gain in differences if isfinite(gain)]
    if not gains:
        return ""
    count, summary = len(gains), summarize(gains)
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    mean = f"{abs(summary.mean):.2f} dB"
    images = "the one image" if count == 1 else f"all {count} images"
    if better + worse < count:
        images = f"{better or worse} of {count} images (the same on the others)"
    average = "" if count == 1 else " on average"
    if not better and not worse:
        return f"{model} is the same as {baseline} on every image (PSNR)."
    if not worse:
        return f"{model} is better than {baseline} on {images}: by {mean} of PSNR{average}{but}."
    if not better:
        return f"{model} is worse than {baseline} on {images}: by {mean} of PSNR{average}."
    if summary.above_zero:
        lost = f"but worse on {worse} of {count} images, by up to {-min(gains):.2f} dB"
        return f"{model} is better than {baseline} by {mean} of PSNR on average, {lost}{but}."
    if summary.below_zero:
        won = f"though better on {better} of {count} images"
        return f"{model} is worse than {baseline} by {mean} of PSNR on average, {won}."
    sides = f"{summary.mean:+.2f} dB of PSNR on average, better on {better}, worse on {worse}"
    return f"These {count} images cannot tell whether {model} is better than {baseline}: {sides}."


def _but(result: Evaluation, model: str) -> str:
    """SSIM, where it says the opposite of PSNR."""
    gain = result.differences[model].get("ssim")
    return "; but its SSIM is lower" if gain is not None and gain.mean < 0 else ""
