"""Compressed pixels are decoded in a process of their own: damaged data that crash a decoder cost one file, no more.

The process is started when it is first needed, serves all that come after, and is started anew when it ended. It is a
plain program: scripts without a `__main__` guard, daemonic processes and systems without fork can all start it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import threading
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medsr.core import isolation, memory, platform
from medsr.core.errors import InputError, MemoryExhaustedError
from medsr.io import expansion

SECONDS, SAMPLES_A_SECOND = 10.0, 1e6
"""What one request may take: so long, and as much again as a very slow machine takes for its samples."""
BASE, BYTES_A_SAMPLE = 256 << 20, 32
"""The memory that one request may add: decoders of JPEG 2000 hold samples in 32 bits, several times over."""
LARGE, MOST_A_BYTE = 1 << 24, 4096
"""Samples: a picture of more than `LARGE` may have so many for every compressed byte; decoders fill memory first."""
LARGE_SLOW = 1 << 26
"""Samples that a slow decoder takes from however few bytes."""
TIME_IS_UP = 1
"""Exit status of the process when it ended itself, as `faulthandler` does."""


def check_size(samples: int, stored: int, name: str, slow: bool = False) -> None:
    """Raise InputError where `stored` compressed bytes cannot be a picture of `samples`, pixels times channels.

    `slow`: whether the decoder takes seconds for 100 million samples, so that nearly empty ones have fewer.
    Raises MemoryExhaustedError where it is one that the free memory does not hold while it is decoded.
    """
    dense = samples > LARGE and samples > MOST_A_BYTE * stored
    if dense or (slow and samples > LARGE_SLOW and samples > expansion.MOST_DENSE * stored):
        raise InputError(f"{name}: damaged: {stored} compressed bytes cannot hold the {samples} samples they claim")
    needed, free = BYTES_A_SAMPLE // 2 * samples, memory.free()
    if needed > free:
        raise MemoryExhaustedError(
            f"{name}: decoding it needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; free memory"
        )


def decode(request: dict[str, Any], content: bytes, samples: int, name: str) -> NDArray:
    """The pixels that the process makes of `request` (`decoder_child.DECODERS`) and the bytes `content`.

    `samples`: how many there must be, pixels times channels. Raises InputError, naming `name`, where they cannot be
    decoded, other than `samples` come out, or the decoder crashed, took too long or too much memory;
    MemoryExhaustedError where the system gives no process.
    """
    request = request | {
        "length": len(content),
        "seconds": SECONDS + samples / SAMPLES_A_SECOND,
        "memory": BASE + BYTES_A_SAMPLE * samples + 8 * len(content),
    }
    header, pixels = _WORKER.ask(json.dumps(request).encode() + b"\n", content, samples, name)
    if "error" in header:
        raise InputError(f"{name}: its pixels cannot be read ({header['error']})")
    return pixels.view(header["dtype"]).reshape(header["shape"])


class _Worker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, line: bytes, content: bytes, samples: int, name: str) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                for part in (line, content):
                    _write(process.stdin, part)
                return _answer(process.stdout, samples)
            except (OSError, EOFError) as error:
                raise InputError(f"{name}: {self._cause()}") from error
            except BaseException:
                self._end()  # what it still says answers no later request
                raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        try:
            self._process = subprocess.Popen(
                isolation.program("medsr.io.decoder_child"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,  # a forked process would write once more what a buffer holds
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # threads take address space
            )
            assert self._process.stdout is not None
            if json.loads(self._process.stdout.readline() or b"{}").get("ready"):
                return self._process
            reason = f"it ended with {self._process.wait()}"
        except OSError as error:
            reason = error.strerror or str(error)
        self._end()
        raise MemoryExhaustedError(f"the process that decodes compressed pixels did not start ({reason}); free memory")

    def _cause(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = None
        self._end()
        if status == TIME_IS_UP:
            return "damaged: its compressed data took far longer to decode than pixels of its size can"
        return "damaged: its compressed data made the decoder crash; get the file again from where it comes"

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process = None

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """In a process that was forked: the decoder is the parent's, and so may be who holds the lock."""
        self.__init__()  # type: ignore[misc]


def _write(stream: IO[bytes], content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[stream.write(rest) :]


def _answer(stream: IO[bytes], samples: int) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The header of an answer and the bytes of its pixels. Raises EOFError where the process ended before them."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    header = json.loads(line)
    if "error" in header:
        return header, np.empty(0, np.uint8)
    count = int(np.prod(header["shape"], dtype=np.int64))
    pixels = np.empty(count * np.dtype(header["dtype"]).itemsize, np.uint8)
    room, offset = pixels.data, 0
    while offset < len(room):
        if not (length := stream.readinto(room[offset:])):  # type: ignore[attr-defined]
            raise EOFError
        offset += length
    if count != samples:
        return {"error": f"{count} samples came out, its header says {samples}"}, np.empty(0, np.uint8)
    return header, pixels


_WORKER = _Worker()
atexit.register(lambda: _WORKER.close())
platform.after_fork(lambda: _WORKER.forget())
