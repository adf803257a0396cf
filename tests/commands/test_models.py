"""`medsr models`: models first, then networks and recipes, without counting anything."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.commands.models.networks import FIGURES, figures_text, networks
from medsr.core.errors import UsageError
from medsr.core.resources import resource_dir
from medsr.networks import weight_store
from medsr.networks.architectures import DISCRIMINATORS, GENERATORS


def test_models_are_those_that_upscale_and_volume_take() -> None:
    rows = {row.name: row for row in medsr.models()}
    assert set(weight_store.BASELINES) < set(rows)
    assert (rows["medsr-cxr-x2"].takes, rows["medsr-cxr-x2"].scale) == ("images", 2)
    assert rows["medsr-mri"].takes == rows["cubic"].takes == "scans"
    assert not rows["realesrgan-x4plus"].here
    assert "vgg19" not in rows


def test_everything_a_recipe_may_name_is_listed() -> None:
    rows = {(row.name, row.scale): row for row in networks()}
    assert {name for name, _ in rows} == {entry.name for entry in (*GENERATORS, *DISCRIMINATORS)}
    assert rows["rrdb", 4].parameters == 16_697_987
    # A multiply-add for every weight and low-resolution pixel, and the layers after enlarging.
    assert 1.0e12 < rows["rrdb", 4].operations < 1.2e12
    assert rows["srresnet", 3].parameters == 1_586_389
    assert all(row.source and row.operations > 0 for row in rows.values())


@pytest.mark.slow
def test_the_figures_are_those_that_counting_finds() -> None:
    """Where a network is new or another: write this text into the file."""
    expected = figures_text(networks(counted=True))
    assert (resource_dir("pretrained") / FIGURES).read_text(encoding="utf-8") == expected


def test_every_recipe_is_listed_with_what_it_is() -> None:
    rows = {row.name: row for row in medsr.models("recipes")}
    assert set(rows) == {path.stem for path in resource_dir("recipes").rglob("*.yml")}
    assert (rows["retina"].scale, rows["retina"].start_from) == (4, "realesrgan-x4plus")
    assert all(row.about for row in rows.values())
    with pytest.raises(UsageError, match="did you mean 'recipes'"):
        medsr.models("recipe")


def test_recipes_fit_the_terminal_and_keep_their_names_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(app, ["models", "recipes"]).output.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("retina ") and line.endswith("from realesrgan-x4plus") for line in lines)
    assert sum("pretrained/medsr-retina-x2 " in line for line in lines) == 1


def test_listing_does_not_import_torch() -> None:
    code = "import sys, medsr; medsr.models(); medsr.models('networks'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
