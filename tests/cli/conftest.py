"""Small inputs for every command, made once, and the commands as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from medsr.networks import checkpoint
from tests.commands.compare.test_run import RECIPE
from tests.commands.prepare.test_run import CARD
from tests.helpers.forked import Forked
from tests.helpers.images import write_png
from tests.helpers.models import TINY
from tests.helpers.scans import smooth_volume

COMMANDS = {
    "info": "info",
    "models": "models",
    "weights list": "weights list",
    "weights verify": "weights verify",
    "weights import": "weights import {kit}/tiny.safetensors --name own --replace",
    "upscale": "upscale {kit}/eyes --out out --model bicubic",
    "volume": "volume {kit}/scans --out out --model cubic",
    "prepare": "prepare {kit}/mine.yml {kit}/people --out out --workers 1",
    "prepare 2": "prepare {kit}/mine.yml {kit}/people --out out --workers 2",
    "cohort": "cohort upscale {kit}/eyes --out out --model bicubic",
    "cohort status": "cohort status {kit}/cohort",
    "evaluate": "evaluate folder --data {kit}/truth --model bicubic --out out",
    "reproduce": "reproduce {kit}/made/scan.json --input {kit}/scans/scan.nii.gz",  # each test has another cache
    "export": "export {kit}/tiny.safetensors --to onnx --out out.onnx",
    "finetune": "finetune {kit}/recipe.yml --data {kit}/truth --out out --device cpu",
    "compare": "compare {kit}/recipe.yml {kit}/other.yml --data {kit}/truth --out out --device cpu --minutes 0",
}
FAST = ("info", "upscale")
BY_PYTHON = (sys.executable, "-m", "medsr")


def table(*fast: str) -> list[object]:
    """Every command, all but those named left to the slow run."""
    kept = fast or FAST
    return [name if name in kept else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]


@dataclass(frozen=True)
class Kit:
    """`folder`: the inputs; `work`: where commands are run; `forked`: what starts them without importing all anew."""

    folder: Path
    work: Path
    forked: Forked | None = None

    def command(self, name: str) -> list[str]:
        made = Kit(self.folder, self.folder)
        if "{kit}/made" in COMMANDS[name] and not (self.folder / "made").exists():
            made.run("volume", "scans", "--out", "made", "--model", "cubic")
        if "{kit}/cohort" in COMMANDS[name] and not (self.folder / "cohort").exists():
            made.run("cohort", "upscale", "eyes", "--out", "cohort", "--model", "bicubic")
        if "{kit}/tiny" in COMMANDS[name]:
            self.weights()
        return [part.format(kit=self.folder) for part in COMMANDS[name].split()]

    def weights(self) -> Path:
        """A small generator with fresh weights."""
        path = self.folder / "tiny.safetensors"
        if not path.exists():
            checkpoint.save(path, TINY.build().state_dict(), TINY)
        return path

    def run(
        self,
        *arguments: object,
        shell: str = '"$@"',
        by: tuple[str, ...] = BY_PYTHON,
        env: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run medsr by a shell that may close or redirect its streams; it must end, without a traceback."""
        texts = [os.fsdecode(_text(argument)) for argument in arguments]
        if self.forked and (shell, by, env) == ('"$@"', BY_PYTHON, None):
            done = self.forked.run(texts, self.work, timeout)
        else:
            environment = (os.environ | {"OMP_NUM_THREADS": "1"}) if env is None else env
            done = self._run(["bash", "-c", shell, "medsr", *by, *texts], environment, timeout)
        for trace in ("Traceback", "is a bug", "Exception ignored"):
            assert trace not in done.stdout + done.stderr, done.stderr
        assert done.returncode >= 0, done.stderr
        return done

    def _run(self, command: list[str], env: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            command,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
            text=True,
            errors="surrogateescape",
        ) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def _text(argument: object) -> str | bytes:
    return argument if isinstance(argument, bytes) else str(argument)


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
    (folder / "mine.yml").write_text(CARD)
    recipe = RECIPE | {"iterations": 2, "validate_every": 2, "data": RECIPE["data"] | {"validation": "eye_[4].png"}}
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    (folder / "other.yml").write_text(yaml.safe_dump(recipe | {"name": "two"}))
    return folder


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    one = Forked()
    yield one
    one.close()


@pytest.fixture
def kit(request: pytest.FixtureRequest, kit_folder: Path, tmp_path: Path, forked: Forked) -> Kit:
    """Slow tests are tables of hundreds of commands: these are forked, but where a test starts them in its own way."""
    work = tmp_path / "work"
    work.mkdir()
    return Kit(kit_folder, work, forked if request.node.get_closest_marker("slow") else None)
