"""Fixtures shared by all tests. Real images come from the folder MEDSR_TEST_DATA names.

The whole suite runs on several workers, where pytest-xdist is installed; a part that is named runs in one process.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from medsr.networks import checkpoint
from medsr.report.page import Picture
from tests.helpers import slurm_here
from tests.helpers.images import write_png
from tests.helpers.models import TINY, convert
from tests.helpers.side_by_side import (  # noqa: F401  two hooks, for pytest
    all_threads,
    in_worker,
    pytest_cmdline_main,
    pytest_report_to_serializable,
    turn,
)


@pytest.fixture(autouse=True)
def its_turn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test marked `alone` measures time: meanwhile no other worker runs one."""
    if not in_worker():
        yield
        return
    alone = request.node.get_closest_marker("alone") is not None
    with turn(tmp_path_factory.getbasetemp().parent, alone), all_threads() if alone else nullcontext():
        yield


@pytest.fixture(scope="session")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models converted for OpenVINO, which takes seconds: once for all tests."""
    folder = tmp_path_factory.mktemp("converted") / "engines"
    folder.mkdir()
    return folder


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def shared_home(conversions: Path) -> Iterator[None]:
    """The cache of fixtures that are made once for many tests: the developer's is not theirs either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSR_HOME", str(conversions.parent))
        yield


@pytest.fixture(autouse=True)
def medsr_home(conversions: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test: nothing on the developer's machine is read or changed.

    It lies beside `tmp_path` and not in it: what a test's folder holds is its own.
    """
    homes = conversions.parent / "homes"  # `mktemp` would look at the names of all folders of all tests before
    homes.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=homes))
    for shared in (conversions, conversions.parent / "matplotlib"):  # what is found out about the machine's fonts
        shared.mkdir(exist_ok=True)
        (folder / shared.name).symlink_to(shared)
    monkeypatch.setenv("MEDSR_HOME", str(folder))
    # A command called within a test sets it for its own children; those of the next tests must not inherit it.
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.delenv("PYTHONSAFEPATH")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; the test is skipped, and says so, where it is absent."""
    folder = os.environ.get("MEDSR_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real images: set MEDSR_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[slurm_here.Slurm]:
    """A Slurm with two nodes on this machine; the test is skipped, and says so, where it is not installed."""
    missing = [name for name, path in slurm_here.programs().items() if path is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs Slurm ({', '.join(missing) or 'as root'}): install slurmctld, slurmd, slurm-client, munge")
    with slurm_here.slurm(tmp_path / "slurm") as here:
        yield here


@pytest.fixture(scope="session")
def fundus() -> np.ndarray:
    """A 256 x 256 piece of scikit-image's fundus photograph, uint8 RGB."""
    from skimage.data import retina

    return np.ascontiguousarray(retina()[500:1012:2, 500:1012:2])


@pytest.fixture(scope="session")
def whole_fundus() -> np.ndarray:
    """All of it, 177 x 177, with the dark around the camera's field."""
    from skimage.data import retina

    return np.ascontiguousarray(retina()[::8, ::8])


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small x2 generator in our format, close to an interpolator.

    One file for all tests: written again it would have another hash, and be converted for OpenVINO again.
    """
    import torch

    from medsr.networks.architectures import ARCHITECTURES

    torch.manual_seed(0)
    net = TINY.build()
    ARCHITECTURES["rrdb"].initialise(net)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoint.save(path, net.state_dict(), TINY)
    return convert(path)


@pytest.fixture(scope="session")
def refiner_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small refiner with random weights: it changes what it is given, and differently in every plane."""
    import torch

    torch.manual_seed(0)
    spec = checkpoint.Spec("refiner", 1, 1, {"features": 8, "blocks": 1})
    net = spec.build()
    torch.nn.init.normal_(net.conv_last.weight, std=0.02)
    path = tmp_path_factory.mktemp("weights") / "refiner.safetensors"
    domain = {"modality": "T1-weighted MRI of the brain", "spacing": [0.8, 1.1], "factors": [2, 6]}
    checkpoint.save(path, net.state_dict(), spec, {"domain": domain})
    return convert(path)


@pytest.fixture(scope="session")
def fresh_refiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A refiner that returns what it is given."""
    spec = checkpoint.Spec("refiner", 1, 1, {"features": 8, "blocks": 1})
    path = tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    checkpoint.save(path, spec.build().state_dict(), spec)
    return convert(path)


@pytest.fixture
def without_curves() -> Iterator[None]:
    """For tests that train a few steps and do not look at the page: its curves take longer to draw than to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medsr.training.report.curves", lambda caption, *_, **__: Picture(caption, "data:,"))
        yield


@pytest.fixture(scope="session")
def written_images(tmp_path_factory: pytest.TempPathFactory, fundus: np.ndarray) -> Path:
    """What `image_folder` is a copy of."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(6):
        top, left = 80 * (index // 3), 80 * (index % 3)
        write_png(folder / f"eye_{index}.png", fundus[top : top + 96, left : left + 96])
    write_png(folder / "too_small.png", fundus[:20, :20])
    return folder


@pytest.fixture
def image_folder(tmp_path: Path, written_images: Path) -> Path:
    """Six 96 x 96 ground-truth images and one that is too small."""
    return Path(shutil.copytree(written_images, tmp_path / "ground_truth"))
