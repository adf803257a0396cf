"""What the API answers and takes: its documentation is made of these."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Dtype = Literal["uint8", "int8", "uint16", "int16"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Schema(BaseModel):
    """What passes through the API: its listed fields, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class ErrorResponse(Schema):
    """Whatever went wrong, in one line for a person. `choices`: the series of a zip, of which one must be named."""

    error: str
    choices: list[str] | None = None


class About(Schema):
    """This server."""

    version: str
    notice: str = "Research use only. Not a medical device."
    max_upload_bytes: int
    max_result_pixels: int
    max_result_voxels: int
    keep_seconds: int = Field(description="files and results are removed after this time, or when you forget them")


class Login(Schema):
    """The token the server was started with."""

    token: str = Field(max_length=500)


class ModelResponse(Schema):
    """A model that can be asked for."""

    name: str
    kind: Literal["image", "volume"]
    scale: int | None = Field(description="its own factor; null where it takes any")
    about: str
    own: bool = Field(default=False, description="a weight file of this server's: medsr does not know what suits it")
    measured: list[str] = Field(default=[], description="what its card measured, where it came with medsr")
    card: str | None = Field(default=None, description="the whole card (Markdown), where it came with medsr")


class Pixels(Schema):
    """How to read the raw values at `url`: row by row, channels last, little-endian."""

    url: str
    width: int
    height: int
    channels: int
    dtype: Dtype


class SuggestedModel(Schema):
    """The model that suits an image up to a final factor."""

    up_to: float | None = Field(description="the largest factor it is for; null where it is for all larger ones")
    model: str
    why: str


class ImageFacts(Schema):
    """An image as its file stores it. `low` and `high`: the stored values that mean darkest and brightest."""

    kind: Literal["image"] = "image"
    format: str
    width: int
    height: int
    channels: int
    dtype: Dtype
    low: float
    high: float
    inverted: bool = Field(description="the lowest value is the brightest (MONOCHROME1)")
    show_low: float = Field(description="a window to begin with, in stored values")
    show_high: float
    unit: str = Field(default="", description="HU for CT, else empty")
    slope: float = Field(default=1.0, description="a stored value times this, plus `intercept`, is in `unit`")
    intercept: float = 0.0
    header: str = Field(default="", description="what its DICOM header says in the standard's codes; never free text")
    suggested: str = Field(description="the model of factor 2 that suits it; bicubic where none was made for such")
    why: str = Field(description="why that one")
    fits: bool = Field(description="whether a bundled model was made for such an image")
    by_factor: list[SuggestedModel] = Field(description="the same for every final factor, from small to large")
    notes: list[str] = []


class VolumeFacts(Schema):
    """A scan. `spacing`: mm along each axis of its array. `finer`: what it becomes where nothing else is asked for."""

    kind: Literal["volume"] = "volume"
    format: str
    shape: list[int]
    spacing: list[float]
    dtype: str
    modality: str
    labels: bool = Field(description="it looks like a label map, which is resampled and not super-resolved")
    finer: VoxelGrid | None
    series: str | None = Field(default=None, description="the DICOM series that was asked for")
    header: str = Field(default="", description="what its DICOM header says in the standard's codes; never free text")
    suggested: str = Field(description="the model or interpolation that suits it; `nearest` for label maps and phases")
    why: str = Field(description="why that one")
    fits: bool = Field(description="whether a bundled model was made for such a scan, or none is needed")
    show_low: float = Field(description="a window to begin with, in the values' own units")
    show_high: float
    range: float = Field(description="from the 0.5 to the 99.5 percentile of the values: what shares are of")
    unit: str = Field(description="HU, or empty where the file names none")
    notes: list[str] = []


class VoxelGrid(Schema):
    """Voxels along each axis, and mm from one to the next."""

    shape: list[int]
    spacing: list[float]


class UploadResponse(Schema):
    """An upload. `pixels` of an image, `nifti` (for a viewer) of a scan."""

    id: str
    name: str
    bytes: int
    facts: ImageFacts | VolumeFacts = Field(discriminator="kind")
    pixels: Pixels | None = None
    nifti: str | None = None


class ImageRequest(Schema):
    """Super-resolve an uploaded image by one or several models, one after the other."""

    file: str
    models: list[str] = Field(min_length=1, max_length=4, description="`auto`: the one that suits the image")
    outscale: float | None = Field(
        default=None,
        gt=0,
        le=16,
        description="final factor; by default each model's own, the first one's for baselines",
    )
    ground_truth: str | None = Field(default=None, description="the id of an upload to measure the results by")


class VolumeRequest(Schema):
    """Refine an uploaded scan. At most one of `isotropic`, `scale` and `spacing`."""

    file: str
    model: str = Field(description="`auto`: the one that suits the scan")
    isotropic: bool = False
    scale: float | None = Field(default=None, gt=0)
    spacing: float | None = Field(default=None, gt=0, description="mm")
    uncertainty: bool = False


class ImageResult(Schema):
    """One model's image. `download` is the file `medsr upscale` writes; `psnr` in dB and `ssim` by the ground truth."""

    model: str
    scale: float
    file_name: str
    download: str
    pixels: Pixels
    seconds: float
    psnr: float | None = None
    ssim: float | None = None
    notes: list[str] = []


class VolumeResult(Schema):
    """The refined scan. `download` is the file `medsr volume` writes, `sidecar` its JSON; `nifti` is for a viewer."""

    model: str
    grid: VoxelGrid
    file_name: str
    download: str
    nifti: str
    sidecar: str
    uncertainty: str | None = None
    uncertainty_nifti: str | None = None
    uncertainty_p99: float | None = None
    interpolated_nifti: str | None = Field(default=None, description="cubic interpolation, same grid, for a viewer")
    seconds: float
    notes: list[str] = []


class JobResponse(Schema):
    """A job. `place`: 1 is next. `progress`: 0 to 1. `error`: why it failed."""

    id: str
    file: str
    kind: Literal["image", "volume"]
    state: State
    place: int | None = None
    progress: float = 0.0
    seconds_left: float | None = None
    doing: str = ""
    error: str | None = None
    images: list[ImageResult] = []
    volume: VolumeResult | None = None
