"""A real server in a process of its own, as a user starts it; and users of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from medsr.networks import checkpoint
from tests.helpers.models import TINY

DEADLINE = 90.0
TOKEN = "a token of enough letters"


@dataclass
class Server:
    """`address`: as printed, with the token where there is one."""

    process: subprocess.Popen
    address: str
    folder: Path

    @property
    def base(self) -> str:
        return self.address.partition("#")[0].rstrip("/")

    @property
    def children(self) -> list[int]:
        import psutil

        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def user(self, **options: Any) -> User:
        return User(httpx.Client(base_url=self.base, timeout=60, **options))

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@dataclass
class User:
    """Somebody with a cookie jar of their own."""

    http: httpx.Client

    def upload(self, path: Path, name: str | None = None, **query: Any) -> httpx.Response:
        headers = {"X-File-Name": quote(path.name if name is None else name)}
        with path.open("rb") as stream:
            return self.http.post("/api/files", content=stream, headers=headers, params=query)

    def file(self, path: Path) -> dict[str, Any]:
        answer = self.upload(path)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def order(self, kind: str, **request: Any) -> dict[str, Any]:
        answer = self.http.post(f"/api/jobs/{kind}", json=request)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def wait(self, job: dict[str, Any], *states: str) -> dict[str, Any]:
        latest = time.monotonic() + DEADLINE
        while time.monotonic() < latest:
            now = self.http.get(f"/api/jobs/{job['id']}").json()
            if now["state"] in (states or ("done", "failed", "cancelled")):
                return now
            time.sleep(0.1)
        raise AssertionError(f"still {now}")

    def done(self, kind: str, **request: Any) -> dict[str, Any]:
        job = self.wait(self.order(kind, **request))
        assert job["state"] == "done", job
        return job


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """`medsr serve` on a free port, ended by SIGTERM if it has not ended before."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "medsr", "serve", "--port", "0", "--folder", str(folder), *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.search(r"https?://\S+", first)
    assert address, first + process.stdout.read()
    server = Server(process, address[0], folder)
    try:
        latest = time.monotonic() + DEADLINE
        while time.monotonic() < latest:
            try:
                httpx.get(f"{server.base}/api/about", verify=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        process.stdout.close()


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
    from tests.helpers.images import write_png

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
