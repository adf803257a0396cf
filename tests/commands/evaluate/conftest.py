"""Photographs for the tests of evaluations, and pages without drawings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from medsr.commands.evaluate import page
from medsr.report.page import Picture
from tests.helpers.images import write_png


@pytest.fixture(scope="session")
def written_photographs(tmp_path_factory: pytest.TempPathFactory, fundus: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for index in range(4):
        write_png(folder / f"eye {index}.png", fundus[30 * index : 30 * index + 120, 20 * index : 20 * index + 130])
    return folder


@pytest.fixture
def photographs(tmp_path: Path, written_photographs: Path) -> Path:
    return Path(shutil.copytree(written_photographs, tmp_path / "truth"))


@pytest.fixture
def without_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at the page: matplotlib takes longer for its plots than all else together."""
    monkeypatch.setattr(page, "drawing", lambda caption, _figure: Picture(caption, "data:,"))
