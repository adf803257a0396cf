"""The decoding process with decoders that crash, hang or take all memory: run by `test_decoder.py`."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.io import decoder_child


def _abort(request: dict[str, Any], content: bytes) -> NDArray:
    os.abort()


def _hang(request: dict[str, Any], content: bytes) -> NDArray:
    time.sleep(60)
    return np.zeros(1)


def _fill_memory(request: dict[str, Any], content: bytes) -> NDArray:
    return np.ones(1 << 30)


def _echo(request: dict[str, Any], content: bytes) -> NDArray:
    return np.frombuffer(content, np.uint8)


def _process(request: dict[str, Any], content: bytes) -> NDArray:
    return np.array([os.getpid()])


def main() -> None:
    decoder_child.DECODERS |= {
        "abort": _abort,
        "hang": _hang,
        "fill memory": _fill_memory,
        "echo": _echo,
        "process": _process,
    }
    decoder_child.main()
