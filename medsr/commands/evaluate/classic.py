"""`classic`: Set5, Set14, BSD100 and their like, measured as the published tables are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.images import ImageBenchmark, ImageRunner, check_large_enough, images_below
from medsr.core.errors import InputError
from medsr.core.types import Array
from medsr.degradation import matlab
from medsr.degradation.protocols import (
    UNKNOWN_DEGREES,
    UNKNOWN_SHIFT,
    UNKNOWN_SIGMAS,
    crop_to_multiple,
    unknown,
)
from medsr.engines.base import Compute
from medsr.images.network import Interpolation
from medsr.metrics.psnr_ssim import eight_bit, luma, psnr

Track = Literal["bicubic", "unknown"]
_PAIRED = re.compile(r"_SRF_(\d)_(HR|LR)$")


@dataclass(frozen=True)
class ClassicRunner(ImageRunner):
    """Bicubic is MATLAB's, on the Y it is judged by, without rounding in between: so the published figures come out.

    Networks get 8-bit colours, as their papers' test sets hold them.
    """

    def __call__(self, case: Case) -> Array:
        """(H, W, 1), Y; or what the network makes."""
        if isinstance(self.model, Interpolation) and self.model.name == "bicubic":
            height, width = case.ground_truth.shape[:2]
            return eight_bit(matlab.bicubic(case.extra, (height, width)))
        return super().__call__(case)


@dataclass
class Classic(ImageBenchmark):
    """On Y, the border cropped by the scale. `track`: how the low resolution is made."""

    track: Track = "bicubic"
    name: str = field(default="classic", init=False)
    selection: str = field(default="", init=False)
    luma_suffices: bool = field(default=True, init=False)

    def items(self) -> list[Item]:
        """Of folders that hold ground truth for several factors (`..._SRF_2_HR`), only this factor's."""
        items = images_below(self.data)
        pairs = {item.id: match.groups() for item in items if (match := _PAIRED.search(item.id))}
        self.selection = f"all {len(items)} below the folder"
        if not pairs:
            return items
        own = [item for item in items if pairs.get(item.id) == (str(self.scale), "HR")]
        if not own:
            there = ", ".join(f"`scale={scale}`" for scale in sorted({scale for scale, _ in pairs.values()}))
            raise InputError(f"{self.data}: no image is named ..._SRF_{self.scale}_HR; there are pairs for {there}")
        self.selection = f"the {len(own)} named ..._SRF_{self.scale}_HR, of {len(items)} below the folder"
        return own

    def load(self, item: Item) -> Case:
        """8 bits, cut to a multiple of the scale on the right and below."""
        truth = eight_bit(crop_to_multiple(self.read(item.image), self.scale))
        check_large_enough(truth, item.image, self.scale)
        low = self.degraded(truth)
        if self.track == "unknown":
            return Case(item.id, truth, low, extra=luma(low))
        return Case(item.id, truth, low, extra=matlab.bicubic(luma(truth), low.shape[:2]))

    def degraded(self, ground_truth: Array) -> Array:
        """The track's low resolution, 8 bits."""
        if self.track == "unknown":
            return unknown(ground_truth, self.scale)
        height, width = ground_truth.shape[:2]
        return eight_bit(matlab.bicubic(ground_truth, (height // self.scale, width // self.scale)))

    def agreement(self, result: Array, case: Case) -> float:
        """On Y, which all results have."""
        return psnr(luma(self.degraded(result)), luma(case.low_resolution))

    def open(self, model: str, compute: Compute, tile: int | None) -> ClassicRunner:
        """Raises UsageError or WeightsError."""
        plain = super().open(model, compute, tile)
        return ClassicRunner(plain.model, plain.scale)

    def channel(self, unit: Array) -> Array:
        """Y without its border; grey is Y as it stands."""
        border = self.scale
        return luma(unit)[border:-border, border:-border]

    def show(self, array: Array, case: Case) -> Array:
        """Y: what all results have."""
        return luma(array)

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """As every image benchmark; LPIPS on Y, where one of the two is Y only."""
        same = result.shape == case.ground_truth.shape
        return super().score(result, case if same else replace(case, ground_truth=luma(case.ground_truth)))

    def protocol(self) -> dict[str, Any]:
        """As the published tables, with every parameter."""
        by = self.scale / 2
        steps = self.steps()
        steps.pop("blur_sigma")
        if self.track == "bicubic":
            low = f"antialiased bicubic as MATLAB's imresize, down by {self.scale}; networks get it in 8 bits"
        else:
            low = (
                f"Gaussian blur of sigma {UNKNOWN_SIGMAS[0] * by:g} x {UNKNOWN_SIGMAS[1] * by:g} pixels turned by "
                f"{UNKNOWN_DEGREES:g} degrees, shift by {UNKNOWN_SHIFT[0] * by:g}, {UNKNOWN_SHIFT[1] * by:g} pixels, "
                f"every pixel in {self.scale}, 8 bits"
            )
        return {
            "images": self.selection,
            "ground_truth": f"native size cut to a multiple of {self.scale}, 8 bits",
            **steps,
            "track": self.track,
            "low_resolution": low,
            "bicubic": "MATLAB's imresize on Y, not rounded in between",
            "channel": "Y of BT.601 from 16 to 235, 8 bits; grey images as they are",
            "border": f"{self.scale} pixels cropped",
            "regions": "whole image",
        }
