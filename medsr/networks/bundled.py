"""Which bundled model an input gets when none is asked for: by what its file says, else by its values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import WeightsError
from medsr.io.images.image import DICOM, Image
from medsr.io.volumes.base import Volume
from medsr.io.volumes.periodic import is_phase, is_signed
from medsr.io.volumes.units import is_ct, lowest
from medsr.networks import weight_store

AUTO = "auto"
FUNDUS, CHEST, MRI = "fundus", "chest", "mri"
"""What bundled models are for (`suits` in the manifest)."""
RADIOGRAPHS = ("DX", "CR")
EYES = ("OP", "")
UNSAID = ("OP", "OT", "SC", "XC", "")
"""Modalities of DICOM photographs that may show a fundus."""
INSIST = "; `model` chooses one"
DOUBT = "; if it is something else, name a `model`"
PARTS = {True: " of the chest", False: " of another part of the body", None: ""}
LIT = 0.1
"""Of the image's brightest: what counts as lit, and how far channels may differ in a grey image."""
WARM = 1.25
"""Mean red over green and green over blue of a fundus, where it is lit: 1.36 and more on DRIVE, STARE and CHASE_DB1."""
SURROUND = 0.25
"""Of the brightest: what three corners of a fundus stay below, outside the camera's round field (0.12 and less on those
three sets). Corners of other photographs are seldom dark."""


@dataclass(frozen=True)
class Choice:
    """A model's name and, in words, why. `fits`: False where no bundled model was made for such an input.

    `guessed`: the input does not say what it is, and the likeliest was taken. `hint`: what may be done about it on the
    command line.
    """

    model: str
    why: str
    fits: bool = True
    guessed: bool = False
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.model}: {self.why}{self.hint}" if self.fits else f"{self.why}{self.hint}"
        return line if self.fits and not self.guessed else f"warning: {line}"


def for_image(image: Image, scale: float) -> Choice:
    """The faithful model for what the image shows, of the least factor that reaches `scale`."""
    kind, why = _kind_of(image)
    if kind is None:
        why = f"no bundled model was made for {why}: bicubic interpolation"
        return Choice("bicubic", why, fits=False, hint=INSIST)
    model = model_for(kind, scale)
    why = _cautioned(model, why)
    certain = image.of_chest is True or image.of_retina is True
    doubtful = kind == CHEST or (image.kind == DICOM and not looks_like_fundus(image))
    return Choice(model, why, guessed=doubtful and not certain, hint="" if certain else DOUBT)


def by_factor(image: Image) -> list[tuple[float | None, Choice]]:
    """What `for_image` chooses: up to which factor, and the choice; None where it holds for all larger factors."""
    factors = sorted({float(entry.scale) for entry in weight_store.entries().values() if entry.suits and entry.scale})
    choices = [(factor, for_image(image, factor)) for factor in factors or [1.0]]
    bounds = [factor for (factor, choice), (_, after) in pairwise(choices) if choice.model != after.model]
    return [*((bound, for_image(image, bound)) for bound in bounds), (None, choices[-1][1])]


def _cautioned(model: str, why: str) -> str:
    """Why a model was chosen, and what its user should know before relying on it."""
    caution = weight_store.entries()[model].caution
    return f"{why}; {caution}" if caution else why


def model_for(kind: str, scale: float = 1) -> str:
    """The faithful bundled model for a kind of image, of the least factor that reaches `scale`, else of the largest."""
    candidates = sorted(
        (entry.scale or 0, name) for name, entry in weight_store.entries().items() if entry.suits == kind
    )
    if not candidates:
        raise WeightsError(f"no model for {kind} came with this medsr; name a `model`")
    return next((name for factor, name in candidates if factor >= scale), candidates[-1][1])


def _kind_of(image: Image) -> tuple[str | None, str]:
    """What a model must suit, or None; and what the image is taken for."""
    if image.kind == DICOM:
        return _kind_of_dicom(image)
    if is_grey(image):
        return CHEST, "grey, so taken for a chest X-ray (its file does not say)"
    if looks_like_fundus(image):
        return FUNDUS, "taken for a fundus by its colours and dark corners"
    return None, "a colour image that does not look like a whole fundus"


def _kind_of_dicom(image: Image) -> tuple[str | None, str]:
    header = f"{image.modality or 'no modality'}{PARTS[image.of_chest]}"
    if image.pixels.shape[2] == 3:
        if image.modality in EYES and image.of_retina:
            return FUNDUS, f"its header says {image.modality} of the retina"
        if image.modality in UNSAID and image.of_retina is not False and looks_like_fundus(image):
            return FUNDUS, f"its header says {header}; taken for a fundus by its colours and dark corners"
        if image.modality == "OP" and image.of_retina is None:
            return FUNDUS, "its header says OP and names no part of the eye, so taken for a fundus"
        return None, f"what its header says ({header}, in colour)"
    if image.modality in RADIOGRAPHS and image.of_chest is not False:
        doubt = "" if image.of_chest else " and names no part of the body, so taken for a chest"
        return CHEST, f"its header says {header}{doubt}"
    return None, f"what its header says ({header})"


def is_grey(image: Image) -> bool:
    unit = image.window.to_unit(image.pixels[::8, ::8])
    return unit.shape[2] == 1 or float(np.ptp(unit, axis=2).max()) <= LIT * float(unit.max())


def looks_like_fundus(image: Image) -> bool:
    """Whether its colours are a fundus's, and its corners dark."""
    if is_grey(image):
        return False
    unit = image.window.to_unit(image.pixels[::8, ::8])
    red, green, blue = unit[unit.max(axis=2) > LIT * float(unit.max())].mean(axis=0)
    return bool(red > WARM * green and green > WARM * blue and _dark_around(unit.max(axis=2)))


def _dark_around(bright: NDArray) -> bool:
    """Whether three of the four corners are, as around a round field."""
    rows, columns = (max(1, length // 20) for length in bright.shape)
    ends = [
        bright[y, x].mean() for y in (slice(rows), slice(-rows, None)) for x in (slice(columns), slice(-columns, None))
    ]
    return bool(sorted(ends)[2] < SURROUND * np.percentile(bright, 99))


def for_volume(volume: Volume) -> Choice:
    """The faithful refiner for MRI; plain interpolation for what is known to be something else."""
    if other := other_than_mri(volume):
        return _interpolated(other)
    why = "an MR scan, as its header says" if volume.modality == "MR" else "taken for MRI (its file does not say)"
    model = model_for(MRI)
    return Choice(model, _cautioned(model, why))


def other_than_mri(volume: Volume) -> str:
    """What a volume is that is not a magnitude of MRI; empty where nothing says so."""
    if volume.modality not in ("", "MR"):
        return f"{volume.modality} scans"
    if is_phase(volume):
        return "a phase, whose values wrap"
    if volume.signed:
        return "real or imaginary parts and field maps, as its header or name says"
    if is_ct(volume):
        return f"CT, which values down to {lowest(volume):.0f} look like"
    if is_signed(volume):
        return "values on both sides of 0, as in field maps and parts of complex images"
    return ""


def _interpolated(what: str) -> Choice:
    return Choice(
        "cubic", f"no bundled model was made for {what}: cubic B-spline interpolation", fits=False, hint=INSIST
    )


def candidates_hash() -> str:
    """One SHA-256 for all that may be chosen: when it changes, so may a result."""
    hashes = sorted(entry.sha256 or "" for entry in weight_store.entries().values() if entry.suits)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
