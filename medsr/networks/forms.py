"""Other forms in which weights of a known name may be had: files within packages of a Python package index.

A form is converted to the tensors and names that medsr uses. The manifest says what those tensors must be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from medsr.core.errors import WeightsError
from medsr.io.files import sha256

if TYPE_CHECKING:
    from torch import Tensor

    from medsr.networks.checkpoint import Spec
    from medsr.networks.numpy_pickle import Arrays

Kind = Literal["ncnn", "flax-lpips", "torch"]


@dataclass(frozen=True)
class Form:
    """A file within a pinned package. `member`: its path there; of ncnn's two files the `.param`.

    `sha256`: of the file with the numbers. `tensors`: of what it is converted to (`tensors_hash`). `archive`: SHA-256
    of the package's file where there is only one for all machines; None where each has its own. `precision`: of the
    numbers.
    """

    package: str
    version: str
    kind: Kind
    member: str
    sha256: str
    tensors: str
    licence: str
    precision: str = "fp32"
    archive: str | None = None

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.kind}, {self.precision})"

    @property
    def files(self) -> list[str]:
        """All members it takes, the one with the numbers last."""
        if self.kind == "ncnn":
            return [self.member, str(PurePosixPath(self.member).with_suffix(".bin"))]
        return [self.member]

    def stored_name(self, file: str) -> str:
        """What the converted file is called in the cache, beside the original named `file`."""
        return f"{Path(file).stem}.{self.package}.safetensors"


def convert(form: Form, files: list[Path]) -> tuple[dict[str, Tensor], Spec | None]:
    """Tensors in the names that medsr uses, and of a generator what it is.

    `files`: as `form.files`. Raises WeightsError where a file, or what is in it, is not what the form says.
    """
    from medsr.networks import checkpoint, ncnn, numpy_pickle

    digest = sha256(files[-1])
    if digest != form.sha256:
        raise WeightsError(f"{files[-1].name}: sha256 {digest} is not that of {form} ({form.sha256}); it is not used")
    spec: Spec | None = None
    if form.kind == "ncnn":
        state, spec = ncnn.load(files[0])
    elif form.kind == "torch":
        state = checkpoint.read_state(files[0])[0]
    else:
        state = torchvision_names(numpy_pickle.read(files[0].read_bytes()))
    digest_of_tensors = tensors_hash(state)
    if digest_of_tensors != form.tensors:
        raise WeightsError(f"{form}: its tensors have sha256 {digest_of_tensors}, not {form.tensors}; it is not used")
    return state, spec


def tensors_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over every tensor's name, type, shape and values, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = np.ascontiguousarray(state[name].numpy())
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def torchvision_names(arrays: Arrays) -> dict[str, Tensor]:
    """AlexNet's or VGG16's features as flax keeps them (rows, columns, in, out) under torchvision's names and order.

    LPIPS' heads, which stand beside them, are left out. Raises WeightsError for other networks.
    """
    import torch
    from torchvision.models import alexnet, vgg16

    builders = {"AlexNet_0": alexnet, "VGG16_0": vgg16}
    network = next((name for name in builders if f"{name}/Conv_0/kernel" in arrays), None)
    if network is None:
        raise WeightsError("holds neither AlexNet nor VGG16")
    with torch.device("meta"):
        expected = builders[network](weights=None).features.state_dict()
    state: dict[str, Tensor] = {}
    layers = [name.removesuffix(".weight") for name in expected if name.endswith(".weight")]
    for index, layer in enumerate(layers):
        kernel, bias = (arrays.get(f"{network}/Conv_{index}/{part}") for part in ("kernel", "bias"))
        if kernel is None or bias is None or kernel.ndim != 4:
            raise WeightsError(f"{network}: holds no convolution {index}")
        tensors = {"weight": kernel.transpose(3, 2, 0, 1), "bias": bias}
        for part, values in tensors.items():
            if values.shape != expected[f"{layer}.{part}"].shape:
                raise WeightsError(f"{network}: convolution {index} has the shape {values.shape}")
            state[f"features.{layer}.{part}"] = torch.from_numpy(np.ascontiguousarray(values))
    return state
