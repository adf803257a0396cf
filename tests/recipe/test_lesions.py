"""`data.lesions`: what a recipe may say of lesions drawn into its ground truth, and where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from medsr.core.errors import UsageError
from medsr.recipe import Lesions, load
from tests.helpers.recipes import PLAIN, write_recipe

VOLUMES: dict[str, Any] = {
    "scale": 1,
    "channels": 1,
    "generator": {"name": "refiner", "features": 8, "blocks": 1},
    "degradation": {"name": "slice-profile"},
}
PAIRS: dict[str, Any] = {"degradation": {"name": "pairs", "low_resolution": "low"}}


def _load(tmp_path: Path, lesions: dict[str, Any], **changes: Any) -> Lesions | None:
    data = PLAIN["data"] | {"lesions": lesions}
    return load(write_recipe(tmp_path / "recipe.yml", PLAIN, data=data, **changes)).data.lesions


def test_a_kind_is_enough(tmp_path: Path) -> None:
    assert _load(tmp_path, {"kind": "fundus"}) == Lesions(kind="fundus", probability=0.5, most=3)
    assert _load(tmp_path, {"kind": "mri"}, **VOLUMES) == Lesions(kind="mri")
    assert _load(tmp_path, {"kind": "cxr"}, channels=1) == Lesions(kind="cxr")


@pytest.mark.parametrize("name", ["slice-profile", "through-plane-mean"])
def test_volumes_take_mri_however_they_are_reduced(tmp_path: Path, name: str) -> None:
    assert _load(tmp_path, {"kind": "mri"}, **VOLUMES | {"degradation": {"name": name}})
    with pytest.raises(UsageError, match=r"data.lesions.kind: expected mri \(volumes have no other\), got cxr$"):
        _load(tmp_path, {"kind": "cxr"}, **VOLUMES | {"degradation": {"name": name}})


@pytest.mark.parametrize(
    ("lesions", "changes", "expected"),
    [
        ({"kind": "mri"}, {}, "data.lesions.kind: expected cxr or fundus (mri is for slices of volumes), got mri"),
        ({"kind": "fundus"}, VOLUMES, "data.lesions.kind: expected mri"),
        ({"kind": "fundus"}, {"channels": 1}, "data.lesions.kind: fundus needs channels 3"),
        ({"kind": "fundus"}, PAIRS, "data.lesions: pairs of files have no low resolution that shows them"),
        ({"kind": "cxr"}, PAIRS, "data.lesions: pairs of files have no low resolution that shows them"),
        ({"kind": "cxr", "sizes": [3, 33]}, {}, "data.lesions.sizes: 33 pixels do not fit into data.crop, 32"),
        ({"kind": "ct"}, {}, "data.lesions.kind"),
        ({}, {}, "data.lesions.kind: missing"),
        ({"kind": "cxr", "size": [3, 9]}, {}, "data.lesions.size: unknown key; did you mean 'sizes'?"),
        ({"kind": "cxr", "sizes": [9, 3]}, {}, "the lower end 9 is above the upper end 3"),
        ({"kind": "cxr", "sizes": [0, 3]}, {}, "data.lesions.sizes.0"),
        ({"kind": "cxr", "contrasts": [-0.3, 0.3]}, {}, "data.lesions.contrasts.0"),
        ({"kind": "cxr", "contrasts": [0.1, 1.2]}, {}, "data.lesions.contrasts.1"),
        ({"kind": "cxr", "probability": 1.2}, {}, "data.lesions.probability"),
        ({"kind": "cxr", "most": 0}, {}, "data.lesions.most"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, lesions: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, lesions, **changes)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stage_may_leave_them_out_and_the_command_line_may_ask_for_them(tmp_path: Path) -> None:
    data = PLAIN["data"] | {"lesions": {"kind": "cxr", "sizes": [2, 8]}}
    stages = [{"name": "faithful"}, {"name": "sharp", "data": {"lesions": None}}]
    recipe = load(write_recipe(tmp_path / "recipe.yml", PLAIN, data=data, stages=stages))
    assert recipe.stage(0).data.lesions == recipe.data.lesions
    assert recipe.stage(1).data.lesions is None
    asked = load(write_recipe(tmp_path / "plain.yml"), ["data.lesions={kind: fundus, most: 2}"])
    assert asked.data.lesions == Lesions(kind="fundus", most=2)
    assert yaml.safe_load(asked.to_yaml())["data"]["lesions"]["kind"] == "fundus"
    more = load(write_recipe(tmp_path / "more.yml", PLAIN, data=data), ["data.lesions.probability=1"])
    assert more.data.lesions == Lesions(kind="cxr", sizes=(2, 8), probability=1)
