"""Which part of the body free text of a header names. Only our own word for it is ever repeated, not the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

HEAD = (
    *("HEAD", "BRAIN", "SKULL", "CEREB", "CRANI", "KOPF", "SCHADEL", "SCHAEDEL", "HIRN", "CERVEAU", "ENCEPH", "=TETE"),
    *("CRANE", "ORBIT", "PITUITAR", "HIPPOCAMP", "=IAC", "SELLA", "=FACE", "SINUS", "=EYE", "=EYES", "TESTA", "CABEZA"),
)
"""Parts of the head, as stems of words (`=`: the whole word), in the languages that headers are often written in."""
STEMS = {
    "KNEE": ("KNEE", "=KNIE", "GENOU", "RODILLA", "GINOCCHI", "MENISC", "PATELLA"),
    "PROSTATE": ("PROSTAT",),
    "SPINE": (
        *("SPINE", "SPINAL", "VERTEBR", "LUMBAR", "LUMBAL", "CERVICAL", "=HWS", "=BWS", "=LWS", "WIRBEL", "RACHIS"),
        *("COLUMNA", "COLONNA", "SACRUM", "SACRAL", "THORACOLUMB"),
    ),
    "HEART": ("HEART", "CARDI", "=HERZ", "COEUR", "CORAZON", "MYOCARD", "=CUORE"),
    "CHEST": ("CHEST", "THORAX", "THORAC", "TORAX", "MEDIASTIN", "=LUNG", "=LUNGS", "=LUNGE"),
    "ABDOMEN": ("ABDOM", "=MRCP", "PANCREA", "ENTEROGR", "BOWEL", "ADRENAL", "ADDOME"),
    "LIVER": ("LIVER", "=LEBER", "=FOIE", "HIGADO", "HEPAT", "FEGATO"),
    "KIDNEY": ("KIDNEY", "RENAL", "NIERE"),
    "PELVIS": ("PELV", "BECKEN", "BASSIN", "RECTUM", "RECTAL", "BLADDER", "UTERUS", "OVAR", "CERVIX"),
    "BREAST": ("BREAST", "MAMMA", "MAMMO", "=SEIN", "=SEINS"),
    "SHOULDER": ("SHOULDER", "SCHULTER", "EPAULE", "HOMBRO", "SPALLA"),
    "HIP": ("=HIP", "=HIPS", "=LHIP", "=RHIP", "HUFTE", "HUEFTE", "HANCHE", "CADERA"),
    "ANKLE": ("ANKLE", "SPRUNGGELENK", "CHEVILLE", "TOBILLO", "CAVIGLIA"),
    "FOOT": ("FOOT", "=FEET", "=FUSS", "=PIED"),
    "WRIST": ("WRIST", "HANDGELENK", "POIGNET", "=POLSO"),
    "HAND": ("=HAND", "=HANDS", "=FINGER", "=THUMB"),
    "ELBOW": ("ELBOW", "ELLENBOGEN", "=COUDE", "=CODO", "GOMITO"),
    "LEG": ("=LEG", "=LEGS", "THIGH", "FEMUR", "=CALF", "TIBIA", "LOWEREXTREMITY", "FIBULA"),
    "ARM": ("UPPERARM", "FOREARM", "HUMERUS", "UPPEREXTREMITY"),
    "NECK": ("=NECK", "LARYNX", "THYROID", "=HALS"),
    "AORTA": ("AORTA",),
    "EXTREMITY": ("EXTREMIT",),
    "WHOLE BODY": ("WHOLEBODY",),
    "FETUS": ("FETUS", "FETAL", "FOETUS", "FOETAL"),
}
"""Parts of the body that are not the head, in our words, and the stems that mean them."""


def elsewhere(texts: Iterable[object]) -> str:
    """The part of the body, where the first of the texts that names one names another than the head; else empty.

    `texts`: the header's, the most certain first. One that names the head as well decides for the head.
    """
    for text in texts:
        plain = unicodedata.normalize("NFKD", str(text or "")).encode("ascii", "ignore").decode().upper()
        words = re.findall(r"[A-Z]+", plain)
        if _names(HEAD, words):
            return ""
        for part, stems in STEMS.items():
            if _names(stems, words):
                return part
    return ""


def _names(stems: tuple[str, ...], words: list[str]) -> bool:
    return any(stem[1:] in words if stem[0] == "=" else any(stem in word for word in words) for stem in stems)
