"""An evaluation of lesions as a run leaves it, of random numbers; a photograph that lesions can be drawn into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from medsr.batch.outcome import Outcome
from medsr.commands.evaluate.lesions.real_lesions import RealLesion
from medsr.commands.evaluate.lesions.result import (
    GROUND_TRUTH,
    MEASURES,
    Cell,
    LesionEvaluation,
    Score,
    Strip,
    scores_of,
)
from medsr.core.errors import InputError
from medsr.core.types import Array

FAMILIES = {
    "microaneurysm": ((3, 4, 5, 7), (-0.15, -0.3)),
    "haemorrhage": ((8, 10, 12, 16), (-0.15, -0.3)),
    "exudate": ((3, 5, 8, 10), (0.15, 0.3)),
}
BLUR = {GROUND_TRUTH: 0.0, "bicubic": 4.0, "medsr-retina-x2": 3.0, "medsr-gan-x2": 5.5}
"""What each model loses: a lesion of that size keeps half of its contrast."""
BASELINE = "bicubic"
PER_SUBJECT = ("cho_auc", "cho_d", "npw_auc", "npw_d", "false_finds", "invented")


def photograph(seed: int, side: int) -> Array:
    """A fundus without vessels: red, smooth, a little noise, dark outside a round field."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = (x**2 + y**2 < 0.9)[:, :, None]
    broad = 0.04 * gaussian_filter(rng.normal(size=(side, side)), 30)[:, :, None] * 30
    noise = 0.004 * rng.normal(size=(side, side, 1))
    return np.asarray(inside * (np.array([0.7, 0.4, 0.2]) + broad + noise), np.float32).clip(0, 1)


def lesion_evaluation(
    subjects: Sequence[str] = ("sub-01", "sub-02", "sub-03", "sub-04"),
    models: Sequence[str] = ("bicubic", "medsr-retina-x2", "medsr-gan-x2"),
    pictures: bool = True,
    families: Sequence[str] = tuple(FAMILIES),
) -> LesionEvaluation:
    """Three families, four sizes, two contrasts; the second of the models is better than the first, the third worse."""
    names = [GROUND_TRUTH, *models]
    return LesionEvaluation(
        kind="fundus",
        unit="pixels",
        per="megapixel",
        protocol={"low_resolution": "half the size, bicubic", "seed": 0, "channels": {"number": 3, "alpha": 1.4}},
        baseline=models[0],
        models={name: {"sha256": "ab" * 32} if name.startswith("medsr") else {} for name in names},
        scores=_scores(subjects, names, families),
        failed=[Outcome(Path("/home/alice/bad.png"), Path(), 1.0, InputError("/home/alice/bad.png: not an image"))],
        versions={"medsr": "0.0", "numpy": np.__version__},
        strips=_strips(subjects[0], names, families) if pictures else (),
        places={subject: _fundus(90, seed) for seed, subject in enumerate(subjects)} if pictures else {},
        real=_real(subjects, names) if pictures else (),
    )


def _scores(subjects: Sequence[str], models: Sequence[str], families: Sequence[str]) -> list[Score]:
    random = np.random.default_rng(0)
    scores = []
    for subject in subjects:
        for model in models:
            blur = BLUR.get(model, 4.0)
            figures = [
                (Cell(family, size, contrast), _lesion(size, blur, random))
                for family in families
                for sizes, contrasts in [FAMILIES[family]]
                for size in sizes
                for contrast in contrasts
                for _ in range(3)
            ]
            scores += scores_of(subject, model, figures)
            for family in families:
                for size in FAMILIES[family][0]:
                    values = _observed(size, blur, random)
                    scores += [
                        Score(subject, model, Cell(family, size), measure, values[measure]) for measure in PER_SUBJECT
                    ]
    return scores


def _lesion(size: float, blur: float, random: np.random.Generator) -> dict[str, float]:
    if blur == 0:
        exact = dict.fromkeys(MEASURES, 0.0) | {"integrated": 1.0, "peak": 1.0, "width": 1.0}
        return {measure: exact[measure] for measure in MEASURES if measure not in PER_SUBJECT}
    kept = size**2 / (size**2 + blur**2) + random.normal(0, 0.05)
    return {
        "integrated": kept,
        "peak": 0.9 * kept,
        "erased_half": float(kept < 0.5),
        "erased_quarter": float(kept < 0.25),
        "width": 1 + blur / size if kept > 0.4 else float("nan"),
        "displacement": abs(random.normal(0, 0.3)),
        "leakage": 0.2 * blur / size,
    }


def _observed(size: float, blur: float, random: np.random.Generator) -> dict[str, float]:
    d_prime = 4 * size / (size + blur) + random.normal(0, 0.1)
    finds = 1 + blur**2 / size + random.normal(0, 0.1)
    return {
        "cho_auc": 1 - 0.5 * float(np.exp(-d_prime / 2)),
        "cho_d": d_prime,
        "npw_auc": 1 - 0.5 * float(np.exp(-d_prime / 3)),
        "npw_d": 0.8 * d_prime,
        "false_finds": finds,
        "invented": 0.0 if blur == 0 else max(0.0, finds - 1),
    }


def _strips(subject: str, models: Sequence[str], families: Sequence[str]) -> list[Strip]:
    strips = []
    for family in families:
        sizes, contrasts = FAMILIES[family]
        for size in sizes[:3]:
            absent = _fundus(36, int(size))
            rows, columns = np.indices((36, 36)) - 18
            bump = (np.hypot(rows, columns) < size / 2)[:, :, None] * (contrasts[1] * absent)
            change = {model: gaussian_filter(bump, (BLUR.get(model, 4.0) / 2,) * 2 + (0,)) for model in models}
            change["input"] = bump[::2, ::2].repeat(2, 0).repeat(2, 1)
            present = {name: (absent + part).astype(np.float32) for name, part in change.items()}
            strips.append(Strip(subject, Cell(family, size, contrasts[1]), present, dict.fromkeys(present, absent)))
    return strips[::-1]


def _fundus(side: int, seed: int) -> Array:
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (side, side)), 2)
    return (np.array([0.7, 0.4, 0.2]) * (1 + 0.5 * noise[:, :, None])).clip(0, 1).astype(np.float32)


def _real(subjects: Sequence[str], models: Sequence[str]) -> list[RealLesion]:
    random = np.random.default_rng(1)
    lesions = []
    for subject in subjects[:2]:
        for number in range(9):
            volume = float(10 ** random.uniform(1, 3))
            for model in models:
                kept = volume / (volume + 10 * BLUR.get(model, 4.0))
                own = -0.2 * kept, volume * kept
                lesions.append(
                    RealLesion(subject, model, number, volume, *own, -0.2, volume, number < 8, "pixels", (number, 5))
                )
    return lesions
