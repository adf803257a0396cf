"""DICOM's own words for images: what may be repeated in a message, as any other text may be somebody's name."""

from __future__ import annotations

import re

from medsr.core.text import UNKNOWN

TERMS = frozenset(
    (
        "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER CORONAL SAGITTAL OBLIQUE VOLUME MIXED OTHER NONE "
        "M P R I MAGNITUDE PHASE REAL IMAGINARY VELOCITY PHASE_MAP NORM ND FM FFE SE IR TSE T1 T2 T2_STAR PD B0 "
        "DIS2D DIS3D FIL MOSAIC MFSPLIT ADC EADC ADC_MAP FA TRACE TRACEW DIFFUSION PERFUSION FMRI ASL TTP RCBV RCBF "
        "MPR MIP MINIP PROJECTION PROJECTION_IMAGE MAX_IP MIN_IP RESAMPLED REFORMATTED AVERAGE ADDITION SUBTRACTION "
        "W F IP OP OUT_PHASE IN_PHASE WATER FAT FAT_FRAC CSA CT_SOM5 SPI HELIX MULTI MULTIECHO COMPOSED STATIC DYNAMIC "
        "GATED RECON TOMO EMISSION TRANSMISSION CT MR PT NM CSAPARALLEL STANDARD BONE BONEPLUS LUNG SOFT DETAIL EDGE "
        "CHEST HEAD BODY SHARP SMOOTH FBP ASIR FIELDMAP MTT SUB YES NO"
    ).split()
)
_CODE = re.compile(
    r"[A-Z][a-z]?\d{2,3}[a-z]?(?:\\\d)?|(?:SE|TE|TI|PHASE|STACK|ECHO)_?\d{1,4}|[-+]?[\d.]+(?:e[-+]\d+)?", re.ASCII
)
"""Kernels (B31f, Br40d), counts, numbers."""


def term(value: object) -> str:
    """`value` of a tag as a message may have it: a number or one of DICOM's terms, else "an unknown value"."""
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    return text if text in TERMS or _CODE.fullmatch(text) else UNKNOWN
