"""DISTS (Ding et al. 2020): structure and texture of two images, compared in the features of VGG16.

Texture is the mean of every feature map. Structure is its covariance with the other image's. So two samples of one
texture are near to each other, which no metric of pixels says. Written from the paper (arXiv 2004.07728, equations 2 to
6), and tested against its authors' program.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torchvision.models.vgg import cfgs, make_layers

from medsr.core.errors import WeightsError
from medsr.core.types import Array, Distance
from medsr.metrics.lpips import as_batch
from medsr.networks import weight_store
from medsr.networks.checkpoint import read_state

STAGES = (0, 4, 9, 16, 23, 30)
"""Where VGG16's stages begin and end among torchvision's layers. From the second, each begins with a pooling layer."""
CHANNELS = (3, 64, 128, 256, 512, 512)
"""Of the image itself, and of what each stage gives."""
STABILISER = 1e-6


class Dists(nn.Module):
    """The distance of two images (N, 3, H, W) in [0, 1], (N,): 0 for equal ones, towards 1 for unlike ones.

    `alpha` weighs the textures, `beta` the structures, one number for each feature map.
    """

    mean: Tensor
    deviation: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        # VGG16 without its classifier, which is seven times as large and would be made for nothing.
        self.layers = make_layers(cfgs["D"])[: STAGES[-1]]
        self.alpha = nn.Parameter(torch.zeros(sum(CHANNELS)))
        self.beta = nn.Parameter(torch.zeros(sum(CHANNELS)))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        hann = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(hann, hann))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        textures, structures = [], []
        for maps, others in zip(self._features(first), self._features(second), strict=True):
            means, other_means = maps.mean((2, 3), keepdim=True), others.mean((2, 3), keepdim=True)
            textures.append(_similarity(means * other_means, means**2, other_means**2))
            maps, others = maps - means, others - other_means
            variances = [(values**2).mean((2, 3)) for values in (maps, others)]
            structures.append(_similarity((maps * others).mean((2, 3)), *variances))
        similarity = torch.cat(textures, 1) * self.alpha + torch.cat(structures, 1) * self.beta
        return 1 - similarity.sum(1) / (self.alpha.sum() + self.beta.sum())

    def _features(self, images: Tensor) -> Iterator[Tensor]:
        """The images, and what every stage makes of them. One after the other: all at once take gigabytes."""
        yield images
        maps = (images - self.mean) / self.deviation
        for start, end in pairwise(STAGES):
            if start:
                maps, start = self._pool(maps), start + 1
            maps = self.layers[start:end](maps)
            yield maps

    def _pool(self, maps: Tensor) -> Tensor:
        """By 2, the root of a windowed mean of squares in place of VGG16's maximum: without aliasing."""
        channels = maps.shape[1]
        kernel = self.window.expand(channels, 1, 3, 3)
        return (conv2d(maps**2, kernel, stride=2, padding=1, groups=channels) + 1e-12).sqrt()


def _similarity(product: Tensor, square: Tensor, other_square: Tensor) -> Tensor:
    """(N, C): 1 where both maps have the same statistic."""
    return ((2 * product + STABILISER) / (square + other_square + STABILISER)).flatten(1)


def dists(device: str = "cpu") -> Distance:
    """DISTS of two (H, W, 1 or 3) images in [0, 1].

    Images are compared at their full size. (The authors' figures against human opinions are of images whose shorter
    side is 256.) Raises WeightsError when the weights of `vgg16` or `dists` are not on this machine, or damaged.
    """
    network = Dists()
    features, weights = (read_state(weight_store.locate(name))[0] for name in ("vgg16", "dists"))
    try:
        network.layers.load_state_dict({name: features[f"features.{name}"] for name in network.layers.state_dict()})
        network.alpha.data, network.beta.data = (weights[name].reshape(sum(CHANNELS)) for name in ("alpha", "beta"))
    except (KeyError, RuntimeError) as error:
        raise WeightsError("dists: the weights of vgg16 or dists are not theirs; fetch them again") from error
    network.eval().to(device)

    def measure(result: Array, ground_truth: Array) -> float:
        with torch.inference_mode():
            return max(0.0, float(network(as_batch(result, device), as_batch(ground_truth, device))))

    return measure
