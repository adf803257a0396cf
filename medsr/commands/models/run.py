"""`medsr models`: the models that `upscale`, `volume` and `evaluate` take; also networks and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medsr.commands.models.networks import NetworkRow, networks
from medsr.commands.models.recipes import RecipeRow, recipes
from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean
from medsr.networks import weight_store
from medsr.networks.architectures import kind_of

MODELS, NETWORKS, RECIPES = WHAT = ("models", "networks", "recipes")
INTERPOLATION = "interpolation, needs no weights"
MADE_FOR = {"fundus": "fundus photographs", "chest": "chest X-rays", "mri": "MRI"}


@dataclass(frozen=True)
class ModelRow:
    """A model that may be named. `takes`: images or scans. `scale`: its own factor; None where it has none.

    `here`: whether it is on this machine.
    """

    name: str
    takes: str
    scale: int | None
    here: bool
    about: str


def models(what: str = MODELS) -> list[ModelRow] | list[NetworkRow] | list[RecipeRow]:
    """What may be named: models, the networks that a recipe may name, or recipes.

    Args:
        what: `models` for what `medsr.upscale`, `medsr.volume` and `medsr.evaluate` take as a model; `networks` for the
            generators and discriminators of recipes, with parameters and multiply-adds; `recipes` for what
            `medsr.finetune` takes by name.

    Returns:
        One row each, with its `name`.

    Raises:
        UsageError: `what` is none of these.

    Examples:
        >>> import medsr
        >>> [row.name for row in medsr.models()][:2]
        ['medsr-retina-x2', 'medsr-retina-x4']
        >>> sorted({row.role for row in medsr.models("networks")})
        ['discriminator', 'generator']
    """
    if what == MODELS:
        return _models()
    if what == NETWORKS:
        return networks()
    if what == RECIPES:
        return recipes()
    raise UsageError(f"`what={what}`: expected {', '.join(WHAT[:-1])} or {WHAT[-1]}{did_you_mean(what, WHAT)}")


def _models() -> list[ModelRow]:
    entries = [entry for entry in weight_store.entries().values() if entry.role == "generator"]
    rows = [
        ModelRow(entry.name, _takes(entry), _factor(entry), entry.path.is_file(), _about(entry)) for entry in entries
    ]
    baselines: Sequence[str] = weight_store.BASELINES
    return rows + [
        ModelRow(name, "scans" if name in weight_store.VOLUME_BASELINES else "images", None, True, INTERPOLATION)
        for name in baselines
    ]


def _takes(entry: weight_store.WeightEntry) -> str:
    return "scans" if kind_of(entry.architecture) == "slice" or entry.scale == 1 else "images"


def _factor(entry: weight_store.WeightEntry) -> int | None:
    return None if _takes(entry) == "scans" else entry.scale


def _about(entry: weight_store.WeightEntry) -> str:
    """What it is for, else where it comes from."""
    return MADE_FOR.get(entry.suits or "", entry.source)
