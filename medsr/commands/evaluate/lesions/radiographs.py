"""Radiographs as ground truth, and how large their pixels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.folder import Folder
from medsr.commands.evaluate.images import check_large_enough, grey
from medsr.core.errors import InputError
from medsr.degradation.protocols import crop_to_multiple
from medsr.io.dicom.spacing import at_patient
from medsr.io.images import image as image_io
from medsr.metrics.psnr_ssim import eight_bit
from medsr.networks.bundled import RADIOGRAPHS, is_grey

ASSUMED = 0.4
"""Millimetres of the chest in a pixel: 410 mm of it in 1024 pixels."""
STEPS = 0.05, 2.0
"""What it may be."""
SQUARE = 0.02
"""Part of its height by which a pixel's width may differ."""
MODALITIES = (*RADIOGRAPHS, "RF", "SC", "OT", "")
"""Of DICOM images that may be radiographs of the chest."""


@dataclass
class Radiographs(Folder):
    """A folder of radiographs, measured in grey. `pixel_mm`: of all of them; None: as each header says."""

    pixel_mm: float | None = None
    name: str = field(default="cxr", init=False)
    _sizes: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def load(self, item: Item) -> Case:
        """8 bits, cut to a multiple of the scale on the right and below; `extra`: mm of the chest in a pixel."""
        image = image_io.read_as_shown(item.image, self.bits)
        _check_content(image, item.image)
        step, self._sizes[item.id] = self._pixel_size(image, item.image)
        truth = eight_bit(crop_to_multiple(grey(image.to_unit()), self.scale))
        check_large_enough(truth, item.image)
        return Case(item.id, truth, self.degraded(truth), extra=step)

    def pixel_sizes(self, images: Collection[str]) -> str:
        """In words, of the images of these names, that were loaded."""
        counts = Counter(self._sizes[name] for name in images)
        if len(counts) == 1:
            return next(iter(counts))
        return "; ".join(f"{size} ({n} image{'s' if n > 1 else ''})" for size, n in sorted(counts.items()))

    def _pixel_size(self, image: image_io.Image, path: Path) -> tuple[float, str]:
        """In mm of the chest, and in words."""
        if self.pixel_mm is not None:
            return self.pixel_mm, f"{self.pixel_mm:g} mm of the chest, as asked for"
        dataset = image.extra.get("dataset")
        spacing = None if dataset is None else at_patient(dataset)
        if spacing is None:
            return ASSUMED, f"{ASSUMED:g} mm of the chest, assumed: no header says it"
        rows, columns = spacing
        if abs(rows - columns) > SQUARE * rows:
            raise InputError(
                f"{path}: pixels of {rows:g} x {columns:g} mm by its header; lesions are drawn into square ones"
            )
        if not STEPS[0] <= rows <= STEPS[1]:
            raise InputError(
                f"{path}: pixels of {rows:g} mm by its header, expected {STEPS[0]:g} to {STEPS[1]:g}; give `pixel_mm`"
            )
        return rows, f"{rows:g} mm of the chest, as the header says"


def _check_content(image: image_io.Image, path: Path) -> None:
    """Raise InputError for what is not a radiograph of the chest by its header or its colours."""
    if image.of_chest is False:
        raise InputError(f"{path}: another part of the body, by its header; nodules are drawn into chest radiographs")
    if image.modality not in MODALITIES:
        raise InputError(f"{path}: {image.modality} by its header; nodules are drawn into chest radiographs")
    if not is_grey(image):
        raise InputError(f"{path}: in colour; nodules are drawn into chest radiographs")
