"""How a recipe makes low resolution: the high-order process for images, thick slices for volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from medsr.recipe.fields import (
    CountOrNone,
    Flag,
    Number,
    Positive,
    Probability,
    QualityRange,
    Range,
    RecipeSection,
    Three,
    ascending,
    one_of,
)


class DegradationSection(RecipeSection):
    """One way to make low resolution; to add one, write its section here and name it in `DEGRADATIONS`."""

    strategy: ClassVar[str]
    """The class that trains and validates with it, as "module:class"; see `training.degradations`."""


class UnpooledSection(DegradationSection):
    """One whose pairs are not kept for later batches: nothing is drawn, or every crop of a batch has its own factor."""

    @property
    def pool(self) -> int:
        """No pool of pairs."""
        return 0


class KernelMix(RecipeSection):
    """How often each kind of blur kernel is drawn."""

    iso: Probability = 0.45
    aniso: Probability = 0.25
    generalized_iso: Probability = 0.12
    generalized_aniso: Probability = 0.03
    plateau_iso: Probability = 0.12
    plateau_aniso: Probability = 0.03

    @model_validator(mode="after")
    def _some(self) -> KernelMix:
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("every kernel has probability 0")
        return self


class ResizeModes(RecipeSection):
    """How often each way to resize is drawn. `area` and `bilinear` leave an image softer than `bicubic` does."""

    area: Probability = 1.0
    bilinear: Probability = 1.0
    bicubic: Probability = 1.0

    @model_validator(mode="after")
    def _some(self) -> ResizeModes:
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("every way to resize has probability 0")
        return self


class DegradationStage(RecipeSection):
    """One pass of blur, resize, noise and JPEG. Sigmas of blur are in pixels, of noise in 1/255 of full range."""

    blur_probability: Probability = 1.0
    kernels: KernelMix = KernelMix()
    kernel_sizes: tuple[
        Annotated[int, Field(strict=True, ge=3, le=21)], Annotated[int, Field(strict=True, ge=3, le=21)]
    ] = (7, 21)
    blur_sigma: Range = (0.2, 3.0)
    betag: Range = (0.5, 4.0)
    betap: Range = (1.0, 2.0)
    sinc_probability: Probability = 0.1
    resize_up_down_keep: Three = (0.2, 0.7, 0.1)
    resize_range: Range = (0.15, 1.5)
    resize_modes: ResizeModes = ResizeModes()
    noise_probability: Probability = 1.0
    gaussian_noise_probability: Probability = 0.5
    gaussian_sigma: Range = (1.0, 30.0)
    poisson_scale: Range = (0.05, 3.0)
    grey_noise_probability: Probability = 0.4
    jpeg_probability: Probability = 1.0
    jpeg_quality: QualityRange = (30, 95)

    @model_validator(mode="after")
    def _possible(self) -> DegradationStage:
        if sum(self.resize_up_down_keep) <= 0:
            raise ValueError("resize_up_down_keep: every probability is 0")
        low, high = self.resize_range
        up, down, _ = self.resize_up_down_keep
        if low <= 0 or (up > 0 and high < 1) or (down > 0 and low > 1):
            raise ValueError(
                f"resize_range: above 0, and to 1 or beyond in each direction that is drawn, got {self.resize_range}"
            )
        if self.kernel_sizes[0] > self.kernel_sizes[1] or any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes: two odd numbers, the smaller first, got {self.kernel_sizes}")
        if self.blur_sigma[0] <= 0:
            raise ValueError(
                f"blur_sigma: must stay above 0, got {self.blur_sigma}; blur_probability switches blur off"
            )
        return self


class SecondDegradationStage(DegradationStage):
    """The second pass, with Real-ESRGAN's published ranges."""

    blur_probability: Probability = 0.8
    blur_sigma: Range = (0.2, 1.5)
    resize_up_down_keep: Three = (0.3, 0.4, 0.3)
    resize_range: Range = (0.3, 1.2)
    gaussian_sigma: Range = (1.0, 25.0)
    poisson_scale: Range = (0.05, 2.5)


