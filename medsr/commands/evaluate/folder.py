"""`folder`: any folder of ground truth, P1's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.images import ImageBenchmark, check_large_enough, images_below
from medsr.core.types import Array
from medsr.degradation.protocols import crop_to_multiple
from medsr.metrics.psnr_ssim import eight_bit, luma
from medsr.metrics.regions import foreground


@dataclass
class Folder(ImageBenchmark):
    """Images of any size, at their own; colour is judged on Y, grey as it is."""

    name: str = field(default="folder", init=False)

    def items(self) -> list[Item]:
        """Raises InputError where there is no image."""
        return images_below(self.data)

    def load(self, item: Item) -> Case:
        """8 bits, cut to a multiple of the scale on the right and below."""
        truth = eight_bit(crop_to_multiple(self.read(item.image), self.scale))
        check_large_enough(truth, item.image)
        return Case(item.id, truth, self.degraded(truth), {"foreground": foreground(truth)})

    def channel(self, unit: Array) -> Array:
        """Y of colour; grey as it is."""
        return luma(unit)

    def protocol(self) -> dict[str, Any]:
        """Every parameter."""
        return {
            "images": "every image below the folder",
            "ground_truth": f"native size cut to a multiple of {self.scale}, 8 bits",
            **self.steps(),
            "channel": "Y of BT.601; grey images as they are",
            "regions": "whole image; _foreground: the largest part brighter than 5 %, holes filled",
        }
