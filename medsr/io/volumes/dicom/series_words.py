"""What the list of series says of each: in words, and in columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from medsr.core.geometry import PLANES
from medsr.io.dicom.coded import plane_words
from medsr.io.volumes.dicom.series_facts import ParallelImages, SeriesFacts

DESCRIPTION_WIDTH = 40
MOST_VALUES = 3
"""Echo times and the like of one series that are listed one by one; of more the first and the last."""
EVEN = 0.05
"""How much steps may differ, of the largest, to count as one distance."""
SHORT_ENDING, LONG_ENDING = 12, 16
"""Characters of a UID's end."""


@dataclass(frozen=True)
class ListedSeries:
    """A line of the list. `number`: from 1. `uid`: empty where the header has none.

    `description`: as somebody typed it, perhaps with a name in it; for the terminal alone. Everything else is numbers
    and DICOM's terms.
    """

    number: int
    uid: str
    description: str
    modality: str
    plane: str
    times: str
    size: str
    spacing: str

    @property
    def words(self) -> str:
        """What it is, without anything that may name a person."""
        return ", ".join(filter(None, (self.modality or "?", self.plane, self.times, self.size, self.spacing)))


def listed(number: int, facts: SeriesFacts) -> ListedSeries:
    """A series as the list has it."""
    stacks = facts.stacks()
    times = " ".join(f"{name} {_values(values)}" for name, values in facts.times.items() if values)
    return ListedSeries(
        number,
        facts.uid,
        facts.description,
        facts.modality,
        _plane(stacks),
        f"{times} ms" if times else "",
        _size(facts, stacks),
        _spacing(facts, stacks),
    )


def table(listing: Sequence[ListedSeries]) -> list[str]:
    """A line for each series, in columns: number, modality, plane, description, size, spacing, end of the UID."""
    endings = _endings([series.uid for series in listing])
    rows = [
        (
            f"{series.number:>{len(str(listing[-1].number))}}",
            series.modality or "?",
            series.plane,
            " ".join(filter(None, (_cut(series.description), f"({series.times})" if series.times else ""))),
            series.size,
            series.spacing,
            ending,
        )
        for series, ending in zip(listing, endings, strict=True)
    ]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True) if width) for row in rows)
    return [f"  {line.rstrip()}" for line in lines]


def is_uid(text: str) -> bool:
    """Whether it is a UID; what is not one may be any text, a name too."""
    return re.fullmatch("[0-9.]{1,64}", text) is not None


def shown_uid(uid: str) -> str:
    """A UID as a message has it."""
    if not uid:
        return "no UID"
    return uid if is_uid(uid) else "an invalid UID"


def _plane(stacks: Sequence[ParallelImages]) -> str:
    planes = sorted({stack.plane for stack in stacks}, key=PLANES.index)
    if len(stacks) == 1:
        return plane_words(planes[0], stacks[0].straightness)
    return "3 planes" if len(planes) == len(PLANES) else " and ".join(planes)


def _size(facts: SeriesFacts, stacks: Sequence[ParallelImages]) -> str:
    if len(stacks) == 1 and stacks[0].images == facts.images:
        stack, slices = stacks[0], len(stacks[0].places)
        volumes, rest = divmod(stack.images, slices)
        if not rest:
            return f"{stack.size[0]} x {stack.size[1]} x {slices}{f' x {volumes}' if volumes > 1 else ''}"
    columns, rows = facts.sizes.most_common(1)[0][0]
    plane = f"{columns} x {rows}" if len(facts.sizes) == 1 else "several sizes"
    return f"{plane}, {facts.images} image{'s' if facts.images > 1 else ''}"


def _spacing(facts: SeriesFacts, stacks: Sequence[ParallelImages]) -> str:
    """Of pixels, thickness and distance of slices; of several stacks nothing that is not the same in all."""
    if not stacks:
        return ""
    spacings = {tuple(_number(step) for step in stack.spacing) for stack in stacks}
    pixels = f"{' x '.join(next(iter(spacings)))} mm" if len(spacings) == 1 else ""
    thickness = f"of {_values(facts.thickness)} mm" if facts.thickness else ""
    steps = [later - earlier for earlier, later in zip(stacks[0].places, stacks[0].places[1:], strict=False)]
    every = ""
    if len(stacks) == 1 and steps:
        even = max(steps) - min(steps) <= EVEN * max(steps)
        middle = sorted(steps)[len(steps) // 2]
        every = _number(middle) if even else f"{_number(min(steps))} to {_number(max(steps))}"
        every = "" if facts.thickness and every == _values(facts.thickness) else f"every {every} mm"
    slices = " ".join(filter(None, (thickness, every)))
    return ", ".join(filter(None, (pixels, f"{'slices' if steps else 'slice'} {slices}" if slices else "")))


def _values(values: set[float]) -> str:
    ordered = list(dict.fromkeys(map(_number, sorted(values))))
    return "/".join(ordered) if len(ordered) <= MOST_VALUES else f"{ordered[0]} to {ordered[-1]}"


def _number(value: float) -> str:
    return f"{round(value, 2 if value >= 0.1 else 4):.7g}"


def comparable(text: str) -> str:
    """A description as it is compared: however its accents are written, its capitals and spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns of a terminal: two for a Chinese or Japanese character, none for a combining accent."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _cut(text: str) -> str:
    return text if len(text) <= DESCRIPTION_WIDTH else f"{text[: DESCRIPTION_WIDTH - 3].rstrip()}..."


def _endings(uids: Sequence[str]) -> list[str]:
    """The ends of UIDs, as short as tells each from all others; whole numbers of theirs where those are short."""
    endings = []
    for uid in uids:
        if not is_uid(uid):
            endings.append(f"({shown_uid(uid)})")
            continue
        others = [other for other in uids if other != uid]
        parts = uid.split(".")
        whole = (".".join(parts[-count:]) for count in range(2, len(parts)))
        cut = (uid[-length:] for length in range(SHORT_ENDING, len(uid)))
        ends = chain((end for end in whole if len(end) <= LONG_ENDING), cut)
        end = next((end for end in ends if not any(other.endswith(end) for other in others)), uid)
        endings.append(uid if end == uid else f"...{end}")
    return endings
