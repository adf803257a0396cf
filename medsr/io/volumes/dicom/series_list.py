"""The series of a folder, zip or file as one numbered list, from which a person chooses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from medsr.core.errors import ChoiceError, InputError, MedsrError, UsageError
from medsr.core.text import reason
from medsr.io.dicom import files as dicom_files
from medsr.io.volumes.dicom.grids import parse_series
from medsr.io.volumes.dicom.series_facts import SeriesFacts
from medsr.io.volumes.dicom.series_words import ListedSeries, comparable, is_uid, listed, shown_uid, table
from medsr.io.volumes.dicom.stack import Open

Header = tuple[str, Open, Any]
"""A file's name, how to open it, its data set without pixels."""


def list_series(path: Path, damaged: list[str] | None = None) -> list[ListedSeries]:
    """The series of images in a folder, zip or file, by SeriesNumber, then UID; from the headers alone.

    `damaged`: gets what is wrong with files that cannot be read; they are left out. Raises InputError where nothing is
    there, or the path cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    facts: dict[str, SeriesFacts] = {}
    unread = [] if damaged is None else damaged
    try:
        for name, opener, head in dicom_files.sources(path):
            try:
                dataset = dicom_files.header(name, opener, head)
                if dataset is not None and dicom_files.is_image(dataset):
                    _take(facts, (name, opener, dataset))
            except Exception as error:  # pydicom raises whatever it likes on damaged values
                why = str(error) if isinstance(error, InputError) else f"{name}: damaged header ({reason(error)})"
                unread.append(why)
    except MedsrError:
        raise
    except Exception as error:  # of the system, or a zip that is odd
        raise InputError(f"{path}: cannot be read ({reason(error, path)})") from error
    return _numbered(facts.values())


def of_headers(headers: Iterable[Header]) -> list[ListedSeries]:
    """As `list_series`, of headers that were read before."""
    facts: dict[str, SeriesFacts] = {}
    for header in headers:
        _take(facts, header)
    return _numbered(facts.values())


def choose_series(path: Path, wanted: str) -> str:
    """The UID of the one series at `path` that `wanted` names, with its `:N` where it has one.

    `wanted`: a UID or the end of one, a number of the list, or a part of a description (capitals do not count); each
    may end in `:N`, for one of several acquisitions in the series. `:N` alone is of the only series.

    Raises ChoiceError, with the list, where none or several match; UsageError for a series without a UID; InputError
    where there is no DICOM image.
    """
    chosen, volume = find_series(path, wanted)
    return chosen.uid if volume is None else f"{chosen.uid}:{volume}"


def find_series(path: Path, wanted: str) -> tuple[ListedSeries, int | None]:
    """What `choose_series` chooses, as the list has it, and the N of `:N`. Raises as that."""
    if not wanted.strip():
        raise UsageError("`series`: expected a number of the list, part of a description or a UID, got nothing")
    name, volume = parse_series(wanted)
    listing = list_series(path)
    if not listing:
        raise InputError(f"{path}: no DICOM image there")
    chosen = match(listing, name, path)
    if not chosen.uid:
        raise UsageError(f"{path}: series {chosen.number} has no UID; put its files into a folder of their own")
    return chosen, volume


def match(listing: Sequence[ListedSeries], name: str | None, path: Path | str) -> ListedSeries:
    """The series that `name` (without `:N`) means, or the only one. Raises ChoiceError where none or several match."""
    if name is None:
        if len(listing) == 1:
            return listing[0]
        raise choice_error(f"{path}: holds {len(listing)} series; choose one with `series`", listing)
    matching = _matching(listing, name)
    if len(matching) == 1:
        return matching[0]
    parameter = f"`series={name}`" if is_uid(name) else "`series`"  # else it may be a name
    count = f"{len(matching)} series match in {path}; choose one of"
    raise choice_error(f"{parameter}: {count}", matching or listing, f"`series={name}`: {count}")


def choice_error(message: str, listing: Sequence[ListedSeries], headline: str = "") -> ChoiceError:
    """An error that lists the series: in its message without descriptions, for the terminal with them.

    `headline`: instead of `message`, on the terminal.
    """
    words = "; ".join(f"{series.number} ({series.words}, {shown_uid(series.uid)})" for series in listing)
    return ChoiceError(f"{message}: {words}", f"{headline or message}:", tuple(table(listing)))


def _take(facts: dict[str, SeriesFacts], header: Header) -> None:
    uid = str(header[2].get("SeriesInstanceUID") or "")
    series = facts.get(uid) or SeriesFacts(uid)
    series.add(*header)
    facts[uid] = series  # not where the header raised


def _numbered(facts: Iterable[SeriesFacts]) -> list[ListedSeries]:
    ordered = sorted(facts, key=lambda series: (series.number, series.uid))
    return [listed(number, series) for number, series in enumerate(ordered, 1)]


def _matching(listing: Sequence[ListedSeries], name: str) -> list[ListedSeries]:
    """By what is tried first: a whole UID, a number of the list, the end of a UID, a part of the description."""
    name = name.strip()
    if not name:
        return []
    ending = name.removeprefix("...")  # as the list shows it
    is_number = name.isascii() and name.isdecimal()
    tests: tuple[Callable[[ListedSeries], bool], ...] = (
        lambda series: series.uid == name,
        lambda series: is_number and series.number == int(name),
        lambda series: bool(re.fullmatch("[0-9.]+", ending)) and series.uid.endswith(ending),
        lambda series: comparable(name) in comparable(series.description),
    )
    return next(filter(None, ([series for series in listing if test(series)] for test in tests)), [])
