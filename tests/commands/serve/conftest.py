"""Running servers, and what is sent to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medsr.networks import checkpoint
from tests.helpers.images import write_png
from tests.helpers.models import TINY
from tests.helpers.server import TOKEN, Server, User, serving


@pytest.fixture(scope="session")
def eye_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small x2 generator whose file has a name of its own."""
    import torch

    from medsr.networks.architectures import ARCHITECTURES

    torch.manual_seed(0)
    net = TINY.build()
    ARCHITECTURES["rrdb"].initialise(net)
    path = tmp_path_factory.mktemp("models") / "eye-x2.safetensors"
    checkpoint.save(path, net.state_dict(), TINY)
    return path


@pytest.fixture(scope="session")
def server(eye_model: Path, refiner_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that do it no harm. It offers eye-x2, refiner and the baselines."""
    folder = tmp_path_factory.mktemp("served")
    models = [option for path in (eye_model, refiner_file) for option in ("--model", str(path))]
    home = str(tmp_path_factory.mktemp("server_home"))
    with serving(folder, *models, "--engine", "torch", MEDSR_HOME=home) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for those that must know its token."""
    with serving(tmp_path_factory.mktemp("guarded"), "--model", "bicubic", "--token", TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with low limits, in a folder with a blank in its name."""
    limits = ("--max-megapixels", "0.1", "--max-upload", "0.1", "--max-megavoxels", "0.01")
    folder = tmp_path_factory.mktemp("narrow") / "a folder, x"
    with serving(folder, "--model", "bicubic", "--model", "cubic", *limits) as running:
        yield running


@pytest.fixture
def user(server: Server) -> User:
    return server.user()


@pytest.fixture(scope="session")
def eye(tmp_path_factory: pytest.TempPathFactory, fundus: np.ndarray) -> Path:
    """A fundus photograph of 96 x 80 pixels."""
    return write_png(tmp_path_factory.mktemp("images") / "eye.png", fundus[:80, :96])


@pytest.fixture(scope="session")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan whose array runs neither right, front nor up, and whose every voxel differs from its neighbours."""
    import nibabel as nib

    i, j, k = np.indices((20, 14, 24))
    stored = (i * 700 + j * 31 + k * 3).astype(np.int16)
    affine = np.array([[0, 0, -1.5, 20], [-1.5, 0, 0, 10], [0, 3.0, 0, -15], [0, 0, 0, 1]], float)
    path = tmp_path_factory.mktemp("scans") / "brain.nii.gz"
    nib.Nifti1Image(stored, affine).to_filename(path)
    return path
