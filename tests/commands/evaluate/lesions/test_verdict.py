"""The sentences for a radiologist say what the figures say, and no more."""

from __future__ import annotations

import numpy as np

from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, Cell, LesionEvaluation, Score
from medsr.commands.evaluate.lesions.verdict import reference, verdict
from tests.helpers.lesions import lesion_evaluation

SIZES = (2, 3, 4)
SPREAD = np.linspace(-0.02, 0.02, 6)


def _evaluation(measure: str, means: dict[str, tuple[float, ...]], spread: float = 1.0) -> LesionEvaluation:
    """One family; by model the mean of a measure at each size, with a little that differs between subjects."""
    scores = [
        Score(f"s{index}", model, Cell("nodule", size), measure, mean + spread * part * (position + 1))
        for position, (model, by_size) in enumerate(means.items())
        for size, mean in zip(SIZES, by_size, strict=True)
        for index, part in enumerate(SPREAD)
    ]
    models: dict[str, dict[str, str]] = {name: {} for name in means}
    return LesionEvaluation("cxr", "mm", "megapixel", {}, "bicubic", models, scores, [], {})


def test_better_worse_and_untold_sizes_are_named() -> None:
    kept = {GROUND_TRUTH: (1.0, 1.0, 1.0), "bicubic": (0.3, 0.5, 0.8), "net": (0.4, 0.5, 0.7)}
    words = verdict(_evaluation("integrated", kept), "net")
    assert "keeps more contrast than bicubic: nodule 2 mm." in words
    assert "keeps less contrast than bicubic: nodule 4 mm." in words
    assert "these 6 subjects cannot tell: nodule 3 mm." in words


def test_sizes_of_which_half_are_erased_are_named() -> None:
    shares = {GROUND_TRUTH: (0.0, 0.0, 0.0), "bicubic": (0.6, 0.4, 0.0), "eraser": (1.0, 0.7, 0.1)}
    result = _evaluation("erased_half", shares, spread=0)
    assert "erases half of the lesions or more: nodule 2 mm." in verdict(result, "bicubic")
    assert "erases half of the lesions or more: nodule up to 3 mm." in verdict(result, "eraser")
    assert "erases more lesions than bicubic: nodule at every size." in verdict(result, "eraser")
    assert "fewer than half of the lesions at every size" in verdict(result, GROUND_TRUTH)


def test_an_inventor_is_said_to_invent_and_one_like_the_ground_truth_is_not() -> None:
    finds = {
        GROUND_TRUTH: (1.0, 1.0, 1.0),
        "bicubic": (0.9, 0.9, 0.9),
        "inventor": (1.0, 4.0, 4.0),
        "noisy": (1.1, 1.1, 1.1),
    }
    result = _evaluation("false_finds", finds)
    assert "Nothing shows that it invents." in verdict(result, "bicubic")
    assert "over 10 % more false finds in it than in the ground truth: nodule from 3 mm." in verdict(result, "inventor")
    assert "more than in bicubic too: nodule from 3 mm." in verdict(result, "inventor")
    assert "Whether it invents, these 6 subjects cannot tell." in verdict(result, "noisy")


def test_a_weak_interpolation_with_more_false_finds_is_named() -> None:
    finds = {GROUND_TRUTH: (1.0,) * 3, "bicubic": (6.0,) * 3, "net": (2.0,) * 3}
    assert "There are even more in bicubic." in verdict(_evaluation("false_finds", finds), "net")


def test_lesions_that_are_harder_to_detect_are_named() -> None:
    observed = {GROUND_TRUTH: (3.0, 3.0, 3.0), "bicubic": (1.0, 2.0, 3.0), "net": (1.2, 1.5, 3.0)}
    assert "harder to detect than in bicubic: nodule 3 mm." in verdict(_evaluation("cho_d", observed), "net")


def test_the_size_to_judge_by_is_the_smallest_of_which_the_baseline_keeps_half() -> None:
    kept = {GROUND_TRUTH: (1.0, 1.0, 1.0), "bicubic": (0.3, 0.6, 0.8)}
    assert reference(_evaluation("integrated", kept), "nodule") == Cell("nodule", 3)
    assert reference(_evaluation("integrated", {**kept, "bicubic": (0.1, 0.2, 0.3)}), "nodule") is None
    assert reference(_evaluation("integrated", kept), "exudate") is None


def test_a_better_model_is_better_in_words_too() -> None:
    result = lesion_evaluation()
    assert "more contrast than bicubic: microaneurysm at every size" in verdict(result, "medsr-retina-x2")
    assert "less contrast than bicubic: every lesion, at every size" in verdict(result, "medsr-gan-x2")


def test_a_model_of_which_nothing_is_known_gets_no_praise() -> None:
    kept = {GROUND_TRUTH: (1.0, 1.0, 1.0), "bicubic": (0.3, 0.6, 0.8)}
    assert verdict(_evaluation("integrated", kept), "net") == "No lesion was measured."
