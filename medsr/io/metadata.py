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
from medsr.io.volumes.base import DICOM, METAIMAGE, SIMPLEITK, Volume
from medsr.io.volumes.formats import BY_NAME

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
    if volume.extra is None or volume.kind == DICOM:
        return volume
    entry = BY_NAME[METAIMAGE if volume.kind == SIMPLEITK else volume.kind]
    return replace(volume, extra=entry.describe(volume.extra))


def nifti(extra: tuple[Any, Any]) -> tuple[Any, Any]:
    """The class of image and its header without texts."""
    return extra[0], _without(NIFTI_TEXTS, extra[1].copy())


def mgh(extra: tuple[Any, Any]) -> tuple[Any, Any]:
    """All of it: an MGH header has no texts."""
    return extra


def nrrd(header: Any) -> Any:
    """The header with the keys alone that say what was measured."""
    fields = {key: value for key, value in header.fields.items() if key not in NRRD_TEXTS}
    return replace(header, fields=fields, pairs=_describing(header.pairs))


def metaimage(extra: tuple[Any, dict[str, str]]) -> tuple[Any, dict[str, str]]:
    """The time axis, and the keys alone that say what was measured."""
    time, keys = extra
    return time, _describing(keys)


def analyze(extra: tuple[Any, Any]) -> tuple[Any, Any]:
    """The class of image and its header without texts; of SPM's origin what can be one."""
    klass, header = extra
    new = _without(ANALYZE_TEXTS, header.copy())
    if new["vox_units"].item() not in _LENGTHS:
        new["vox_units"] = b""
    if "origin" in new.structarr.dtype.names:  # SPM's, where others write who made the file
        origin, shape = np.array(new["origin"]), np.array(new["dim"][1:4])
        placed = bool((origin[:3] > -shape).all() and (origin[:3] < 2 * shape).all())
        new["origin"] = [*(origin[:3] if placed else (0, 0, 0)), 0, 0]
    return klass, new


def _without(texts: tuple[str, ...], header: Any) -> Any:
    for name in texts:
        if name in header.structarr.dtype.names:
            header[name] = b"" if header[name].dtype.kind == "S" else 0
    return header


def _describing(keys: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in keys.items() if any(_fits(key, text, *pair) for pair in DESCRIBING)}


def _fits(key: str, text: str, name: re.Pattern[str], value: re.Pattern[str]) -> bool:
    return bool(name.fullmatch(key) and value.fullmatch(text.strip()))
