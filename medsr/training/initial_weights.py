"""What a run starts from: weight files found before anything heavy begins, networks built from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import UsageError, WeightsError
from medsr.networks import checkpoint, spandrel_loader, upstream, weight_store
from medsr.networks.architectures import ARCHITECTURES
from medsr.recipe import PREVIOUS, Recipe
from medsr.recipe.networks import OWN

if TYPE_CHECKING:
    from torch import nn

LEAST_CARRIED = 0.1
"""Of a network's weights: where less fits, it is another network."""


@dataclass(frozen=True)
class Starting:
    """Weight files found before anything heavy begins."""

    generator: Path | None
    discriminator: Path | None
    features: dict[str, Path]
    """The networks that perceptual and texture losses read, by name."""


def find_weights(recipe: Recipe) -> Starting:
    """Raises UsageError or WeightsError where one is not there; that of the stage before need not be yet."""
    _check_implementations(recipe)
    _check_all_there(recipe)
    start = recipe.start_from
    generator = weight_store.locate(start.generator) if start.generator not in (None, PREVIOUS) else None
    discriminator = weight_store.locate(start.discriminator) if start.discriminator else None
    features: dict[str, Path] = {}
    for loss in (recipe.losses.perceptual, recipe.losses.texture):
        if loss.weight > 0:
            features[loss.network] = _find_features(loss.network)
    return Starting(generator, discriminator, features)


def _check_implementations(recipe: Recipe) -> None:
    for key, network in (("generator", recipe.generator), ("discriminator", recipe.discriminator)):
        if network is not None and network.implementation != OWN and not upstream.is_installed(network.implementation):
            raise UsageError(
                f"{key}.implementation: {upstream.why_absent(network.implementation)}; "
                f"leave the key out: {OWN}'s own {network.name} computes the same"
            )


def _check_all_there(recipe: Recipe) -> None:
    """Raise WeightsError that names every known weight file that is missing, where several are."""
    start = recipe.start_from
    losses = (recipe.losses.perceptual, recipe.losses.texture)
    names = [start.generator, start.discriminator, *(loss.network for loss in losses if loss.weight > 0)]
    known = weight_store.entries()
    missing = [known[name] for name in dict.fromkeys(names) if name in known and not known[name].path.is_file()]
    if len(missing) < 2:  # one alone is told where it is looked for
        return
    all_names = " ".join(entry.name for entry in missing)
    files = "; ".join(f"{entry.file}{f' from {entry.url}' if entry.url else ''}" for entry in missing)
    raise WeightsError(
        f"{len(missing)} weight files of this recipe are not on this machine; fetch them: medsr weights fetch "
        f"{all_names}; or, without a network, bring {files}, and run for each: medsr weights import FILE"
    )


def _find_features(network: str) -> Path:
    try:
        return weight_store.locate(network)
    except WeightsError as error:
        other = "vgg16" if network == "vgg19" else "vgg19"
        hint = f"; {other} is on this machine: `overrides=losses.perceptual.network={other}`" if _at_hand(other) else ""
        raise WeightsError(
            f"the perceptual or texture loss needs {network.upper()}; {error}; or train without it: "
            f"`overrides=losses.perceptual.weight=0`, and losses.texture.weight=0{hint}"
        ) from error


def _at_hand(network: str) -> bool:
    return weight_store.get(network).path.is_file()


def generator(recipe: Recipe, start: Path | None) -> tuple[nn.Module, checkpoint.Spec, str]:
    """The generator to train: loaded, or fresh and close to an interpolator; and what to say about it."""
    settings = recipe.generator
    spec = checkpoint.Spec(settings.name, recipe.scale, recipe.channels, settings.sizes)
    line = ""
    new: set[str] = set()
    if start is None or recipe.start_from.matching:
        net = settings.build(recipe.scale, recipe.channels)
        ARCHITECTURES[settings.name].initialise(net)
        if start is not None:
            line, new = _carried_over(net, start, spec)
    else:
        net, loaded_spec = checkpoint.load(start)
        if loaded_spec.architecture.startswith(spandrel_loader.PREFIX):
            raise UsageError(
                f"start_from.generator: {start} is {loaded_spec.architecture}, which is for inference only"
            )
        if loaded_spec != spec:
            raise UsageError(
                f"start_from.generator: {start} is {loaded_spec}, the recipe asks for {spec} "
                "(start_from.matching takes what fits)"
            )
        if settings.implementation != OWN:
            loaded, net = net, settings.build(recipe.scale, recipe.channels)
            net.load_state_dict(loaded.state_dict())
    net.requires_grad_(True).train()
    _freeze(net, recipe.start_from.freeze, new)
    return net, spec, line


def _carried_over(net: nn.Module, start: Path, spec: checkpoint.Spec) -> tuple[str, set[str]]:
    """Take the tensors that fit; returns what to say, and which are new. Raises UsageError where hardly any fits."""
    before, loaded_spec = checkpoint.load(start)
    if loaded_spec.architecture != spec.architecture:
        names = f"{loaded_spec.architecture}, the recipe asks for {spec.architecture}"
        raise UsageError(f"start_from.generator: {start} is a {names}")
    target = net.state_dict()
    adapted = ARCHITECTURES[spec.architecture].adapt(before.state_dict(), loaded_spec.channels, spec.channels, target)
    matching = {
        name: tensor for name, tensor in adapted.items() if name in target and target[name].shape == tensor.shape
    }
    net.load_state_dict(matching, strict=False)
    share = sum(target[name].numel() for name in matching) / sum(tensor.numel() for tensor in target.values())
    if share < LEAST_CARRIED:
        raise UsageError(f"start_from.generator: of {start} only {share:.1%} fits the recipe's generator")
    new = f"{len(target) - len(matching)} of {len(target)} tensors are new"
    return f"{share:.1%} of the weights taken from {start.name}, {new}", target.keys() - matching.keys()


def _freeze(net: Any, blocks: int, new: set[str]) -> None:
    """Keep the first convolution and so many blocks of the trunk as they are, running means of norms too."""
    if not blocks:
        return
    frozen = ("conv_first.", "conv_second.", *(f"body.{index}." for index in range(blocks)))
    if fresh := sorted(name for name in new if name.startswith(frozen)):
        raise UsageError(f"start_from.freeze: {fresh[0]} was not taken over, and would never be trained")
    if blocks > len(net.body):
        raise UsageError(f"start_from.freeze: {blocks}, the generator has {len(net.body)} blocks")
    for part in (net.conv_first, getattr(net, "conv_second", None), *list(net.body)[:blocks]):
        if part is not None:
            part.requires_grad_(False).eval()


def discriminator(recipe: Recipe, start: Path | None) -> nn.Module | None:
    """The discriminator to train, None where the recipe has none. Raises WeightsError for weights that do not fit."""
    if recipe.discriminator is None:
        return None
    net = recipe.discriminator.build(channels=recipe.channels, crop=recipe.data.crop)
    if start is not None:
        weights_found, _ = checkpoint.read_state(start, "discriminator")
        try:
            net.load_state_dict(weights_found)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{start}: does not fit the recipe's discriminator: {reason}") from error
    return net
