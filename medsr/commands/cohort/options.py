"""The options of a cohort, as they are kept in its plan: each of its type, since nobody knows who wrote the plan."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Factor = Annotated[float, Field(gt=0, le=16)]


class _Options(BaseModel):
    """Of both commands. An option that a plan of an older medsr does not have is as it was then."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    model: str = "auto"
    device: str = "auto"
    engine: str = "auto"
    precision: str = "fp32"
    max_gpu_memory: float | None = None
    compiled: bool = False
    keep_metadata: bool = False


class VolumeOptions(_Options):
    """Of `medsr volume`."""

    affine: str | None = None
    input_spacing: list[float] | None = None
    isotropic: bool = False
    scale: float | None = None
    spacing: float | list[float] | None = None
    planes: str = "auto"
    fuse: str = "mean"
    consistency: bool = True
    profile: str = "box"
    thickness: float | None = None
    noise: float | None = None
    uncertainty: bool = False
    adapt: float | None = None
    kind: str = "auto"
    also: list[str] = []
    series: str | None = None
    dicom: bool = False
    report: bool = False


class UpscaleOptions(_Options):
    """Of `medsr upscale`."""

    outscale: Factor | None = None
    tile: Annotated[int, Field(ge=0)] | None = None
    bits: Annotated[int, Field(ge=1, le=16)] | None = None
    consistency: bool = False
    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    assumed_bits: dict[str, Annotated[int, Field(ge=1, le=16)]] | None = None
    frames: str | None = None
    precisions: dict[str, str] = {}


def complete(command: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options as JSON has them, with a value for each. Raises ValueError for others, or of another type."""
    options_class = VolumeOptions if command == "volume" else UpscaleOptions
    if command == "upscale" and "strength" not in options and options.get("consistency"):
        options = options | {"strength": 1.0}
    return options_class.model_validate(options).model_dump()
