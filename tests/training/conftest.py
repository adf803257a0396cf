"""Recipes and runs for the tests of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsr.commands.finetune import finetune
from tests.helpers import training
from tests.helpers.recipes import LONG, RECIPE, write_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path / "recipe.yml", RECIPE)


@pytest.fixture
def one_thread() -> Iterator[None]:
    with training.one_thread():
        yield


@pytest.fixture(scope="session")
def whole(written_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to which nothing happened; those that are killed, stopped or damaged must end as it did."""
    folder = tmp_path_factory.mktemp("whole")
    with training.one_thread():
        finetune(write_recipe(folder / "recipe.yml", LONG), written_images, out=folder / "run", device="cpu")
    return folder / "run"
