"""What a recipe says of its ground truth: which files, which crops, changed how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from medsr.recipe.fields import (
    Bits,
    Count,
    CountOrNone,
    Flag,
    NotNegative,
    Number,
    Positive,
    Probability,
    Range,
    RecipeSection,
    ascending,
)


class MultiScale(RecipeSection):
    """Lanczos reductions of every ground-truth image, beside the original (Real-ESRGAN, P1)."""

    scales: tuple[Annotated[Number, Field(gt=0, lt=1)], ...] = (0.75, 0.5, 1 / 3)
    shortest_edge: Count | None = 400


def _offset_range(value: tuple[float, float]) -> tuple[float, float]:
    if not -1 <= value[0] <= value[1] <= 1:
        raise ValueError("expected two numbers from -1 to 1, the smaller first")
    return value


def _zoom_range(value: tuple[float, float]) -> tuple[float, float]:
    if not 0.25 <= value[0] <= value[1] <= 4:
        raise ValueError("expected two numbers from 0.25 to 4, the smaller first")
    return value


class Jitter(RecipeSection):
    """Intensities of a training crop: each channel times a gain plus an offset (fractions of full range), clipped.

    Without it a network learns the brightness and colour of its training images and shifts those of others.
    """

    gain: Range = (1.0, 1.0)
    offset: Annotated[tuple[Number, Number], AfterValidator(_offset_range)] = (0.0, 0.0)
    shuffle_channels: Flag = False
    contrast: Probability = 0.0  # this and what follows: of volumes alone
    """How often a slice of a volume gets a contrast drawn at random, so that a network trained on one kind of scan
    (T1) learns edges, not tissues."""
    zoom: Annotated[tuple[Number, Number], AfterValidator(_zoom_range)] = (1.0, 1.0)
    """How much larger a slice of a volume is made, rows and columns each by themselves: above 1 softer than it was, as
    scans are that were interpolated; below 1 sharper, its voxels averaged."""
    noise: Range = (0.0, 0.0)
    """Standard deviation (fraction of full range) of the noise added to a slice before it is made thick."""

    def of_volumes(self) -> str | None:
        """The first setting asked for that images know nothing of."""
        fresh = Jitter()
        return next(
            (field for field in ("contrast", "zoom", "noise") if getattr(self, field) != getattr(fresh, field)), None
        )


_Size = Annotated[Number, Field(gt=0, le=200)]
_Contrast = Annotated[Number, Field(gt=0, le=1)]


class Lesions(RecipeSection):
    """Lesion-like signals drawn into crops of ground truth before they are degraded: a network that erases them loses.

    Shapes, sizes and contrasts are drawn from ranges, which are wider than the steps of `medsr evaluate lesions`.
    """

    kind: Literal["mri", "cxr", "fundus"]
    probability: Probability = 0.5
    """How often a crop gets any; then from one to `most`."""
    most: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    sizes: Annotated[tuple[_Size, _Size], AfterValidator(ascending)] | None = None
    """Full width: mm of a volume, pixels of an image's crop. None: a range for each family of that kind."""
    contrasts: Annotated[tuple[_Contrast, _Contrast], AfterValidator(ascending)] | None = None
    """Fractions of the tissue around; the family says whether brighter or darker. None: a range for each family."""

    def check(self, volumes: bool, channels: int, crop: int) -> None:
        """Raise ValueError where that kind does not lie in what the recipe trains on."""
        if volumes != (self.kind == "mri"):
            fitting = "mri (volumes have no other)" if volumes else "cxr or fundus (mri is for slices of volumes)"
            raise ValueError(f"data.lesions.kind: expected {fitting}, got {self.kind}")
        if self.kind == "fundus" and channels != 3:
            raise ValueError("data.lesions.kind: fundus needs channels 3; its lesions differ in colour")
        if self.sizes and not volumes and self.sizes[1] > crop:
            raise ValueError(f"data.lesions.sizes: {self.sizes[1]:g} pixels do not fit into data.crop, {crop}")


def _fraction_or_name(value: Any) -> Any:
    fraction = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
    if not fraction and not isinstance(value, str):
        raise ValueError("expected a fraction from 0 to below 1, a folder, or a pattern of file names")
    return value


def _flips(value: Any) -> Any:
    if not isinstance(value, bool) and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise ValueError("expected true, false, or a probability")
    return value


class Data(RecipeSection):
    train: str | None = None
    pattern: str = "*"
    keep_masks: Flag = False
    """Whether masks, label maps and images of one value are trained on as any other."""
    validation: Annotated[float | str, BeforeValidator(_fraction_or_name)] = 0.1
    weights: dict[str, Positive] = {}
    """How often crops are drawn from a file, by pattern of its name; the first that fits counts, 1 where none does."""
    crop: Count = 256
    degrade_crop: Count | None = None
    multiscale: MultiScale | None = None
    flips: Annotated[bool | float, BeforeValidator(_flips)] = True
    """True: each of the eight ways a square lies is equally likely. A number: how often it is flipped upside down,
    left to right and turned by 90 degrees, each by itself."""
    jitter: Jitter | None = None
    lesions: Lesions | None = None
    darkest_crop: Probability = 0.0
    modality: str = ""
    bits: Bits | None = None
    """Of 16-bit files that do not declare how many they hold; none: decided once for all, and written down here."""
    workers: CountOrNone = 2
    cache_gb: NotNegative = 4.0
