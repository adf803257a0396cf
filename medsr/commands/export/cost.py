"""What int8 costs: PSNR against the truth, and the furthest pixel, beside fp32 on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medsr.core.types import Array
from medsr.engines.base import LARGEST_LOSS, WORST_LOSS, loses_next_to_nothing
from medsr.metrics import psnr_ssim

if TYPE_CHECKING:
    from medsr.training.validation import ValidationSample


@dataclass(frozen=True)
class Cost:
    """What int8 costs on images it was not calibrated on: PSNR (dB) on the whole and on the worst of them.

    `largest_difference`: between a pixel in int8 and in fp32, as a share of full range.
    """

    images: int
    psnr_fp32: float
    psnr_int8: float
    loss_db: float
    worst_loss_db: float
    largest_difference: float

    @classmethod
    def worst(cls, costs: Sequence[Cost]) -> Cost:
        """Of several folders: all images, the mean PSNR, and of what is lost the most on any of them."""
        return cls(
            sum(cost.images for cost in costs),
            float(np.average([cost.psnr_fp32 for cost in costs], weights=[cost.images for cost in costs])),
            float(np.average([cost.psnr_int8 for cost in costs], weights=[cost.images for cost in costs])),
            max(cost.loss_db for cost in costs),
            max(cost.worst_loss_db for cost in costs),
            max(cost.largest_difference for cost in costs),
        )

    @classmethod
    def of(cls, results: list[Array], reference: list[Array], pairs: list[ValidationSample]) -> Cost:
        """`results` in int8 beside the `reference` in fp32, (H, W, C) in [0, 1] each, and both beside the truth."""
        truths = [sample.ground_truth for sample in pairs]
        int8, fp32 = (
            [psnr_ssim.psnr(psnr_ssim.eight_bit(image), truth) for image, truth in zip(images, truths, strict=True)]
            for images in (results, reference)
        )
        return cls(
            len(pairs),
            float(np.mean(fp32)),
            float(np.mean(int8)),
            float(np.mean(fp32) - np.mean(int8)),
            float(np.max(np.subtract(fp32, int8))),
            max(float(np.abs(image - other).max()) for image, other in zip(results, reference, strict=True)),
        )

    @property
    def acceptable(self) -> bool:
        """Little enough for who asks for int8."""
        return self.loss_db <= LARGEST_LOSS and self.worst_loss_db <= WORST_LOSS

    @property
    def good_unasked(self) -> bool:
        """Little enough for who does not."""
        return loses_next_to_nothing(asdict(self))

    def __str__(self) -> str:
        lost = max(0, self.worst_loss_db)
        return (
            f"{self.psnr_fp32:.2f} dB to {self.psnr_int8:.2f} dB, at most {lost:.2f} dB lost on an "
            f"image, {self.largest_difference:.1%} of full range on a pixel"
        )

    def refusal(self, folders: Sequence[Path]) -> str:
        """What is said where it is too much."""
        return (
            f"int8 loses {self.loss_db:.2f} dB of PSNR on {', '.join(str(folder) for folder in folders)}, and "
            f"{self.worst_loss_db:.2f} dB on one image; the most that is accepted is {LARGEST_LOSS} and {WORST_LOSS} "
            "dB: use fp32"
        )
