"""What a DICOM header says in old pixels: scaled to the new ones, or left out with a word where it cannot be."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Any

from medsr.io.dicom.position import shift_positions
from medsr.io.dicom.regions import rescale_region
from medsr.io.dicom.values import Scale, decimal, items, only, pair, replace, rounded

SPACINGS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "ImagePlanePixelSpacing",
    "ObjectPixelSpacingInCenterOfBeam",
    "PresentationPixelSpacing",
)
"""Millimetres from row to row, and from column to column. `DetectorElementSpacing` is the detector's: it stays."""
FIRST_COLUMN = ("ShutterLeftVerticalEdge", "CollimatorLeftVerticalEdge")
LAST_COLUMN = ("ShutterRightVerticalEdge", "CollimatorRightVerticalEdge")
FIRST_ROW = ("ShutterUpperHorizontalEdge", "CollimatorUpperHorizontalEdge")
LAST_ROW = ("ShutterLowerHorizontalEdge", "CollimatorLowerHorizontalEdge")
POINTS = (
    "CenterOfCircularShutter",
    "CenterOfCircularCollimator",
    "VerticesOfThePolygonalShutter",
    "VerticesOfThePolygonalCollimator",
)
"""Row, column, row, column, ..., counted from 1."""
RADII = ("RadiusOfCircularShutter", "RadiusOfCircularCollimator")
DROPPED = {
    "GraphicAnnotationSequence": "graphic annotations",
    "DisplayedAreaSelectionSequence": "the displayed area",
    "ExposureControlSensingRegionsSequence": "exposure control regions",
    "HistogramSequence": "the histogram",
    "ShutterOverlayGroup": "the bitmap shutter",
}
WITHIN = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PixelMeasuresSequence",
    "FrameDisplayShutterSequence",
    "CollimatorShapeSequence",
    "FieldOfViewSequence",
    "FramePixelDataPropertiesSequence",
    "DetectorInformationSequence",
    "XRayGeometrySequence",
    "MaskSubtractionSequence",
    "ProjectionPixelCalibrationSequence",
)
"""Sequences that describe this picture. Others describe the pictures it refers to: they keep what they say."""


def rescale(dataset: Any, scale: Scale) -> list[str]:
    """Scale, in place, all that is said in pixels or per pixel; returns what was left out, in words.

    Call it before Rows and Columns are changed.
    """
    left_out: list[str] = []
    shift_positions(dataset, scale, left_out)
    _forget_bitmap(dataset)
    _rescale_level(dataset, scale, left_out)
    _rescale_aspect(dataset, scale, left_out)
    return list(dict.fromkeys(left_out))


def _rescale_level(dataset: Any, scale: Scale, left_out: list[str]) -> None:
    for keyword in SPACINGS:
        replace(dataset, keyword, lambda old: _spacing(old, scale), left_out)
    for first, last, factor in ((FIRST_ROW, LAST_ROW, scale[0]), (FIRST_COLUMN, LAST_COLUMN, scale[1])):
        for keyword in first:
            replace(dataset, keyword, partial(_first, factor), left_out)
        for keyword in last:
            replace(dataset, keyword, partial(_last, factor), left_out)
    for keyword in POINTS:
        replace(dataset, keyword, lambda old: _points(old, scale), left_out)
    for keyword in RADII:
        replace(dataset, keyword, lambda old: [rounded(only(old) * math.sqrt(scale[0] * scale[1]))], left_out)
    replace(dataset, "MaskSubPixelShift", lambda old: _shift(old, scale), left_out)
    for keyword, words in DROPPED.items():
        if keyword in dataset:
            del dataset[keyword]
            left_out.append(words)
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        rescale_region(region, scale, left_out)
    for keyword in WITHIN:
        for item in items(dataset, keyword):
            _rescale_level(item, scale, left_out)


def _spacing(old: list[float], scale: Scale) -> list[Any]:
    rows, columns = pair(old)
    if min(rows, columns) <= 0:
        raise ValueError("a spacing is above 0")
    return [decimal(rows / scale[0]), decimal(columns / scale[1])]


def _first(factor: float, old: list[float]) -> list[Any]:
    """The first new pixel of an old one, counted from 1; 0 (before the picture) stays 0."""
    return [max(0, rounded((only(old) - 1) * factor + 1))]


def _last(factor: float, old: list[float]) -> list[Any]:
    """The last new pixel of an old one, counted from 1."""
    return [rounded(only(old) * factor)]


def _points(old: list[float], scale: Scale) -> list[Any]:
    if len(old) % 2:
        raise ValueError("pairs expected")
    return [rounded((value - 0.5) * scale[n % 2] + 0.5) for n, value in enumerate(old)]


def _shift(old: list[float], scale: Scale) -> list[Any]:
    rows, columns = pair(old)
    return [rows * scale[0], columns * scale[1]]


def _rescale_aspect(dataset: Any, scale: Scale, left_out: list[str]) -> None:
    """The ratio of a pixel's height to its width changes where the two factors differ."""

    def change(old: list[float]) -> list[Any]:
        rows, columns = pair(old)
        if min(rows, columns) <= 0:
            raise ValueError("a ratio is above 0")
        ratio = Fraction(rows / columns * scale[1] / scale[0]).limit_denominator(100000)
        return [ratio.numerator, ratio.denominator]

    if scale[0] != scale[1]:
        replace(dataset, "PixelAspectRatio", change, left_out)


def _forget_bitmap(dataset: Any) -> None:
    """A shutter drawn as an overlay goes with it."""
    shapes = dataset.get("ShutterShape") or []
    shapes = [shapes] if isinstance(shapes, str) else list(shapes)
    if "BITMAP" in shapes:
        if rest := [shape for shape in shapes if shape != "BITMAP"]:
            dataset.ShutterShape = rest
        else:
            del dataset.ShutterShape
