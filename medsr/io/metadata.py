"""What of a file's header goes along into a result: what describes the image, not what may name a person or a place.

docs/images.md lists it format by format.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from medsr.io.images.base import Image
from medsr.io.orientation import exif_describing
from medsr.io.volumes.base import ANALYZE, METAIMAGE, NIFTI, NRRD, Volume

NIFTI_TEXTS = ("data_type", "db_name", "session_error", "regular", "descrip", "aux_file", "intent_name", "unused_str")
ANALYZE_TEXTS = (
    *("data_type", "db_name", "session_error", "regular", "hkey_un0", "cal_units", "descrip", "aux_file", "originator"),
    *("generated", "scannum", "patient_id", "exp_date", "exp_time", "hist_un0"),
)
NRRD_TEXTS = ("content",)
_NUMBERS = r"[-+.\deE\s]*"
DESCRIBING = (
    (re.compile(r"DWMRI_(b-value|gradient_\d+|B-matrix_\d+|NEX_\d+)"), re.compile(_NUMBERS)),
    (re.compile(r"MultiVolume\.(NumberOfFrames|DICOM\.(EchoTime|FlipAngle|RepetitionTime))"), re.compile(_NUMBERS)),
    (re.compile("[mM]odality"), re.compile("DWMRI|(MET_MOD_)?(CT|MR|NM|US|PT)|MET_MOD_(OTHER|UNKNOWN)")),
)
"""Keys of NRRD and MetaImage that say what was measured, with the values they may have: numbers, or few words."""
_LENGTHS = (b"mm", b"cm", b"um", b"m")


def describing_image(image: Image) -> Image:
    """The image with what describes it alone: of EXIF the orientation and the colour space. DICOM stays as it is."""
    extra = dict(image.extra)
    if exif := extra.pop("exif", b""):
        extra |= {"exif": kept} if (kept := exif_describing(exif)) else {}
    if b"eXIf" in (chunks := extra.get("chunks") or {}):
        kept = exif_describing(chunks[b"eXIf"]).removeprefix(b"Exif\0\0")
        others = {name: data for name, data in chunks.items() if name != b"eXIf"}
        extra["chunks"] = others | ({b"eXIf": kept} if kept else {})
    return replace(image, extra=extra)


def describing_volume(volume: Volume) -> Volume:
    """The volume with what describes it alone; the voxels and where they are stay. DICOM stays as it is."""
    if volume.extra is None:
        return volume
    if volume.kind in (NIFTI, ANALYZE):
        klass, header = volume.extra
        return replace(volume, extra=(klass, _without_texts(header, volume.kind)))
    if volume.kind == NRRD:
        header = volume.extra
        fields = {key: value for key, value in header.fields.items() if key not in NRRD_TEXTS}
        return replace(volume, extra=replace(header, fields=fields, pairs=_describing(header.pairs)))
    if volume.kind in (METAIMAGE, "SimpleITK"):
        time, keys = volume.extra
        return replace(volume, extra=(time, _describing(keys)))
    return volume


def _without_texts(header: Any, kind: str) -> Any:
    new = header.copy()
    fields = new.structarr.dtype.names
    for name in NIFTI_TEXTS if kind == NIFTI else ANALYZE_TEXTS:
        if name in fields:
            new[name] = b"" if new[name].dtype.kind == "S" else 0
    if kind == ANALYZE and new["vox_units"].item() not in _LENGTHS:
        new["vox_units"] = b""
    if kind == ANALYZE and "origin" in fields:  # SPM's, where others write who made the file
        origin, shape = np.array(new["origin"]), np.array(new["dim"][1:4])
        placed = bool((origin[:3] > -shape).all() and (origin[:3] < 2 * shape).all())
        new["origin"] = [*(origin[:3] if placed else (0, 0, 0)), 0, 0]
    return new


def _describing(keys: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in keys.items() if any(_fits(key, text, *pair) for pair in DESCRIBING)}


def _fits(key: str, text: str, name: re.Pattern[str], value: re.Pattern[str]) -> bool:
    return bool(name.fullmatch(key) and value.fullmatch(text.strip()))
