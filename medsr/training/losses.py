"""The generator's losses: pixels, VGG features, their textures, GAN; on sharpened targets where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medsr.recipe import Losses
from medsr.recipe.losses import FeatureNetwork
from medsr.training.gan_losses import Adversarial

if TYPE_CHECKING:
    from torch import Tensor, nn


class GeneratorLoss:
    """The generator's losses by name, each already weighted; a loss of weight 0 costs nothing."""

    def __init__(self, settings: Losses, feature_weights: Mapping[str, Path], device: str) -> None:
        from medsr.degradation.blur import UnsharpMask
        from medsr.training.features import build_features

        self.settings = settings
        sharpened = any(map(self._sharp, Losses.model_fields))
        self.sharpen: nn.Module | None = UnsharpMask().to(device) if sharpened else None
        self.gan = Adversarial(settings.gan)
        self.perceptual = _activated(settings.perceptual.layers, settings.perceptual.activation)
        self.texture = _activated(settings.texture.layers, "after")
        layers: dict[FeatureNetwork, list[str]] = {}
        for loss, names in ((settings.perceptual, self.perceptual), (settings.texture, self.texture)):
            if loss.weight > 0:
                layers.setdefault(loss.network, []).extend(names)
        self.features: dict[str, nn.Module] = {
            network: build_features(network, names, feature_weights[network]).to(device)
            for network, names in layers.items()
        }

    def target(self, name: str, ground_truth: Tensor) -> Tensor:
        """The ground truth as that loss wants it: sharpened or as it is."""
        return self._sharpened(ground_truth) if self._sharp(name) else ground_truth

    def _sharpened(self, ground_truth: Tensor) -> Tensor:
        return ground_truth if self.sharpen is None else self.sharpen(ground_truth)

    def _sharp(self, name: str) -> bool:
        loss = getattr(self.settings, name)
        return bool(loss.sharpened and loss.weight > 0)

    def __call__(self, result: Tensor, ground_truth: Tensor, discriminator: nn.Module | None) -> dict[str, Tensor]:
        """Weighted losses of a result and its ground truth, both (B, C, H, W) in [0, 1]."""
        from torch.nn.functional import l1_loss, mse_loss

        settings = self.settings
        sharp = self._sharpened(ground_truth)
        target = {name: sharp if self._sharp(name) else ground_truth for name in Losses.model_fields}
        losses: dict[str, Tensor] = {}
        if settings.l1.weight > 0:
            losses["l1"] = settings.l1.weight * l1_loss(result, target["l1"])
        if settings.mse.weight > 0:
            losses["mse"] = settings.mse.weight * mse_loss(result, target["mse"])
        if settings.charbonnier.weight > 0:
            squares = (result - target["charbonnier"]).square() + settings.charbonnier.epsilon**2
            losses["charbonnier"] = settings.charbonnier.weight * squares.sqrt().mean()
        if self.features:
            losses |= self._of_features(result, target)
        if discriminator is not None:
            losses["gan"] = self.gan.of_generator(discriminator, result, target["gan"])
        return losses

    def _of_features(self, result: Tensor, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch
        from torch.nn.functional import l1_loss, mse_loss

        of_result = {network: features(result) for network, features in self.features.items()}

        def of_target(name: str, network: str) -> dict[str, Tensor]:
            with torch.no_grad():
                return self.features[network](target[name])

        losses: dict[str, Tensor] = {}
        if (perceptual := self.settings.perceptual).weight > 0:
            result_features, truth = of_result[perceptual.network], of_target("perceptual", perceptual.network)
            distance = l1_loss if perceptual.criterion == "l1" else mse_loss
            terms = [
                weight * distance(result_features[layer], truth[layer]) for layer, weight in self.perceptual.items()
            ]
            losses["perceptual"] = perceptual.weight * torch.stack(terms).sum()
        if (texture := self.settings.texture).weight > 0:
            result_features, truth = of_result[texture.network], of_target("texture", texture.network)
            terms = [
                weight * l1_loss(gram(result_features[layer]), gram(truth[layer]))
                for layer, weight in self.texture.items()
            ]
            losses["texture"] = texture.weight * torch.stack(terms).sum()
        return losses


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, C): how features go together, whatever the place; the mean over places and channels."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def _activated(layers: Mapping[str, float], activation: str) -> dict[str, float]:
    """A VGG's layer names, of the convolutions or of the ReLU behind them."""
    return {name if activation == "before" else name.replace("conv", "relu"): weight for name, weight in layers.items()}
