"""What each metric is called, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """`better`: +1 where more is better, -1 where less is, 0 where neither. `digits`: behind the point."""

    label: str
    better: int
    digits: int
    about: str


METRICS = {
    "psnr": Metric("PSNR (dB)", 1, 2, "peak signal-to-noise ratio"),
    "ssim": Metric("SSIM", 1, 4, "structural similarity (Wang et al. 2004)"),
    "mse": Metric("MSE", -1, 2, "mean squared error in grey levels of 8 bits, squared"),
    "lpips": Metric("LPIPS", -1, 4, "learned perceptual distance (Zhang et al. 2018), AlexNet, version 0.1"),
    "lpips_vgg": Metric("LPIPS (VGG16)", -1, 4, "the same distance, VGG16, version 0.1"),
    "dists": Metric("DISTS", -1, 4, "structure and texture in VGG16's features (Ding et al. 2020), at full size"),
    "sharpness": Metric("sharpness", 0, 4, "1 - blur of Crete et al. 2007; noise counts as sharp"),
    "vessel_auc": Metric("vessel AUC", 1, 4, "area under the ROC curve of vessel detection"),
    "vessel_sensitivity": Metric("vessel sensitivity", 1, 4, "at 95 % specificity"),
    "thin_vessel_sensitivity": Metric(
        "thin-vessel sensitivity", 1, 4, "vessels up to 3 pixels wide, at 95 % specificity"
    ),
    "detail_missing": Metric(
        "missing detail", -1, 4, "part of the truth's energy above the low resolution's Nyquist limit that is not there"
    ),
    "detail_added": Metric("added detail", -1, 4, "energy there that the truth does not have, in parts of the truth's"),
    "detail_added_worst": Metric("added detail, worst place", -1, 2, "in parts of the truth's mean energy"),
    "lr_psnr": Metric("agreement with the input (dB)", 1, 2, "PSNR of the result, reduced again, to the input"),
    "seconds": Metric("seconds", -1, 3, "to super-resolve one image"),
    "memory_mb": Metric("memory (MB)", -1, 0, "most memory held by the process meanwhile (on a GPU: by the model)"),
}
PLACES = {
    "y": "Y",
    "rgb": "all channels",
    "fov": "in the field of view",
    "foreground": "in the foreground",
}


def split(key: str) -> tuple[Metric, tuple[str, ...]]:
    """A metric's key, such as `psnr_y_fov`, to what it is and where it was measured, in words."""
    regions: list[str] = []
    while key not in METRICS:
        key, _, region = key.rpartition("_")
        regions.insert(0, PLACES[region])
    return METRICS[key], tuple(regions)


def label(key: str) -> str:
    """`psnr_fov` to `PSNR (dB), in the field of view`."""
    metric, places = split(key)
    return ", ".join((metric.label, *places))
