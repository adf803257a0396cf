"""What a header says of its picture in codes of the standard: users see these, and never what somebody typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medsr.core.geometry import PLANES, Plane
from medsr.io.dicom.header import modality_of
from medsr.io.dicom.spacing import at_patient
from medsr.io.dicom.values import numbers_of

BODY_PARTS = frozenset(
    (
        "ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK CALCANEUS "
        "CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS CLAVICLE COCCYX COLON "
        "CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FIBULA "
        "FINGER FOOT GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX "
        "LEG LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE "
        "ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PHARYNX PROSTATE RADIUS RECTUM RIB SCALP SCAPULA SCLERA SHOULDER "
        "SINUS SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR THIGH THORAX THUMB THYMUS THYROID TIBIA TLSPINE "
        "TOE TONGUE TRACHEA TSPINE ULNA URETER URETHRA UTERUS WHOLEBODY WRIST ZYGOMA"
    ).split()
)
"""Of PS3.16 annex L, and THORAX, which many write."""
VIEWS = frozenset("AP PA LL RL LLD RLD LLO RLO LAT LATERAL CC MLO ML LM LMO XCCL XCCM FB SIO ISO".split())
"""Of radiographs and mammograms (PS3.3 C.8.1.1, PS3.16 CID 4014), and two words for a lateral view that many write."""
SIDES = {"R": "right side", "L": "left side", "B": "both sides"}
POSITIONS = {
    "HFS": "head first, supine",
    "HFP": "head first, prone",
    "HFDR": "head first, on the right side",
    "HFDL": "head first, on the left side",
    "FFS": "feet first, supine",
    "FFP": "feet first, prone",
    "FFDR": "feet first, on the right side",
    "FFDL": "feet first, on the left side",
}
"""How somebody lay in the scanner (PS3.3 C.7.3.1.1.2)."""
OBLIQUE = 0.985
"""Cosine of the angle (10 degrees) between the slices' normal and the nearest axis from which a plane is oblique."""


def coded_words(dataset: Any, cosines: Sequence[float] | None = None) -> str:
    """What a picture is: modality, part of the body, view, side, plane, and how somebody lay in the scanner.

    Only what is a number or one of the standard's codes: any other text may name a person, and is left out.
    `cosines`: of its rows and columns, where the header has them elsewhere than in ImageOrientationPatient.
    """
    plane = _plane(_cosines(dataset) if cosines is None else cosines)
    lying = POSITIONS.get(_code(dataset, "PatientPosition"), "")
    return ", ".join(filter(None, (modality_of(dataset), *_shown(dataset), plane, lying)))


def plane_words(plane: Plane, straightness: float) -> str:
    """A plane by name. `straightness`: the cosine between the slices' normal and the plane's."""
    return f"{plane}, oblique" if straightness < OBLIQUE else plane


def pixel_words(dataset: Any) -> str:
    """The size of a pixel at the patient, across and down; empty where the header does not say."""
    spacing = at_patient(dataset)
    if spacing is None:
        return ""
    down, across = (f"{step:.3g}" for step in spacing)
    return f"pixels of {across} mm" if across == down else f"pixels of {across} x {down} mm"


def _shown(dataset: Any) -> list[str]:
    """Which part of the body, from where, on which side."""
    part, view = _code(dataset, "BodyPartExamined"), _code(dataset, "ViewPosition")
    side = SIDES.get(_code(dataset, "ImageLaterality") or _code(dataset, "Laterality"), "")
    return [part if part in BODY_PARTS else "", f"{view} view" if view in VIEWS else "", side]


def _cosines(dataset: Any) -> Sequence[float]:
    try:
        return numbers_of(dataset, "ImageOrientationPatient") or ()
    except ValueError:
        return ()


def _plane(cosines: Sequence[float]) -> str:
    if len(cosines) != 6:
        return ""
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    length = float(np.linalg.norm(normal))
    axis = int(normal.argmax())
    return plane_words(PLANES[axis], float(normal[axis]) / length) if length > 0 else ""


def _code(dataset: Any, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip().upper()
    except Exception:  # pydicom raises whatever it likes on damaged values
        return ""
