"""`drive`: P1's retinal test, and whether the vessel tree survives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsr.batch.outcome import as_error
from medsr.commands.evaluate.case import Case, Item, Mask
from medsr.commands.evaluate.images import ImageBenchmark, check_size, green, scores
from medsr.core.errors import InputError
from medsr.core.resample import resize
from medsr.core.text import reason
from medsr.core.types import Array, Notify
from medsr.data import cards, layout
from medsr.io.orientation import picture_as_shown
from medsr.metrics import vessels
from medsr.metrics.psnr_ssim import eight_bit, luma
from medsr.metrics.vessels import Annotation, Detector

SIDE = 512
EXAMPLES = 10
"""How many training images the detector is chosen on, evenly spaced: enough to rank a dozen filters."""


@dataclass
class Drive(ImageBenchmark):
    """The 20 test images; the 20 training images only choose the vessel detector."""

    name: str = field(default="drive", init=False)
    detector: Detector = field(default=Detector(), init=False)
    calibration: str = field(default="", init=False)
    _training: list[Item] = field(default_factory=list, init=False)

    def items(self) -> list[Item]:
        """Raises InputError where the folder is not DRIVE."""
        card = cards.load("drive")
        entries = [(entry, Item(entry.id, files)) for entry, files in layout.find(card, self.data)]
        self._training = [item for entry, item in entries if entry.part.lower() in ("training", "train")]
        tests = [item for entry, item in entries if entry.part.lower() == "test"]
        if not tests:
            raise InputError(f"{self.data}: holds {len(entries)} training images of DRIVE, none of its test images")
        return tests

    def calibrate(self, notify: Notify) -> None:
        """Choose the vessel detector on the training images' ground truth."""
        annotated = [item for item in self._training if {"vessels", "field_of_view"} <= set(item.files)]
        sample = annotated[:: max(1, len(annotated) // EXAMPLES)][:EXAMPLES]
        if sample:
            notify(f"choosing the vessel detector on {len(sample)} training images")
        examples = []
        for item in sample:
            try:
                case = self.load(item)
            except Exception as error:  # told where it is measured, too; the others are still good for the choice
                notify(f"left out of the choice: {as_error(error, item.image)}")
                continue
            examples.append((green(case.ground_truth)[:, :, 0], case.regions["fov"], case.extra))
        if not examples:
            self.calibration = "not calibrated: no annotated training image here"
            return
        self.detector, auc = vessels.calibrate(examples)
        self.calibration = f"best mean AUC ({auc:.4f}) on the ground truth of {len(examples)} training images"

    def load(self, item: Item) -> Case:
        """Lanczos to 512x512 is the ground truth. Without its mask an image has no regional figures and no vessels."""
        unit = self.read(item.image)
        check_size(unit, (565, 584), item.image, "DRIVE's own")
        truth = eight_bit(resize(unit, (SIDE, SIDE), "lanczos"))
        low = self.degraded(truth)
        whole = read_mask(item.files.get("field_of_view"), unit.shape[:2])
        annotated = read_mask(item.files.get("vessels"), unit.shape[:2])
        if whole is None:
            return Case(item.id, truth, low)
        inside = resize(whole[:, :, None].astype(np.float32), (SIDE, SIDE), "bicubic")[:, :, 0] > 0.5
        annotation = None if annotated is None else Annotation.of(annotated, whole)
        return Case(item.id, truth, low, {"fov": inside}, annotation)

    def channel(self, unit: Array) -> Array:
        """Green, where vessels show best."""
        return green(unit)

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """Also on Y and on all channels; and the vessels."""
        metrics = super().score(result, case)
        metrics |= scores(luma(result), luma(case.ground_truth), {}, "_y")
        metrics |= scores(result, case.ground_truth, {}, "_rgb")
        if isinstance(case.extra, Annotation):
            detected = vessels.score(self.detector, green(result)[:, :, 0], case.regions["fov"], case.extra)
            figures = {
                "vessel_auc": detected.auc,
                "vessel_sensitivity": detected.sensitivity,
                "thin_vessel_sensitivity": detected.thin_sensitivity,
            }
            metrics |= {name: value for name, value in figures.items() if value is not None}
        return metrics

    def protocol(self) -> dict[str, Any]:
        """P1's, with every parameter."""
        return {
            "source": "Aghelan and Rouhani (P1), retinal test",
            "images": "DRIVE, test part, 565x584",
            "ground_truth": f"Lanczos to {SIDE}x{SIDE}, 8 bits",
            **self.steps(),
            "channel": "green; _y: Y of BT.601; _rgb: all channels",
            "regions": "whole image; _fov: the owner's mask; images without one count for the whole only",
            "vessels": f"{self.detector.filter} filter of scikit-image, sigmas {list(self.detector.sigmas)} pixels, on "
            "green, within the field of view, against the first manual annotation on its own grid; sensitivity at "
            f"{vessels.SPECIFICITY:.0%} specificity, its threshold set on each result, so contrast counts not; thin: "
            f"up to {vessels.THIN} pixels wide by the annotation's distance transform",
            "vessel_calibration": self.calibration,
        }


def read_mask(path: Path | None, shape: tuple[int, ...]) -> Mask | None:
    """A mask of that (height, width): what is above half of full range. Raises InputError naming the file."""
    if path is None:
        return None
    try:
        mask: Mask = np.asarray(picture_as_shown(path).convert("L")) > 127
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: damaged or not a readable mask ({reason(error, path)})") from error
    if mask.shape != tuple(shape):
        size = f"{mask.shape[1]}x{mask.shape[0]}"
        raise InputError(f"{path}: {size} pixels, but its image has {shape[1]}x{shape[0]}")
    if not mask.any():
        raise InputError(f"{path}: the mask is empty")
    return mask
