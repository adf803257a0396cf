"""What tells the series of a study apart, from headers alone: plane, timing, size, spacing, thickness, description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, MutableSequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from medsr.core.geometry import PLANES, Plane
from medsr.io.dicom.header import modality_of
from medsr.io.dicom.series_files import number_of_series
from medsr.io.volumes.dicom.frames import frames_of
from medsr.io.volumes.dicom.grids import SAME_GRID
from medsr.io.volumes.dicom.stack import SAME_PLACE, Frame, Open
from medsr.io.volumes.dicom.tags import value_of

TIMES = {"TR": ("RepetitionTime",), "TE": ("EffectiveEchoTime", "EchoTime"), "TI": ("InversionTimes", "InversionTime")}
"""Of the contrast, in ms; enhanced objects have keywords of their own."""
MOST_FRAMES = 20_000
"""Of one file: no scan has more, a damaged header may promise any number."""
MOST_READ = 64
"""Frames of one file of which times and thickness are looked up; they stand deep in a header."""
MOST_STACKS = 64
"""Orientations and sizes of one series that are told apart."""
SAME_COSINES, SAME_SPACING = 2e-3, 1e-3
_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-9;?]*[ -/]*[@-~]?|\x9b[0-9;?]*[ -/]*[@-~]?")


@dataclass(frozen=True)
class ParallelImages:
    """Parallel images of one size. `size`: columns, rows. `images`: of all volumes; `places`: mm along their
    normal, each once.

    `straightness`: the cosine between their normal and that of `plane`.
    """

    plane: Plane
    straightness: float
    size: tuple[int, int]
    spacing: tuple[float, float]
    images: int
    places: tuple[float, ...]


@dataclass
class SeriesFacts:
    """One series; `spacing` of stacks is (along a row, along a column) in mm. `number`: infinite where it has none.

    `description` is any text that somebody typed, a name too: only for the terminal of who owns the files.
    """

    uid: str
    number: float = float("inf")
    modality: str = ""
    description: str = ""
    images: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    times: dict[str, set[float]] = field(default_factory=lambda: {name: set() for name in TIMES})
    thickness: set[float] = field(default_factory=set)
    _frames: list[tuple[float, ...]] = field(default_factory=list, repr=False)
    _instances: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def add(self, name: str, opener: Open, dataset: Any) -> None:
        """Take in the header of one file of the series, whatever is wrong with it; a copy counts once."""
        instance = str(dataset.get("SOPInstanceUID") or name), _text(dataset, "ImagePositionPatient")
        if instance in self._instances:
            return
        self._instances.add(instance)
        self.number = min(self.number, number_of_series(dataset))
        self.modality = self.modality or modality_of(dataset)
        self.description = self.description or description_of(dataset)
        frames: list[Frame] = []
        try:
            frames = list(islice(frames_of(name, opener, dataset), MOST_FRAMES))
        except Exception:  # colours, no position, damage: told when it is read
            frames = []
        count = len(frames) if 0 < len(frames) < MOST_FRAMES else max(1, _count(dataset, "NumberOfFrames"))
        self.images += count
        header = frames[0].dataset if frames else dataset
        self.sizes[_count(header, "Columns"), _count(header, "Rows")] += count
        if len(frames) == count:
            self._frames += [_geometry(frame) for frame in frames]
        for frame in frames[:: -(-len(frames) // MOST_READ)] if frames else [_placeless(name, opener, dataset)]:
            self.thickness |= _numbers(frame, "SliceThickness")
            for time, keywords in TIMES.items():
                self.times[time] |= next(filter(None, (_numbers(frame, keyword) for keyword in keywords)), set())

    def stacks(self) -> list[ParallelImages]:
        """Its images by orientation, size and spacing, the largest stack first; none of those without a position."""
        rest = np.array(self._frames)
        stacks: list[ParallelImages] = []
        while len(rest) and len(stacks) < MOST_STACKS:
            first = rest[0]
            close = np.array([0.5, 0.5, *(SAME_SPACING * first[2:4]), *[SAME_COSINES] * 6])
            same = (np.abs(rest[:, :10] - first[:10]) <= close).all(axis=1)
            stacks.append(_stack(rest[same]))
            rest = rest[~same]
        return sorted(stacks, key=lambda stack: -stack.images)


def description_of(dataset: Any) -> str:
    """What the series is called, on one line, without control characters and escape sequences."""
    for keyword in ("SeriesDescription", "ProtocolName"):
        text = _ESCAPES.sub(" ", _text(dataset, keyword))
        printable = "".join(letter if letter.isprintable() else " " for letter in text)
        if words := " ".join(printable.split()):
            return words
    return ""


def _stack(frames: Any) -> ParallelImages:
    columns, rows, along_row, along_column = frames[0, :4]
    normal = np.cross(frames[0, 4:7], frames[0, 7:10])
    normal = normal / (np.linalg.norm(normal) or 1.0)
    places = np.sort(frames[:, 10:] @ normal)
    steps = np.diff(places)
    same = SAME_GRID if len(steps) and steps.max() > 10 * SAME_GRID else SAME_PLACE
    distinct = places[np.append(True, steps > same)]
    axis = int(np.argmax(np.abs(normal)))
    spacing = (float(along_row), float(along_column))
    size = int(columns), int(rows)
    return ParallelImages(
        PLANES[axis], abs(float(normal[axis])), size, spacing, len(frames), tuple(map(float, distinct))
    )


def _geometry(frame: Frame) -> tuple[float, ...]:
    size = _count(frame.dataset, "Columns"), _count(frame.dataset, "Rows")
    return (*size, frame.spacing[1], frame.spacing[0], *frame.cosines, *frame.position)


def _placeless(name: str, opener: Open, dataset: Any) -> Frame:
    return Frame(name, opener, dataset, 0, np.zeros(3), np.zeros(6), (0.0, 0.0), (1.0, 0.0))


def _text(dataset: Any, keyword: str) -> str:
    try:
        value = dataset.get(keyword) or ""
        return " ".join(map(str, value)) if isinstance(value, MutableSequence) else str(value)
    except Exception:  # pydicom raises whatever it likes on damaged values
        return ""


def _numbers(frame: Frame, keyword: str) -> set[float]:
    """What is above 0 of the numbers under a keyword; nothing where they are none."""
    try:
        value = value_of(frame, keyword)
        values: Iterable[Any] = value if isinstance(value, tuple) else (value,)
        numbers = [float(entry) for entry in values if entry not in ("", None)]
    except Exception:  # pydicom raises whatever it likes on damaged values
        return set()
    return {number for number in numbers if 0 < number < float("inf")}


def _count(dataset: Any, keyword: str) -> int:
    """A count of a header; 0 where it is none."""
    try:
        return max(0, int(dataset.get(keyword)))
    except Exception:  # pydicom raises whatever it likes on damaged values
        return 0
