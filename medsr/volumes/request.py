"""What the user asked for, as one value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from medsr.core.errors import UsageError
from medsr.core.geometry import Grid, Shape, check_wish, finer
from medsr.core.suggest import did_you_mean
from medsr.engines.base import Compute
from medsr.io.files import sha256
from medsr.io.volumes.base import Form, GeometryChoice
from medsr.networks import weight_store
from medsr.networks.bundled import AUTO
from medsr.networks.weight_store import VOLUME_BASELINES
from medsr.volumes.fusion import Fuse
from medsr.volumes.learned_fusion import file_of
from medsr.volumes.refine import Method

Kind = Literal["auto", "image", "labels"]
DEFAULT_MINUTES = 2.0


@dataclass(frozen=True)
class Request:
    """How to refine a scan: by what, onto which grid, and how much to tell about it.

    At most one of `isotropic`, `scale` and `spacing` says what finer means (see `geometry.finer`). `thickness`: mm of
    the slices where it is not their spacing. `adapt`: minutes of learning from the scan itself, or None. `affine`:
    which form of a NIfTI header is right where they disagree. `input_spacing`: mm along each axis of the array, for a
    header that states none. `noise`: the standard deviation of the scan's noise in the image's own units, where it is
    known; None: measured. `keep_metadata`: as `io.volume.write`.
    """

    model: str = AUTO
    isotropic: bool = False
    scale: float | None = None
    spacing: tuple[float, ...] | None = None
    method: Method = field(default_factory=Method)
    thickness: float | None = None
    kind: Kind = "auto"
    adapt: float | None = None
    compute: Compute = field(default_factory=Compute)
    affine: Form | None = None
    input_spacing: tuple[float, float, float] | None = None
    noise: float | None = None
    keep_metadata: bool = False

    def __post_init__(self) -> None:
        check_wish(self.scale, self.spacing, self.isotropic)
        _check_fuse(self.method.fuse)
        _one_of("kind", self.kind, get_args(Kind))
        _one_of("profile", self.method.profile, ("box", "gaussian"))
        if self.scale == 1 and self.model != "cubic":
            raise UsageError("`scale=1`: the same grid, there is nothing to refine; only `model=cubic` does that")
        if self.affine is not None:
            _one_of("affine", self.affine, get_args(Form))
        if self.input_spacing is not None and (
            len(self.input_spacing) != 3 or not all(0 < step < float("inf") for step in self.input_spacing)
        ):
            raise UsageError(f"`input_spacing={self.input_spacing}`: expected three numbers, mm above 0")
        if self.adapt is not None and not 0 < self.adapt <= 24 * 60:
            raise UsageError(f"`adapt={self.adapt:g}`: expected minutes above 0, at most a day")
        if self.adapt is not None and self.model in VOLUME_BASELINES:
            raise UsageError("`adapt`: interpolation has nothing to learn; choose a model")
        if self.adapt is not None and (self.compute.engine == "openvino" or self.compute.in_torch != "fp32"):
            raise UsageError("`adapt`: learns in torch and fp32; leave `engine` and `precision` out")
        if self.adapt is not None and self.compute.device.startswith("gpu"):
            raise UsageError(f"`adapt`: learns in torch; `device={self.compute.device}` is for OpenVINO")
        if self.model == "scratch" and self.adapt is None:
            raise UsageError("`model=scratch`: an untrained network; say how long to train it with `adapt=MINUTES`")
        if self.model in VOLUME_BASELINES and self.method.uncertainty:
            raise UsageError("`uncertainty`: interpolation gives the same in every plane; choose a model")
        if self.thickness is not None and not 0 < self.thickness < float("inf"):
            raise UsageError(f"`thickness={self.thickness:g}`: expected mm above 0")
        if self.noise is not None and not 0 <= self.noise < float("inf"):
            raise UsageError(f"`noise={self.noise:g}`: expected a standard deviation in the image's units, 0 or more")

    @property
    def choice(self) -> GeometryChoice:
        """What is said about headers that contradict themselves or say nothing."""
        return GeometryChoice(self.affine, self.input_spacing)

    def target(self, grid: Grid) -> Shape:
        """The shape of the refined grid. Raises UsageError when it would not be finer."""
        return finer(grid, self.scale, self.spacing, self.isotropic)

    def parameters(self) -> dict[str, Any]:
        """What was asked, for the sidecar."""
        method = self.method
        return {
            "isotropic": self.isotropic,
            "scale": self.scale,
            "spacing_mm": self.spacing,
            "planes": method.planes or "auto",
            "fuse": method.fuse,
            **_fusion(method.fuse),
            "consistency": method.consistency and self.model != "cubic",
            "profile": method.profile,
            "thickness_mm": self.thickness,
            "noise": self.noise,
            "uncertainty": method.uncertainty,
            "adapt_minutes": self.adapt,
            "kind": self.kind,
            "affine": self.affine,
            "input_spacing_mm": self.input_spacing,
            "keep_metadata": self.keep_metadata,
        }


def _check_fuse(fuse: str) -> None:
    if fuse in get_args(Fuse) or fuse in weight_store.entries() or os.path.isfile(fuse):
        _fusion(fuse)
    else:
        raise UsageError(
            f"`fuse={fuse}`: expected one of {', '.join(get_args(Fuse))}, or a fusion network"
            f"{did_you_mean(fuse, get_args(Fuse))}"
        )


def _fusion(fuse: str) -> dict[str, str]:
    """Which weights fuse, for the sidecar; nothing where none do."""
    return {} if fuse in get_args(Fuse)[:-1] else {"fusion_sha256": sha256(file_of(fuse))}


def _one_of(parameter: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise UsageError(f"`{parameter}={value}`: expected one of {', '.join(valid)}{did_you_mean(value, valid)}")
