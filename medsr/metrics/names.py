"""What each metric is called, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """`better`: +1 where more is better, -1 where less is, 0 where neither. `digits`: behind the point."""

    label: str
    better: int
    digits: int
    about: str
    plotted: bool = False
    """Whether an evaluation's page draws it."""


METRICS = {
    "psnr": Metric("PSNR (dB)", 1, 2, "peak signal-to-noise ratio", plotted=True),
    "ssim": Metric("SSIM", 1, 4, "structural similarity (Wang et al. 2004)", plotted=True),
    "mse": Metric("MSE", -1, 2, "mean squared error in grey levels of 8 bits, squared"),
    "lpips": Metric("LPIPS", -1, 4, "learned perceptual distance (Zhang et al. 2018), AlexNet, version 0.1"),
    "lpips_vgg": Metric("LPIPS (VGG16)", -1, 4, "the same distance, VGG16, version 0.1"),
    "dists": Metric("DISTS", -1, 4, "structure and texture in VGG16's features (Ding et al. 2020), at full size"),
    "sharpness": Metric("sharpness", 0, 4, "1 - blur of Crete et al. 2007; noise counts as sharp"),
    "detail_missing": Metric(
        "missing detail",
        -1,
        4,
        "part of the truth's energy above the low resolution's Nyquist limit that is not there",
        plotted=True,
    ),
    "detail_added": Metric(
        "added detail",
        -1,
        4,
        "energy there that the truth does not have, in parts of the truth's",
        plotted=True,
    ),
    "detail_added_worst": Metric("added detail, worst place", -1, 2, "in parts of the truth's mean energy"),
    "lr_psnr": Metric(
        "agreement with the input (dB)", 1, 2, "PSNR of the result, reduced again, to the input", plotted=True
    ),
    "seconds": Metric("seconds", -1, 3, "to super-resolve one image"),
    "memory_mb": Metric("memory (MB)", -1, 0, "most memory held by the process meanwhile (on a GPU: by the model)"),
}
PLACES = {
    "y": "Y",
    "rgb": "all channels",
    "foreground": "in the foreground",
}
CHANNELS = ("y", "rgb")
"""Those of PLACES that are channels, not regions."""


def split(
    key: str, metrics: Mapping[str, Metric] = METRICS, places: Mapping[str, str] = PLACES
) -> tuple[Metric, tuple[str, ...]]:
    """A metric's key, such as `psnr_y_fov`, to what it is and where it was measured, in words.

    `metrics`, `places`: what a key may be made of. Raises KeyError for another one.
    """
    regions: list[str] = []
    while key not in metrics:
        key, _, region = key.rpartition("_")
        regions.insert(0, places[region])
    return metrics[key], tuple(regions)


def label(key: str, metrics: Mapping[str, Metric] = METRICS, places: Mapping[str, str] = PLACES) -> str:
    """`psnr_foreground` to `PSNR (dB), in the foreground`."""
    metric, regions = split(key, metrics, places)
    return ", ".join((metric.label, *regions))
