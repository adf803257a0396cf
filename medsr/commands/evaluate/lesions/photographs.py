"""Fundus photographs as ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.folder import Folder
from medsr.commands.evaluate.images import check_large_enough
from medsr.core.errors import InputError
from medsr.degradation.protocols import crop_to_multiple
from medsr.io.images import image as image_io
from medsr.metrics.psnr_ssim import eight_bit
from medsr.networks.bundled import UNSAID, is_grey, looks_like_fundus

EXPECTED = "lesions are drawn into colour photographs of a whole fundus"


@dataclass
class Photographs(Folder):
    """A folder of colour photographs of the fundus."""

    name: str = field(default="fundus", init=False)

    def load(self, item: Item) -> Case:
        """8 bits, cut to a multiple of the scale on the right and below; `extra`: a pixel is 1."""
        image = image_io.read_as_shown(item.image, self.bits)
        _check_content(image, item.image)
        truth = eight_bit(crop_to_multiple(image.to_unit(), self.scale))
        check_large_enough(truth, item.image)
        return Case(item.id, truth, self.degraded(truth), extra=1.0)


def _check_content(image: image_io.Image, path: Path) -> None:
    """Raise InputError for what is not a fundus by its header, or its colours and corners."""
    if image.of_retina is False:
        raise InputError(f"{path}: another part of the eye, by its header; {EXPECTED}")
    if image.modality not in UNSAID:
        raise InputError(f"{path}: {image.modality} by its header; {EXPECTED}")
    if is_grey(image):
        raise InputError(f"{path}: grey; {EXPECTED}")
    if not (image.of_retina or looks_like_fundus(image)):
        raise InputError(f"{path}: not a fundus by its colours and corners; {EXPECTED}")
