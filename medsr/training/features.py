"""Features of VGG16 and VGG19 as a perceptual loss reads them (Johnson et al. 2016; Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from medsr.networks.checkpoint import read_state
from medsr.recipe.losses import CONVOLUTIONS, FeatureNetwork

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def layer_names(network: FeatureNetwork) -> list[str]:
    """Every layer in torchvision's order: conv1_1, relu1_1, conv1_2, ..., pool5."""
    names = []
    for stage, count in enumerate(CONVOLUTIONS[network], 1):
        names += [f"{kind}{stage}_{i}" for i in range(1, count + 1) for kind in ("conv", "relu")]
        names.append(f"pool{stage}")
    return names


class Features(nn.Module):
    """(B, 1 or 3, H, W) in [0, 1] to layer -> features, without gradients for the network's own weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, names: list[str], wanted: frozenset[str]) -> None:
        super().__init__()
        self.names, self.wanted = names, wanted
        self.layers = layers[: 1 + max(names.index(name) for name in wanted)].eval().requires_grad_(False)
        for module in self.layers:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # features before activation are read after ReLU has run
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        out = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        features: dict[str, Tensor] = {}
        for name, module in zip(self.names, self.layers, strict=False):
            out = module(out)
            if name in self.wanted:
                features[name] = out
        return features


def build_features(network: FeatureNetwork, wanted: Iterable[str], weights: Path) -> Features:
    """The network up to the last layer wanted, with torchvision's weights from a file. Raises WeightsError."""
    state, _ = read_state(weights)
    layers = {"vgg16": models.vgg16, "vgg19": models.vgg19}[network](weights=None).features
    layers.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})
    return Features(layers, layer_names(network), frozenset(wanted))
