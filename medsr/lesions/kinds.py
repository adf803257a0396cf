"""Kinds of images, and the families of lesions that an evaluation draws into each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["mri", "cxr", "fundus"]
Shape = Literal["ellipsoid", "nodule", "spot", "blot", "exudate"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNITS: Mapping[Kind, str] = {"mri": "mm", "cxr": "mm", "fundus": "pixels"}
"""What sizes and steps are measured in."""
BLOOD = (0.4, 1.0, 0.55)
"""What blood changes in red, green and blue, in parts of green: that of the wide vessels of DRIVE's test images."""
LIPID = (0.25, 1.0, 0.4)
"""What hard exudates change: yellow."""


@dataclass(frozen=True)
class Family:
    """Lesions alike in all but size and contrast.

    `sizes`: full widths, in the unit of the kind (`UNITS`). `contrasts`: relative to the local tissue; below 0 darker.
    `colour`: weight of the contrast in each channel of a colour image; one channel has the weight 1. `ratios`: of an
    axis to the mean of the axes, from the shortest to the longest.
    """

    name: str
    kind: Kind
    shape: Shape
    sizes: tuple[float, ...]
    contrasts: tuple[float, ...]
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ratios: tuple[float, float] = (1.0, 1.0)


FAMILIES: Mapping[Kind, tuple[Family, ...]] = {
    "mri": (
        Family("hyperintense", "mri", "ellipsoid", (2, 3, 4, 6, 8), (0.15, 0.3, 0.6), ratios=(0.7, 1.4)),
        Family("hypointense", "mri", "ellipsoid", (2, 3, 4, 6, 8), (-0.15, -0.3, -0.6), ratios=(0.7, 1.4)),
    ),
    "cxr": (Family("nodule", "cxr", "nodule", (3, 5, 8, 12), (0.06, 0.12, 0.24)),),
    "fundus": (
        Family("microaneurysm", "fundus", "spot", (3, 5, 7), (-0.15, -0.3), BLOOD),
        Family("haemorrhage", "fundus", "blot", (8, 12, 16), (-0.15, -0.3), BLOOD, ratios=(0.8, 1.25)),
        Family("exudate", "fundus", "exudate", (3, 5, 8), (0.15, 0.3), LIPID, ratios=(0.8, 1.25)),
    ),
}
"""What an evaluation draws. What a model is trained on must have other parameters."""
