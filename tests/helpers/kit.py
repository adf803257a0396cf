"""Every command as a user types it, on small inputs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from medsr.networks import checkpoint
from tests.helpers.forked import Forked
from tests.helpers.models import TINY

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
    "lesions": "evaluate lesions --kind fundus --data {kit}/fundus --model bicubic --rounds 1 --out out",
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
        inputs = Kit(self.folder, self.folder)
        if "{kit}/made" in COMMANDS[name] and not (self.folder / "made").exists():
            inputs.run("volume", "scans", "--out", "made", "--model", "cubic")
        if "{kit}/cohort" in COMMANDS[name] and not (self.folder / "cohort").exists():
            inputs.run("cohort", "upscale", "eyes", "--out", "cohort", "--model", "bicubic")
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
