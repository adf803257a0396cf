"""What the form in 3D Slicer asks for and shows: one list, for the description in XML and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from medsr.networks import weight_store
from medsr.networks.bundled import AUTO, MRI

Tag = Literal["image", "double", "string", "string-enumeration"]
"""The kinds of parameters used here, as the Slicer Execution Model calls them."""


@dataclass(frozen=True)
class Parameter:
    """One field of the form.

    It stands on the command line at `index`, or behind `--<flag>`. One without both comes back through the file of
    return parameters. `elements`: what there is to choose from. `limits`: minimum, maximum and step.
    """

    tag: Tag
    name: str
    label: str
    description: str
    index: int | None = None
    flag: str = ""
    default: str = ""
    channel: Literal["", "input", "output"] = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    elements: tuple[str, ...] = ()
    limits: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Group:
    """Fields that stand together. `advanced`: folded up at first."""

    label: str
    description: str
    parameters: tuple[Parameter, ...]
    advanced: bool = False


SCALAR = {"type": "scalar"}
WRITTEN = SCALAR | {"reference": "inputVolume"}


def groups() -> tuple[Group, ...]:
    """The whole form. The models are those that this machine has."""
    return (
        Group("Volumes", "What is read and what is written.", _volumes()),
        Group("Super-resolution", "How fine, and by what.", _refinement()),
        Group("More", "What is seldom needed.", _advanced(), advanced=True),
        Group("Result", "What medsr says when it is done.", _results()),
    )


def models() -> tuple[str, ...]:
    """What may refine a volume here: bundled models for volumes, interpolation, the user's own generators."""
    entries = weight_store.entries().values()
    bundled = [entry.name for entry in entries if entry.suits == MRI and entry.role == "generator"]
    own = [entry.name for entry in entries if entry.licence == weight_store.USER_LICENCE and entry.role == "generator"]
    return (AUTO, *bundled, *weight_store.VOLUME_BASELINES, *own)


def _volumes() -> tuple[Parameter, ...]:
    return (
        Parameter("image", "inputVolume", "Input volume", "The scan.", 0, channel="input", attributes=SCALAR),
        Parameter(
            "image",
            "outputVolume",
            "Output volume",
            "The finer scan: the same box in space, the same units.",
            1,
            channel="output",
            attributes=WRITTEN,
        ),
        Parameter(
            "image",
            "uncertainty",
            "Uncertainty volume",
            "Where the model is unsure: its spread over planes and flips, in the units of the scan. Takes longer.",
            flag="uncertainty",
            channel="output",
            attributes=WRITTEN,
        ),
    )


def _refinement() -> tuple[Parameter, ...]:
    return (
        Parameter(
            "double",
            "factor",
            "Factor",
            "How many times finer every axis becomes. 0: all axes as fine as the finest one; 2 where all are equal.",
            flag="factor",
            default="0",
            limits=(0, 8, 0.5),
        ),
        Parameter(
            "string-enumeration",
            "model",
            "Model",
            "auto: the bundled model where it was made for such scans, else interpolation. cubic: interpolation alone.",
            flag="model",
            default=AUTO,
            elements=models(),
        ),
    )


def _advanced() -> tuple[Parameter, ...]:
    return (
        Parameter(
            "string-enumeration",
            "fuse",
            "Fusion",
            "How the results of several planes become one.",
            flag="fuse",
            default="mean",
            elements=("mean", "median", "weighted", "learned"),
        ),
        Parameter(
            "double",
            "thickness",
            "Slice thickness (mm)",
            "0: what the file states, else the distance of the slices.",
            flag="thickness",
            default="0",
            limits=(0, 50, 0.1),
        ),
        Parameter(
            "string-enumeration",
            "kind",
            "Kind of volume",
            "auto: a label map is enlarged by nearest neighbour, an image is refined.",
            flag="kind",
            default="auto",
            elements=("auto", "image", "labels"),
        ),
        Parameter(
            "string-enumeration",
            "device",
            "Device",
            "auto: the GPU if there is one. gpu: one of Intel's, through OpenVINO.",
            flag="device",
            default="auto",
            elements=("auto", "cpu", "cuda", "mps", "gpu"),
        ),
    )


def _results() -> tuple[Parameter, ...]:
    return (
        Parameter("string", "modelUsed", "Model used", "What refined the scan.", channel="output"),
        Parameter("string", "agreement", "Agreement", "How far the result agrees with the scan.", channel="output"),
        Parameter("string", "warnings", "Warnings", "Read these before you use the result.", channel="output"),
    )
