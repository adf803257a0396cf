"""Runs command lines of medsr, each in a process of its own that is forked when everything is imported already.

Tables of many commands take most of their time for starting Python and torch. `python -m tests.helpers.forked` reads
one request a line and answers each with one line; what is common to all commands at their start is tested elsewhere.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

BEYOND = (
    "nibabel",
    "pydicom",
    "SimpleITK",
    "scipy.ndimage",
    "scipy.stats",
    "skimage.metrics",
    "skimage.feature",
    "skimage.measure",
    "jinja2",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "lightning_fabric",
    "tensorboard.compat.proto.event_pb2",
    "torch.utils.tensorboard",
    "torch._dynamo",
    "onnx",
    "openvino",
)
"""What commands import only when they need it."""


class Forked:
    """The process that forks; started with the first command."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], folder: Path, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run `medsr ARGUMENTS` in a folder, with this process's environment and without input."""
        if self._process is None:
            command = [sys.executable, "-m", "tests.helpers.forked"]
            root = Path(__file__).parents[2]
            self._process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        environment = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
        with tempfile.TemporaryDirectory() as streams:
            request = [arguments, str(folder), environment, streams, timeout]
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            code = json.loads(self._process.stdout.readline())
            if code is None:
                raise subprocess.TimeoutExpired(arguments, timeout)
            out, err = (Path(streams, name).read_text(errors="surrogateescape") for name in ("out", "err"))
        return subprocess.CompletedProcess(arguments, code, out, err)

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()


def main() -> None:
    _import_everything()
    while line := sys.stdin.buffer.readline():
        arguments, folder, environment, streams, timeout = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_medsr(arguments, folder, environment, Path(streams))
        os.write(1, json.dumps(_code_of(child, timeout)).encode() + b"\n")


def _import_everything() -> None:
    import medsr

    warnings.simplefilter("ignore")
    os.environ["MPLCONFIGDIR"] = tempfile.gettempdir()
    modules = [module.name for module in pkgutil.walk_packages(medsr.__path__, "medsr.")]
    for name in (*modules, *BEYOND):
        if not name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(name)


def _be_medsr(arguments: list[str], folder: str, environment: dict[str, str], streams: Path) -> NoReturn:
    from medsr.cli import main as medsr

    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(streams / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
        sys.argv = ["medsr", *arguments]
        medsr()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _code_of(child: int, timeout: float) -> int | None:
    """The exit code of a child, negative for a signal; none where it took too long and was killed."""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        ended, state = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(state)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    main()
