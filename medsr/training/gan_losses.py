"""The GAN losses: plain, relativistic average, and Wasserstein with gradient penalty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from medsr.networks import upstream
from medsr.recipe import Gan

if TYPE_CHECKING:
    from torch import Tensor, nn


class Adversarial:
    """What generator and discriminator are told, on basicsr's GANLoss."""

    def __init__(self, settings: Gan, device: str) -> None:
        self.settings = settings
        kind = "wgan" if settings.kind == "wgan-gp" else settings.kind
        self.loss = upstream.gan_loss()(kind, loss_weight=settings.weight).to(device)

    def of_generator(self, discriminator: nn.Module, result: Tensor, real: Tensor) -> Tensor:
        """The generator's loss, weighted. `result` and `real`: (B, C, H, W)."""
        import torch

        fake = discriminator(result)
        if not self.settings.relativistic:
            loss: Tensor = self.loss(fake, True, is_disc=False)
            return loss
        with torch.no_grad():
            true = discriminator(real)
        # Towards "the result is more real than the average photograph, which is less real than the average result".
        both = self.loss(fake - true.mean(), True, False) + self.loss(true - fake.mean(), False, False)
        return both / 2  # type: ignore[no-any-return]

    def of_discriminator(
        self, discriminator: nn.Module, real: Tensor, result: Tensor, rng: np.random.Generator
    ) -> Iterator[dict[str, Tensor]]:
        """The discriminator's losses, in turn, each to be propagated before the next is made (less memory)."""
        if self.settings.relativistic:
            true, fake = discriminator(real), discriminator(result)
            yield {
                "discriminator_real": self.loss(true - fake.mean(), True, is_disc=True) / 2,
                "discriminator_fake": self.loss(fake - true.mean(), False, is_disc=True) / 2,
            }
            return
        for name, images, is_real in (("real", real, True), ("fake", result, False)):
            yield {f"discriminator_{name}": self.loss(discriminator(images), is_real, is_disc=True)}
        if self.settings.kind == "wgan-gp":
            penalty = gradient_penalty(discriminator, real, result, rng)
            yield {"discriminator_penalty": self.settings.gradient_penalty * penalty}


def gradient_penalty(discriminator: nn.Module, real: Tensor, result: Tensor, rng: np.random.Generator) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017): how far the gradient's length is from 1 on mixtures of both, squared.

    basicsr's draws from torch's global stream, which a resumed run could not continue.
    """
    import torch

    share = torch.from_numpy(rng.random((len(real), 1, 1, 1), dtype=np.float32)).to(real.device)
    mixed = (share * real + (1 - share) * result).requires_grad_(True)
    judged = discriminator(mixed)
    [slope] = torch.autograd.grad(judged, mixed, torch.ones_like(judged), create_graph=True)
    return (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
