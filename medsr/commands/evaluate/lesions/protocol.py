"""What was drawn and measured, with every parameter, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from medsr.commands.evaluate.lesions import finds, observe
from medsr.commands.evaluate.lesions.ground_truths import GroundTruths
from medsr.commands.evaluate.lesions.measure import ERASED, LARGEST_PATCH, PATCH, SMALLEST_PATCH, WHOLE
from medsr.lesions.kinds import FAMILIES

PLACES = {
    "mri": "white matter by intensity, homogeneity and distance to the foreground's edge",
    "cxr": "the lungs: the pair of dark parts inside the foreground that is most like lungs",
    "fundus": "the field of view, away from vessels, the disc and the edge",
}
SHAPES = {
    "ellipsoid": "ellipsoids, turned at random, edge softened",
    "nodule": "designer nodules, (1 - (r/R)^2)^1.5 (Burgess, Jacobson and Judy 2001)",
    "spot": "round spots",
    "blot": "irregular blots",
    "exudate": "bright spots with a sharp edge",
}


def protocol(truths: GroundTruths, subjects: Collection[str], rounds: int, seed: int) -> dict[str, Any]:
    """By name. `subjects`: those measured."""
    families = {
        family.name: f"{SHAPES[family.shape]}; {_steps(family.sizes)} {truths.unit} wide; contrast "
        f"{_steps(family.contrasts)} of the local mean"
        for family in FAMILIES[truths.kind]
    }
    return {
        **truths.protocol(subjects),
        **families,
        "places": f"{PLACES[truths.kind]}; far enough apart that none touches another",
        "rounds": f"{rounds} of each image, and once without lesions",
        "seed": seed,
        "kept": "paired difference of the results with and without lesions, within half of the truth's peak; erased: "
        f"below {' or '.join(f'{share:g}' for share in ERASED.values())} of the truth's",
        "observers": f"patches of {PATCH:g} sizes ({SMALLEST_PATCH} to {LARGEST_PATCH} pixels, but at least {WHOLE:g} "
        "sizes; of scans coronal), the same places with and without; trained on all other images, not told the "
        "contrast; channelised Hotelling observer with those dense difference-of-Gaussians channels of Abbey and "
        f"Barrett (2001) that a patch holds, to the Nyquist limit, and internal noise of {observe.NOISE:g} of their "
        "variance; non-prewhitening matched filter, its mean taken off",
        "finds": f"blobs in the results without lesions, per {truths.per} of these places, where the matched filter "
        "reaches what half of the real ones reach in the results with them; invented: where the ground truth reaches "
        f"less than {finds.THERE:g} of its own threshold",
    }


def _steps(values: tuple[float, ...]) -> str:
    *others, last = [f"{value:g}" for value in values]
    return f"{', '.join(others)} and {last}" if others else last