class HighOrder(DegradationSection):
    """Real-ESRGAN's high-order degradation; the defaults are its published ranges."""

    strategy = "medsr.training.degradations:DegradationStrategy"
    name: Literal["high-order"] = "high-order"
    first: DegradationStage = DegradationStage()
    second: SecondDegradationStage = SecondDegradationStage()
    final_sinc_probability: Probability = 0.8
    antialias: Flag = False
    pool: CountOrNone = 180


class Bicubic(UnpooledSection):
    """Antialiased bicubic reduction as MATLAB's, then 8 bits: the bicubic track of P3 and P4."""

    strategy = "medsr.training.degradations:BicubicStrategy"
    name: Literal["bicubic"]


class Unknown(UnpooledSection):
    """P3's "unknown" track: a fixed blur and shift that the network is not told of, then 8 bits."""

    strategy = "medsr.training.degradations:UnknownStrategy"
    name: Literal["unknown"]


_Thickness = Annotated[Number, Field(gt=0, le=1)]


class SliceProfile(UnpooledSection):
    """Thick slices, for volumes (P2): one axis of a slice averaged under a slice profile, then interpolated back.

    `factors`: how many times coarser. `both_axes`: how often the other axis is too. `fwhm`: of the Gaussian profile,
    in slice spacings. The box is one spacing wide (mean downsampling); with probability `gaps` it is narrower, by
    `thickness`, in spacings: slices with gaps between them.
    """

    strategy = "medsr.training.degradations:ThickSliceStrategy"
    name: Literal["slice-profile"] = "slice-profile"
    factors: Annotated[tuple[Number, Number], AfterValidator(ascending)] = (2.0, 6.0)
    both_axes: Probability = 0.0
    gaussian_probability: Probability = 0.0
    fwhm: Annotated[tuple[Positive, Positive], AfterValidator(ascending)] = (0.8, 1.2)
    gaps: Probability = 0.0
    thickness: Annotated[tuple[_Thickness, _Thickness], AfterValidator(ascending)] = (0.6, 1.0)

    @model_validator(mode="after")
    def _possible(self) -> SliceProfile:
        if self.factors[0] <= 1:
            raise ValueError(f"factors: must be above 1, got {self.factors}")
        return self


class ThroughPlaneMean(UnpooledSection):
    """P2's reduction of volumes: `factor` voxels of one axis averaged into one; a slice-profile of one factor."""

    strategy = "medsr.training.degradations:ThickSliceStrategy"
    name: Literal["through-plane-mean"]
    factor: Annotated[Number, Field(gt=1)] = 2.0

    def as_slice_profile(self) -> SliceProfile:
        return SliceProfile(factors=(self.factor, self.factor))


class Pairs(UnpooledSection):
    """Low resolution made elsewhere: in the folder `low_resolution`, at the ground truth's place below its own.

    The name's stem is that of the ground truth, or that and `x2` (the scale), as DIV2K's are; any format.
    """

    strategy = "medsr.training.degradations:PairsStrategy"
    name: Literal["pairs"]
    low_resolution: str


DEGRADATIONS: tuple[type[DegradationSection], ...] = (
    HighOrder,
    Bicubic,
    Unknown,
    Pairs,
    SliceProfile,
    ThroughPlaneMean,
)
if TYPE_CHECKING:
    Degradation = HighOrder | Bicubic | Unknown | Pairs | SliceProfile | ThroughPlaneMean
else:
    Degradation = one_of(DEGRADATIONS)


def low_resolution_folder(degradation: Degradation) -> str | None:
    """The folder of low resolution that was made elsewhere; None where medsr makes it."""
    return degradation.low_resolution if isinstance(degradation, Pairs) else None
