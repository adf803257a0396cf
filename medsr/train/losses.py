"""The losses of Real-ESRGAN: L1, VGG19 perceptual, GAN; the first two on sharpened targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsr.nets import upstream
from medsr.recipe import Losses

if TYPE_CHECKING:
    from torch import Tensor, nn

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def build_perceptual(layers: dict[str, float], weights: Path) -> nn.Module:
    """Weighted L1 between VGG19 features before activation (Johnson et al. 2016; ESRGAN), torchvision's weights."""
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
    state, _ = read_state(weights)
    features = vgg19(weights=None).features
    features.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})

    class Perceptual(nn.Module):
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

        def features(self, images: Tensor) -> dict[str, Tensor]:
            out = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
            found: dict[str, Tensor] = {}
            for name, module in zip(names, self.layers, strict=False):
                out = module(out)
                if name in layers:
                    found[name] = out
            return found

        def forward(self, result: Tensor, target: Tensor) -> Tensor:
            with torch.no_grad():
                wanted = self.features(target)
            found = self.features(result)
            terms = [layers[name] * nn.functional.l1_loss(found[name], wanted[name]) for name in layers]
            return torch.stack(terms).sum()

    return Perceptual()


class GeneratorLoss:
    """The generator's losses by name, each already weighted; a loss of weight 0 costs nothing."""

    def __init__(self, settings: Losses, vgg19_weights: Path | None, device: str) -> None:
        self.settings = settings
        self.sharpen = upstream.usm_sharp()().to(device)
        self.gan = upstream.gan_loss()(settings.gan.kind, loss_weight=settings.gan.weight).to(device)
        self.perceptual: nn.Module | None = None
        if settings.perceptual.weight > 0 and vgg19_weights is not None:
            self.perceptual = build_perceptual(settings.perceptual.layers, vgg19_weights).to(device)

    def targets(self, ground_truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ground truth as the L1, perceptual and GAN loss want it: sharpened or as it is."""
        settings = self.settings
        wanted = [one.sharpened and one.weight > 0 for one in (settings.l1, settings.perceptual, settings.gan)]
        sharp = self.sharpen(ground_truth.contiguous()) if any(wanted) else ground_truth
        l1, perceptual, gan = (sharp if one else ground_truth for one in wanted)
        return l1, perceptual, gan

    def __call__(self, result: Tensor, ground_truth: Tensor, discriminator: nn.Module | None) -> dict[str, Tensor]:
        """Weighted losses of a result and its ground truth, both (B, C, H, W) in [0, 1]."""
        from torch.nn.functional import l1_loss

        for_l1, for_perceptual, _ = self.targets(ground_truth)
        losses: dict[str, Tensor] = {}
        if self.settings.l1.weight > 0:
            losses["l1"] = self.settings.l1.weight * l1_loss(result, for_l1)
        if self.perceptual is not None:
            losses["perceptual"] = self.settings.perceptual.weight * self.perceptual(result, for_perceptual)
        if discriminator is not None:
            losses["gan"] = self.gan(discriminator(result), True, is_disc=False)
        return losses
