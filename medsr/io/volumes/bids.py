"""What a file's BIDS name, and the JSON that a converter wrote beside it, say of its voxels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsr.io.files import read_text
from medsr.io.volumes import body_parts, thickness
from medsr.io.volumes.base import Volume, slice_axis
from medsr.io.volumes.dicom import content as dicom_content

LARGEST = 8 << 20
"""Bytes of a JSON that is read at all."""
KEYS = ("ImageType", "ImageTypeText", "ComplexImageComponent")
RADIANS = ("rad", "radian", "radians")
PHASE = frozenset(("phase", "phase1", "phase2", "phasediff", "ph"))
SIGNED = frozenset(("real", "imag", "imaginary", "fieldmap"))
"""Last words of names, and what `part-` may say."""
MODALITIES = ("MR", "CT", "PT", "NM", "US")
OF_CONTRAST = frozenset(
    ("arterial", "venous", "portal", "portovenous", "late", "early", "delayed", "native", "nephrographic", "excretory")
)
"""Words before `phase` that mean a time, not an angle."""


def described(volume: Volume, path: Path, stem: str) -> Volume:
    """The volume with what is known of its content beside its header. `stem`: its name without the suffix."""
    sidecar = _json(path.with_name(f"{stem}.json"))
    if sidecar.get("tool") == "medsr":  # a sidecar of ours is of a result
        sidecar = {}
    kinds = dicom_content.words_of(sidecar.get(key) for key in KEYS)
    modality = sidecar.get("Modality")
    if modality not in ("MR", None):
        kinds = set()
    words = stem.lower().split("_")
    thickness_mm, notes = _thickness(volume, sidecar)
    return replace(
        volume,
        thickness=thickness_mm,
        notes=volume.notes + notes,
        modality=volume.modality or (modality if modality in MODALITIES else ""),
        wrapped=volume.wrapped
        or _named(words, PHASE)
        or not dicom_content.PHASE.isdisjoint(kinds)
        or str(sidecar.get("Units", "")).lower() in RADIANS,
        signed=volume.signed or _named(words, SIGNED) or not dicom_content.SIGNED.isdisjoint(kinds),
        elsewhere=volume.elsewhere or body_parts.elsewhere(sidecar.get(key) for key in dicom_content.REGIONS),
    )


def _thickness(volume: Volume, sidecar: dict[str, Any]) -> thickness.Stated:
    """Of a slice: by the file's own header, else by the JSON, where that is about the same slices."""
    if volume.thickness is not None:
        return volume.thickness, ()
    mm, notes = thickness.thickness_of([sidecar.get("SliceThickness")])
    distance = thickness.distance_of(volume.grid, slice_axis(volume))
    between = sidecar.get("SpacingBetweenSlices")
    notes += thickness.about_distance(between, distance, "the JSON beside it")
    if mm is not None and thickness.contradicts(between, mm, distance):
        return None, (*notes, "the JSON seems to be of other slices: its slice thickness is not used")
    if thickness.is_three_dimensional(sidecar.get("MRAcquisitionType"), sidecar.get("ImageType")):
        mm, about_interpolation = thickness.interpolated(mm, distance)
        notes += about_interpolation
    return mm, notes


def _named(words: list[str], kinds: frozenset[str]) -> bool:
    if any(f"part-{kind}" in words for kind in kinds):
        return True
    return len(words) > 1 and words[-1] in kinds and words[-2] not in OF_CONTRAST


def _json(path: Path) -> dict[str, Any]:
    """The object a file holds; empty where there is none that can be read."""
    try:
        if path.stat().st_size > LARGEST:
            return {}
        content = json.loads(read_text(path, "utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
