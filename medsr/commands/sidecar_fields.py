"""What a sidecar must hold so that its result can be made again: nobody knows who wrote it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from medsr.core.errors import InputError
from medsr.io.confined import check_path
from medsr.io.files import read_text
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import GeometryChoice, slice_axis
from medsr.io.volumes.thickness import distance_of

Text = Annotated[str, AfterValidator(check_path)]
Factor = Annotated[float, Field(gt=0, le=16)]
Bits = Annotated[int, Field(ge=1, le=16)]


def _name(text: str) -> str:
    if text != Path(text).name or len(os.fsencode(text)) > 255:
        raise ValueError("not the name of a file")
    return text


class _Strict(BaseModel):
    """More than is option for may stand in it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Model(_Strict):
    name: Text
    sha256: str | None


class _Parameters(_Strict):
    engine: str = "auto"
    precision: str = "fp32"
    int8_sha256: str | None = None
    compiled: bool = False
    consistency: bool = False
    keep_metadata: bool = True


class _OfImage(_Parameters):
    outscale: Factor
    bits: Bits | None
    tile: Annotated[int, Field(ge=0)] | None = None
    assumed_bits: Bits | None = None
    frames: str | None = None


class _OfScan(_Parameters):
    isotropic: bool
    scale: float | None
    spacing_mm: float | list[float] | None
    planes: str | list[str]
    fuse: Text
    fusion_sha256: str | None = None
    consistency: bool
    profile: str
    thickness_mm: float | None
    noise: float | None = None
    adapt_minutes: float | None
    kind: str
    affine: str | None = None
    input_spacing_mm: list[float] | None = None


class _Acquisition(_Strict):
    thickness_mm: float


class _Image(_Strict):
    input: Text
    input_sha256: str
    model: _Model
    parameters: _OfImage


class _Images(_Strict):
    version: str
    results: dict[Text, _Image]


class _Scan(_Strict):
    version: str
    input_file: Text
    output_file: Annotated[Text, AfterValidator(_name)]
    input_sha256: str
    series: str | None = None
    model: _Model
    parameters: _OfScan
    acquisition: _Acquisition | None = None


class _OfJoin(_OfScan):
    together: bool
    extent: str
    registration: bool
    matching: bool
    force: bool


class _File(_Strict):
    file: Text
    sha256: str


class _Stack(_File):
    series: str | None = None


class _Join(_Strict):
    version: str
    input_files: Annotated[list[_Stack], Field(min_length=2, max_length=100)]
    like: _File | None = None
    output_file: Annotated[Text, AfterValidator(_name)]
    model: _Model
    parameters: _OfJoin


def read(path: Path) -> dict[str, Any]:
    """A sidecar's content, whole enough to make its results again. Raises InputError."""
    try:
        summary = json.loads(read_text(path))
    except OSError as error:
        if path.is_dir():
            raise InputError(f"{path}: a folder; expected a sidecar, the JSON file beside a result") from error
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a sidecar of medsr, which is text in JSON beside a result") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a sidecar of medsr: {error}") from error
    if not isinstance(summary, dict) or summary.get("tool") != "medsr" or "version" not in summary:
        raise InputError(f"{path}: not a sidecar of medsr")
    try:
        check(summary)
    except ValueError as error:
        raise InputError(f"{path}: not a whole sidecar of medsr ({error})") from error
    return summary


def check(summary: dict[str, Any]) -> None:
    """Raise ValueError, naming the first entry that is absent or not of its type."""
    try:
        fields = _Join if "input_files" in summary else _Scan
        (_Images if summary.get("command") == "upscale" else fields).model_validate(summary)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def thickness(summary: dict[str, Any], scan: Path) -> float | None:
    """mm that the slices of `scan` were taken for, whoever said so then: what stood beside the scan may be gone.

    Sidecars that do not say are older than the look at headers: then slices always reached to the next.
    """
    parameters = summary["parameters"]
    option: float | None = parameters["thickness_mm"]
    if "acquisition" in summary or option is not None:
        return option if "acquisition" not in summary else float(summary["acquisition"]["thickness_mm"])
    if summary["model"]["name"] == "nearest":  # a label map has no slice profile
        return None
    steps = parameters.get("input_spacing_mm")
    choice = GeometryChoice(parameters.get("affine"), None if steps is None else tuple(steps))
    volume = volume_io.read(scan, summary.get("series"), choice)
    return distance_of(volume.grid, slice_axis(volume))
