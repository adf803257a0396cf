"""The GAN losses: plain, relativistic average, and Wasserstein with gradient penalty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from medsr.recipe import Gan

if TYPE_CHECKING:
    from torch import Tensor, nn


class Adversarial:
    """What generator and discriminator are told."""

    def __init__(self, settings: Gan) -> None:
        self.settings = settings

    def of_generator(self, discriminator: nn.Module, result: Tensor, real: Tensor) -> Tensor:
        """The generator's loss, weighted. `result` and `real`: (B, C, H, W)."""
        import torch

        fake = discriminator(result)
        if not self.settings.relativistic:
            return self.settings.weight * judged(self.settings.kind, fake, True, of_discriminator=False)
        with torch.no_grad():
            true = discriminator(real)
        # Towards "the result is more real than the average photograph, which is less real than the average result".
        kind = self.settings.kind
        more = judged(kind, fake - true.mean(), True, of_discriminator=False)
        less = judged(kind, true - fake.mean(), False, of_discriminator=False)
        return self.settings.weight * (more + less) / 2

    def of_discriminator(
        self, discriminator: nn.Module, real: Tensor, result: Tensor, rng: np.random.Generator
    ) -> Iterator[dict[str, Tensor]]:
        """The discriminator's losses, in turn, each to be propagated before the next is made (less memory)."""
        if self.settings.relativistic:
            true, fake = discriminator(real), discriminator(result)
            yield {
                "discriminator_real": judged(self.settings.kind, true - fake.mean(), True) / 2,
                "discriminator_fake": judged(self.settings.kind, fake - true.mean(), False) / 2,
            }
            return
        for name, images, is_real in (("real", real, True), ("fake", result, False)):
            yield {f"discriminator_{name}": judged(self.settings.kind, discriminator(images), is_real)}
        if self.settings.kind == "wgan-gp":
            penalty = gradient_penalty(discriminator, real, result, rng)
            yield {"discriminator_penalty": self.settings.gradient_penalty * penalty}


def judged(kind: str, logits: Tensor, real: bool, of_discriminator: bool = True) -> Tensor:
    """How far logits are from what the discriminator, or the generator, wants them to be.

    Args:
        kind: vanilla (cross entropy; Goodfellow et al. 2014), lsgan (Mao et al. 2017), hinge (Lim and Ye 2017) or
            wgan-gp, here without its penalty.
        logits: Of any shape.
        real: Whether they are to say "real".
        of_discriminator: The hinge has a margin for the discriminator alone.
    """
    import torch
    from torch.nn import functional

    if kind in ("vanilla", "lsgan"):
        distance = functional.binary_cross_entropy_with_logits if kind == "vanilla" else functional.mse_loss
        return distance(logits, torch.full_like(logits, float(real)))
    wrong = -logits if real else logits
    return functional.relu(1 + wrong).mean() if kind == "hinge" and of_discriminator else wrong.mean()


def gradient_penalty(discriminator: nn.Module, real: Tensor, result: Tensor, rng: np.random.Generator) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017): how far the gradient's length is from 1 on mixtures of both, squared.

    The shares come from `rng`: a resumed run could not continue torch's global stream.
    """
    import torch

    share = torch.from_numpy(rng.random((len(real), 1, 1, 1), dtype=np.float32)).to(real.device)
    mixed = (share * real + (1 - share) * result).requires_grad_(True)
    logits = discriminator(mixed)
    [slope] = torch.autograd.grad(logits, mixed, torch.ones_like(logits), create_graph=True)
    return (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
