"""Which frames of a file are meant, and those frames one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import UsageError
from medsr.io.images.base import Image

ALL = "all"
FRAMES = "frames"
"""The entry of `Image.extra` that holds the results of several frames."""
EXPECTED = "expected all, or numbers from 1 and ranges, such as 3, 1-5 or 1,3"


def canonical(frames: str) -> str:
    """The same choice in one way of writing: `all`, or ranges in order. Raises UsageError for what is not a choice."""
    text = "".join(frames.split()).lower()
    if text == ALL:
        return ALL
    if not re.fullmatch(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*", text):
        raise UsageError(f"frames={frames!r}: {EXPECTED}")
    joined: list[list[int]] = []
    for first, last in sorted(_ends(part) for part in text.split(",")):
        if first < 1 or last < first:
            raise UsageError(f"frames={frames!r}: {EXPECTED}")
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(last, joined[-1][1])
        else:
            joined.append([first, last])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in joined)


def numbers(frames: str, count: int, name: str) -> tuple[int, ...]:
    """The frames meant, from 1, in order, of a file that holds `count`. Raises UsageError where it holds fewer."""
    wanted = canonical(frames)
    if wanted == ALL:
        return tuple(range(1, count + 1))
    ranges = [_ends(part) for part in wanted.split(",")]
    if ranges[-1][1] > count:
        holds = f"{count} frame{'s' * (count > 1)}"
        raise UsageError(f"{name}: holds {holds}, frame {ranges[-1][1]} is not among them (frames={wanted!r})")
    return tuple(number for first, last in ranges for number in range(first, last + 1))


def _ends(part: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    return int(first), int(last or first)


@dataclass(frozen=True)
class Frames:
    """The chosen frames of one file. `numbers`: from 1. `decode`: one of them, by its number."""

    path: Path
    numbers: tuple[int, ...]
    decode: Callable[[int], Image]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Image]:
        """One after the other: no two are held."""
        return (self.decode(number) for number in self.numbers)


@dataclass(frozen=True)
class Stack:
    """Results of frames. `numbers`: of the frames they came of. `pixels`: (frames, height, width, channels)."""

    numbers: tuple[int, ...]
    pixels: NDArray[np.generic]
