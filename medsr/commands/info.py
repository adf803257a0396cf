"""What is installed and at hand, without importing any of it; which series a folder holds; how a scan was acquired."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import InputError
from medsr.core.resources import home, resource_dir
from medsr.core.threads import bound_torch
from medsr.core.version import __version__
from medsr.engines import openvino_engine
from medsr.networks import weight_store

if TYPE_CHECKING:
    from medsr.io.volumes.dicom.series_words import ListedSeries

PACKAGES = (
    "torch",
    "torchvision",
    "basicsr",
    "realesrgan",
    "lightning-fabric",
    "monai",
    "nibabel",
    "SimpleITK",
    "scikit-image",
    "numpy",
    "pydicom",
    "openvino",
    "nncf",
)


def collect(devices: bool = False) -> dict[str, Any]:
    """Versions, models on this machine, folders; with `devices` also the GPUs torch sees."""
    entries = weight_store.entries().values()
    facts: dict[str, Any] = {
        "medsr": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "models": [*weight_store.BASELINES, *(e.name for e in entries if e.role == "generator" and e.path.is_file())],
        "weights": str(home() / "weights"),
        "recipes": str(resource_dir("recipes")),
    }
    if devices:
        import torch

        cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        intel = openvino_engine.gpus() if openvino_engine.available() else []
        facts["devices"] = ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else []), *intel]
        bound_torch()
        facts["threads"] = torch.get_num_threads()
    return facts


def series_of(path: Path) -> tuple[list[ListedSeries], list[str]]:
    """The DICOM series at a path, as `volume` numbers them, and what is wrong with files there.

    Raises InputError where there is none.
    """
    from medsr.io.volumes.dicom.series_list import list_series

    damaged: list[str] = []
    listing = list_series(path, damaged)
    if not listing:
        raise InputError(f"{path}: {f'no DICOM image there: {damaged[0]}' if damaged else _no_series(path)}")
    return listing, damaged


def _no_series(path: Path) -> str:
    """Why a file or folder without DICOM has nothing to tell, as far as what is there says so."""
    from medsr.io.kinds import is_image
    from medsr.io.wrong_kind import holds_images, holds_only_scans

    if is_image(path):
        return "an image; medsr info tells of scans, and of series in DICOM"
    if holds_images(path):
        return "holds images; medsr info tells of scans, and of series in DICOM"
    return "holds scans in files of their own; name one of them" if holds_only_scans(path) else "no DICOM image there"


def scan_facts(path: Path) -> dict[str, Any]:
    """Of one scan in a file: format, grid, how thick its slices are taken to be, and what its header leaves open.

    Raises InputError where it cannot be read.
    """
    from medsr.io.volumes import volume as volume_io
    from medsr.volumes.slice_thickness import slice_thickness

    scan = volume_io.read(path)
    thickness = slice_thickness(scan)
    whole = f"slices of {thickness.mm:.4g} mm, each reaching to the next"
    unstated = "" if scan.thickness is not None or thickness.notes else "; no header says how thick they are"
    return {
        "format": scan.kind,
        "shape": list(scan.stored.shape),
        "spacing_mm": [round(step, 6) for step in scan.grid.spacing],
        "slices": thickness.words or whole + unstated,
        "acquisition": thickness.summary(),
        "notes": [*scan.notes, *thickness.notes],
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
