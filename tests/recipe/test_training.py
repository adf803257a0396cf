"""Settings of a training that cannot be, or not together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medsr.core.errors import UsageError
from medsr.recipe import load
from tests.helpers.recipes import write_recipe


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stages": [{"name": "a", "iteratoins": 3}]}, "stages.0.iteratoins: unknown key; did you mean 'iterations'"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "stages: every name once"),
        ({"stages": [{"name": "../a"}]}, "stages.0.name"),
        ({"stages": [{"name": "a", "scale": 16}]}, "stages.0.scale"),
        ({"stages": [{"name": "a", "losses": {"gan": {"weight": 1}}}]}, "stages.0.discriminator: must be given"),
        ({"stages": [{"name": "a", "stages": []}]}, "a cannot have stages of its own"),
        ({"minutes": 1, "stages": [{"name": "a", "minutes": 2}]}, "the stages share the recipe's, and a has its own"),
        (
            {"stages": [{"name": "a"}, {"name": "b", "generator": {"features": 9}}]},
            "stages.1.generator: another network",
        ),
        ({"start_from": {"generator": "x.pth", "freeze": 5}}, "start_from.freeze: the generator has 2 blocks"),
        ({"start_from": {"freeze": 1}}, "start_from: freeze and matching need a generator"),
        ({"optimizer": {"schedule": "plateau"}}, "optimizer: plateau: validations without"),
        ({"metric": "loss"}, "metric"),
        ({"minutes": 0}, "minutes"),
        ({"degradation": {"name": "pairs"}}, "degradation.low_resolution: missing"),
        ({"degradation": {"name": "through-plane-mean"}}, "through-plane-mean needs scale 1 and channels 1"),
    ],
)
def test_impossible_settings_are_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(write_recipe(tmp_path / "r.yml", **change))
    assert expected in str(caught.value)
