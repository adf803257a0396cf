"""The generator's losses: pixels, VGG19 features, their textures, GAN; on sharpened targets where asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medsr.nets import upstream
from medsr.recipe import Losses
from medsr.train.adversarial import Adversarial

if TYPE_CHECKING:
    from torch import Tensor, nn

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def build_features(wanted: Iterable[str], weights: Path) -> nn.Module:
    """VGG19 up to the last layer wanted: (B, 1 or 3, H, W) in [0, 1] to layer -> features. torchvision's weights."""
    import torch
    from torch import nn
    from torchvision.models import vgg19

    from medsr.nets.checkpoint import read_state

    names = [
        name
        for stage, count in enumerate((2, 2, 4, 4, 4), 1)
        for name in [part for i in range(1, count + 1) for part in (f"conv{stage}_{i}", f"relu{stage}_{i}")]
        + [f"pool{stage}"]
    ]
    layers = frozenset(wanted)
    state, _ = read_state(weights)
    features = vgg19(weights=None).features
    features.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            last = max(names.index(layer) for layer in layers)
            self.layers = features[: last + 1].eval().requires_grad_(False)
            for module in self.layers:
                if isinstance(module, nn.ReLU):
                    module.inplace = False  # features before activation are read after ReLU has run
            self.mean: Tensor
            self.std: Tensor
            self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1))

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            out = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
            found: dict[str, Tensor] = {}
            for name, module in zip(names, self.layers, strict=False):
                out = module(out)
                if name in layers:
                    found[name] = out
            return found

    return Features()


class GeneratorLoss:
    """The generator's losses by name, each already weighted; a loss of weight 0 costs nothing."""

    def __init__(self, settings: Losses, vgg19_weights: Path | None, device: str) -> None:
        self.settings = settings
        self.sharpen = upstream.usm_sharp()().to(device)
        self.gan = Adversarial(settings.gan, device)
        self.perceptual = _activated(settings.perceptual.layers, settings.perceptual.activation)
        self.texture = _activated(settings.texture.layers, "after")
        used = [
            layer
            for one, layers in ((settings.perceptual, self.perceptual), (settings.texture, self.texture))
            for layer in layers
            if one.weight > 0
        ]
        self.features: nn.Module | None = None
        if used and vgg19_weights is not None:
            self.features = build_features(used, vgg19_weights).to(device)

    def target(self, name: str, ground_truth: Tensor) -> Tensor:
        """The ground truth as that loss wants it: sharpened or as it is."""
        return self.sharpen(ground_truth.contiguous()) if self._sharp(name) else ground_truth

    def _sharp(self, name: str) -> bool:
        one = getattr(self.settings, name)
        return bool(one.sharpened and one.weight > 0)

    def __call__(self, result: Tensor, ground_truth: Tensor, discriminator: nn.Module | None) -> dict[str, Tensor]:
        """Weighted losses of a result and its ground truth, both (B, C, H, W) in [0, 1]."""
        from torch.nn.functional import l1_loss, mse_loss

        settings = self.settings
        sharp = self.sharpen(ground_truth.contiguous()) if any(map(self._sharp, Losses.model_fields)) else ground_truth
        target = {name: sharp if self._sharp(name) else ground_truth for name in Losses.model_fields}
        losses: dict[str, Tensor] = {}
        if settings.l1.weight > 0:
            losses["l1"] = settings.l1.weight * l1_loss(result, target["l1"])
        if settings.mse.weight > 0:
            losses["mse"] = settings.mse.weight * mse_loss(result, target["mse"])
        if settings.charbonnier.weight > 0:
            squares = (result - target["charbonnier"]).square() + settings.charbonnier.epsilon**2
            losses["charbonnier"] = settings.charbonnier.weight * squares.sqrt().mean()
        if self.features is not None:
            losses |= self._of_features(result, target)
        if discriminator is not None:
            losses["gan"] = self.gan.of_generator(discriminator, result, target["gan"])
        return losses

    def _of_features(self, result: Tensor, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch
        from torch.nn.functional import l1_loss, mse_loss

        assert self.features is not None
        found = self.features(result)
        losses: dict[str, Tensor] = {}
        if (one := self.settings.perceptual).weight > 0:
            with torch.no_grad():
                wanted = self.features(target["perceptual"])
            distance = l1_loss if one.criterion == "l1" else mse_loss
            terms = [weight * distance(found[name], wanted[name]) for name, weight in self.perceptual.items()]
            losses["perceptual"] = one.weight * torch.stack(terms).sum()
        if self.settings.texture.weight > 0:
            with torch.no_grad():
                wanted = self.features(target["texture"])
            terms = [w * l1_loss(gram(found[name]), gram(wanted[name])) for name, w in self.texture.items()]
            losses["texture"] = self.settings.texture.weight * torch.stack(terms).sum()
        return losses


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, C): how features go together, whatever the place; the mean over places and channels."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def _activated(layers: Mapping[str, float], activation: str) -> dict[str, float]:
    """VGG19's layer names, of the convolutions or of the ReLU behind them."""
    return {name if activation == "before" else name.replace("conv", "relu"): weight for name, weight in layers.items()}
