"""The slices of one DICOM file, each where its own position says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from medsr.core.errors import InputError
from medsr.io.dicom import refused
from medsr.io.images import dicom_image
from medsr.io.volumes.dicom import diffusion, dose, mosaic
from medsr.io.volumes.dicom.stack import Frame, Open


def frames_of(name: str, opener: Open, dataset: Any) -> Iterator[Frame]:
    """The slices of one file, with geometry and rescale of each. Raises InputError where they have no place."""
    photometric = dicom_image.photometric_of(dataset)
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or not photometric.startswith("MONOCHROME"):
        raise InputError(f"{name}: {photometric or 'colour'} pixels are not handled, only grey ones")
    if "HighBit" in dataset and int(dataset.HighBit) != int(dataset.BitsStored) - 1:  # decoders cut the wrong bits
        raise InputError(f"{name}: {dataset.BitsStored} bits stored up to bit {dataset.HighBit} are not handled")
    if dataset.SOPClassUID == dose.SOP_CLASS:
        yield from dose.frames_of(name, opener, dataset)
        return
    refused.check(dataset, name)
    diffusion.settle(dataset)
    for index in range(int(dataset.get("NumberOfFrames") or 1)):
        position = _tag(dataset, index, "PlanePositionSequence", "ImagePositionPatient")
        cosines = _tag(dataset, index, "PlaneOrientationSequence", "ImageOrientationPatient")
        spacing = _tag(dataset, index, "PixelMeasuresSequence", "PixelSpacing")
        if not position or not cosines or not spacing:
            missing = "ImagePositionPatient" if not position else "ImageOrientationPatient" if not cosines else ""
            raise InputError(f"{name}: has no {missing or 'PixelSpacing'}: where its voxels lie is not guessed")
        slope = _tag(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
        intercept = _tag(dataset, index, "PixelValueTransformationSequence", "RescaleIntercept")
        rescale = (float(1 if slope in (None, "") else slope), float(0 if intercept in (None, "") else intercept))
        if not rescale[0]:
            raise InputError(f"{name}: RescaleSlope is 0, so that all its voxels mean the same; mend the header")
        origin, directions = np.array(position, float), np.array(cosines, float)
        steps = (float(spacing[0]), float(spacing[1]))
        if origin.shape != (3,) or directions.shape != (6,) or not np.isfinite([*origin, *directions, *steps]).all():
            raise InputError(f"{name}: its position or orientation is damaged")
        if min(steps) <= 0:
            raise InputError(f"{name}: PixelSpacing {steps[0]:g} x {steps[1]:g}, expected mm above 0")
        if mosaic.is_mosaic(dataset):
            yield from mosaic.frames_of(name, opener, dataset, rescale)
            return
        yield Frame(name, opener, dataset, index, origin, directions, steps, rescale)


def _tag(dataset: Any, index: int, group: str, keyword: str) -> Any:
    """An attribute of a frame: from its own or the shared functional group, or from a classic single frame."""
    for sequence, item in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        groups = dataset.get(sequence)
        if groups and len(groups) > item and groups[item].get(group):
            value = groups[item].get(group)[0].get(keyword)
            if value is not None:
                return value
    return dataset.get(keyword)
