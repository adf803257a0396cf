"""Small inputs for every command, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from tests.helpers.cards import CARD
from tests.helpers.forked import Forked
from tests.helpers.images import write_png
from tests.helpers.kit import Kit
from tests.helpers.lesions import photograph
from tests.helpers.recipes import PLAIN
from tests.helpers.scans import smooth_volume


@pytest.fixture(scope="session")
def kit_folder(tmp_path_factory: pytest.TempPathFactory, fundus: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    write_png(folder / "eyes" / "eye.png", fundus[:48, :48])
    (folder / "scans").mkdir()
    scan = nib.Nifti1Image(smooth_volume((16, 14, 6)), np.diag([1, 1, 3, 1]))
    scan.to_filename(folder / "scans" / "scan.nii.gz")
    for n, person in enumerate(("ann", "bob", "cyd", "dan")):
        write_png(folder / "people" / f"{person}_L.png", fundus[n * 20 : n * 20 + 64, :64])
    for n in range(5):
        write_png(folder / "truth" / f"eye_{n}.png", fundus[n * 20 : n * 20 + 64, :64])
    for n in range(2):
        write_png(folder / "fundus" / f"eye_{n}.png", np.rint(photograph(n, 120) * 255).astype(np.uint8))
    (folder / "mine.yml").write_text(CARD)
    recipe = PLAIN | {"iterations": 2, "validate_every": 2, "data": PLAIN["data"] | {"validation": "eye_[4].png"}}
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    (folder / "other.yml").write_text(yaml.safe_dump(recipe | {"name": "two"}))
    return folder


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    starter = Forked()
    yield starter
    starter.close()


@pytest.fixture
def kit(request: pytest.FixtureRequest, kit_folder: Path, tmp_path: Path, forked: Forked) -> Kit:
    """Slow tests are tables of hundreds of commands: these are forked, but where a test starts them in its own way."""
    work = tmp_path / "work"
    work.mkdir()
    return Kit(kit_folder, work, forked if request.node.get_closest_marker("slow") else None)
