"""The losses of a recipe, each with its weight; 0: it costs nothing."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from medsr.recipe.fields import (
    Flag,
    NotNegative,
    Positive,
    RecipeSection,
)


class L1(RecipeSection):
    weight: NotNegative = 1.0
    sharpened: Flag = True


class Mse(RecipeSection):
    weight: NotNegative = 0.0
    sharpened: Flag = False


class Charbonnier(RecipeSection):
    """The mean of sqrt(difference^2 + epsilon^2) (Lai et al. 2017)."""

    weight: NotNegative = 0.0
    epsilon: Positive = 1e-3
    sharpened: Flag = False


FeatureNetwork = Literal["vgg19", "vgg16"]
CONVOLUTIONS: dict[str, tuple[int, ...]] = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}
"""How many convolutions each of a network's five stages has."""


class FeatureLoss(RecipeSection):
    """What losses on features of an image-recognition network have in common."""

    weight: NotNegative = 1.0
    network: FeatureNetwork = "vgg19"
    layers: dict[str, NotNegative] = {}  # filled in below: they are named after the network
    sharpened: Flag = True

    @model_validator(mode="before")
    @classmethod
    def _with_default_layers(cls, section: Any) -> Any:
        stages = CONVOLUTIONS.get(section.get("network", "vgg19")) if isinstance(section, dict) else None
        if stages is None or section.get("layers") is not None:
            return section
        return section | {"layers": cls.default_layers(stages)}

    @model_validator(mode="after")
    def _layers_exist(self) -> FeatureLoss:
        stages = CONVOLUTIONS[self.network]
        valid = [f"conv{stage}_{i}" for stage, count in enumerate(stages, 1) for i in range(1, count + 1)]
        for layer in self.layers:
            if layer not in valid:
                raise ValueError(f"layers: {self.network} does not have {layer!r}; it has {', '.join(valid)}")
        if not self.layers:
            raise ValueError("expected at least one layer")
        return self

    @classmethod
    def default_layers(cls, stages: tuple[int, ...]) -> dict[str, float]:
        """Layers and their weights, for a network of so many convolutions in each stage."""
        raise NotImplementedError


class Perceptual(FeatureLoss):
    """Distance (`criterion`) of features of `network`, `activation` before or after their ReLU.

    The default layers are Real-ESRGAN's: the last convolution of each stage, the first two with a tenth of the weight.
    """

    activation: Literal["before", "after"] = "before"
    criterion: Literal["l1", "mse"] = "l1"

    @classmethod
    def default_layers(cls, stages: tuple[int, ...]) -> dict[str, float]:
        return {f"conv{stage}_{last}": 0.1 if stage < 3 else 1.0 for stage, last in enumerate(stages, 1)}


class Texture(FeatureLoss):
    """L1 of the Gram matrices of features of `network` after their ReLU (Gatys et al. 2016; P2's ablation)."""

    weight: NotNegative = 0.0
    sharpened: Flag = False

    @classmethod
    def default_layers(cls, stages: tuple[int, ...]) -> dict[str, float]:
        return {f"conv{stage}_{last}": 1.0 for stage, last in enumerate(stages[:3], 1)}


class Gan(RecipeSection):
    """`relativistic`: every logit less the mean of the other side's (Jolicoeur-Martineau 2018), as in ESRGAN."""

    weight: NotNegative = 0.1
    kind: Literal["vanilla", "lsgan", "hinge", "wgan-gp"] = "vanilla"
    relativistic: Flag = False
    gradient_penalty: Positive = 10.0
    sharpened: Flag = False

    @model_validator(mode="after")
    def _possible(self) -> Gan:
        if self.relativistic and self.kind not in ("vanilla", "lsgan"):
            raise ValueError(f"relativistic: goes with kind vanilla or lsgan, not {self.kind}")
        return self


class Losses(RecipeSection):
    l1: L1 = L1()
    mse: Mse = Mse()
    charbonnier: Charbonnier = Charbonnier()
    perceptual: Perceptual = Perceptual(weight=0.0)
    texture: Texture = Texture()
    gan: Gan = Gan(weight=0.0)
