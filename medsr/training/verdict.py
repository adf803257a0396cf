"""Whether a fine-tuned network may be used, in plain words: better or worse than interpolation, and likely reasons."""

from __future__ import annotations

from math import isfinite

from medsr.recipe import Recipe
from medsr.recipe.degradation import Bicubic, HighOrder
from medsr.training.degradations import strategy_of
from medsr.training.result import TrainingResult

LEVEL = 0.05
"""dB: a difference that nobody sees."""
FEW_ITERATIONS = 2000
"""Of a network that begins with fresh weights."""
FEW_IMAGES = 10


def verdict(recipe: Recipe, result: TrainingResult) -> list[str]:
    """Sentences: `model.safetensors` against interpolation on the held-out images, and what to do.

    Where it is worse, the likely reasons follow. `result`: of a finished run, its `verdict` not filled in yet.
    """
    if not result.bicubic:
        return ["Nothing was held out, so nobody knows whether it is better than interpolation: measure it first."]
    baseline = strategy_of(recipe).baseline
    gain = result.end["psnr"] - result.bicubic["psnr"]
    if not isfinite(gain):
        return [f"A held-out image came back exactly, so there is no mean PSNR to compare with {baseline}."]
    on = _on_how_many(recipe, result)
    if gain > LEVEL:
        sentences = [f"{gain:.2f} dB better than {baseline} {on}."]
    elif gain >= -LEVEL:
        sentences = [f"No better than {baseline} ({gain:+.2f} dB) {on}: using it gains nothing."]
    else:
        sentences = [f"{-gain:.2f} dB worse than {baseline} {on}: do not use it."]
    sentences += _better_weights(result, gain, baseline)
    if gain <= LEVEL:
        reasons = _reasons(recipe, result)
        sentences += [f"Likely reasons: {' '.join(reasons)}"] if reasons else []
    elif 0 < result.held_out < FEW_IMAGES:
        few = f"only {result.held_out} held-out image{'s decide' if result.held_out > 1 else ' decides'} this"
        sentences.append(f"But {few}: measure it on images of its own before you rely on it.")
    return sentences


def _on_how_many(recipe: Recipe, result: TrainingResult) -> str:
    """On how many held-out images, and on how many of these it is better."""
    what = "slice" if recipe.thick_slices else "image"
    count = result.samples
    words = f"on {count} held-out {what}{'s' * (count != 1)} (mean PSNR"
    if result.better_on is None or count == 1:
        return f"{words})"
    better = "all" if result.better_on == count else result.better_on or "none"
    return f"{words}; better on {better} of them)"


def _better_weights(result: TrainingResult, gain: float, baseline: str) -> list[str]:
    """That earlier weights of the run are better, and whether training gained anything."""
    sentences = []
    best = result.best["psnr"] - result.bicubic["psnr"]
    if best > gain + LEVEL and best > LEVEL:
        sentences.append(
            f"best.safetensors, of an earlier iteration, is {best:.2f} dB better than {baseline}: use that."
        )
    change = result.end["psnr"] - result.start["psnr"]
    if result.start_from and change < LEVEL:
        by = f"{-change:.2f} dB worse than" if change < -LEVEL else "as good as"
        sentences.append(f"Training gained nothing: it ended {by} the weights it began with ({result.start_from}).")
    return sentences


def _reasons(recipe: Recipe, result: TrainingResult) -> list[str]:
    reasons = []
    if recipe.losses.gan.weight:
        reasons.append("A discriminator gives PSNR away for what looks sharp, and may invent detail.")
    if not result.start_from and result.iterations < FEW_ITERATIONS:
        reasons.append(
            f"It began with fresh weights and had {result.iterations} iterations: train longer, "
            "or begin with a trained model (start_from.generator)."
        )
    change = result.end["psnr"] - result.start["psnr"]
    if result.end["psnr"] >= result.best["psnr"] and change > LEVEL:
        reasons.append("It was still improving at the end: train longer.")
    if change < -LEVEL:
        reasons.append("It became worse while it trained: lower optimizer.learning_rate.")
    if 0 < result.images < FEW_IMAGES:
        reasons.append(f"It learned from {result.images} image{'s' * (result.images > 1)} only.")
    if isinstance(recipe.degradation, HighOrder | Bicubic):
        reasons.append(
            "The recipe may reduce images in another way than they are measured here "
            f"({strategy_of(recipe).describe(recipe)})."
        )
    return reasons
