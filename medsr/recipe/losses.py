"""The losses of a recipe, each with its weight; 0: it costs nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from medsr.recipe.fields import (
    Flag,
    NotNegative,
    Positive,
    Section,
)


class L1(Section):
    weight: NotNegative = 1.0
    sharpened: Flag = True


class Mse(Section):
    weight: NotNegative = 0.0
    sharpened: Flag = False


class Charbonnier(Section):
    """The mean of sqrt(difference^2 + epsilon^2) (Lai et al. 2017)."""

    weight: NotNegative = 0.0
    epsilon: Positive = 1e-3
    sharpened: Flag = False


def _vgg19_layers(layers: dict[str, float]) -> dict[str, float]:
    valid = [f"conv{stage}_{i}" for stage, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, count + 1)]
    for layer in layers:
        if layer not in valid:
            raise ValueError(f"{layer!r} is no layer of VGG19")
    if not layers:
        raise ValueError("expected at least one layer")
    return layers


Layers = Annotated[dict[str, NotNegative], AfterValidator(_vgg19_layers)]


class Perceptual(Section):
    """Distance (`criterion`) of VGG19 features, `activation` before or after their ReLU."""

    weight: NotNegative = 1.0
    layers: Layers = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
    activation: Literal["before", "after"] = "before"
    criterion: Literal["l1", "mse"] = "l1"
    sharpened: Flag = True


class Texture(Section):
    """L1 of the Gram matrices of VGG19 features after their ReLU (Gatys et al. 2016; P2's ablation)."""

    weight: NotNegative = 0.0
    layers: Layers = {"conv1_2": 1.0, "conv2_2": 1.0, "conv3_4": 1.0}
    sharpened: Flag = False


class Gan(Section):
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


class Losses(Section):
    l1: L1 = L1()
    mse: Mse = Mse()
    charbonnier: Charbonnier = Charbonnier()
    perceptual: Perceptual = Perceptual(weight=0.0)
    texture: Texture = Texture()
    gan: Gan = Gan(weight=0.0)
