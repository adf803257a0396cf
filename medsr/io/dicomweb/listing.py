"""What a study in an archive holds: its series as one numbered list, and the images of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medsr.core.errors import ArchiveError, UsageError
from medsr.io.dicomweb.address import is_valid_uid
from medsr.io.dicomweb.client import asking
from medsr.io.volumes.dicom.grids import parse_series
from medsr.io.volumes.dicom.series_list import choice_error, match
from medsr.io.volumes.dicom.series_words import ListedSeries

if TYPE_CHECKING:
    from medsr.io.dicomweb.client import Client

MOST_ENTRIES = 100_000
SERIES_UID, SERIES_NUMBER, DESCRIPTION, MODALITY, IMAGES = "0020000E", "00200011", "0008103E", "00080060", "00201209"
INSTANCE_UID = "00080018"
WITHOUT_IMAGES = frozenset(("SR", "PR", "KO", "AU", "DOC", "REG", "FID", "PLAN", "RTPLAN", "RTSTRUCT", "RTRECORD"))
"""Modalities of series that hold no picture."""


@dataclass(frozen=True)
class ArchivedSeries:
    """A series of the list. `volume`: from 1, where the user names one of its volumes."""

    listed: ListedSeries
    volume: int | None = None

    @property
    def uid(self) -> str:
        return self.listed.uid


def series_of(client: Client, study: str) -> list[ListedSeries]:
    """The series of a study that hold images, by SeriesNumber, then UID. Raises ArchiveError where there is none."""
    entries = _pages(client, SERIES_UID, lambda offset: client.search_for_series(study, offset=offset))
    rows = [
        (_number(_first(entry, SERIES_NUMBER)), uid, entry)
        for uid, entry in entries.items()
        if _term(_first(entry, MODALITY)) not in WITHOUT_IMAGES
    ]
    if not rows:
        raise ArchiveError(
            f"{client.address}: holds no images of study {study}, or does not show them to this user; "
            "`study` takes the StudyInstanceUID"
        )
    return [_listed(number, row[2], row[1]) for number, row in enumerate(sorted(rows, key=lambda row: row[:2]), 1)]


def choose(client: Client, study: str, names: list[str]) -> list[ArchivedSeries]:
    """The series that the user names, as `io.volumes.dicom.series_list` takes names; the only one without a name.

    Raises ChoiceError, with the list, where a name means none or several, or there are several and no name.
    """
    listing = series_of(client, study)
    where = f"{client.address}: study {study}"
    if not names:
        if len(listing) > 1:
            raise choice_error(f"{where}: holds {len(listing)} series; choose with `series`", listing)
        return [ArchivedSeries(listing[0])]
    chosen: dict[tuple[str, int | None], ArchivedSeries] = {}
    for wanted in names:
        if not wanted.strip():
            raise UsageError("`series`: expected a number of the list, part of a description or a UID, got nothing")
        name, volume = parse_series(wanted)
        series = ArchivedSeries(match(listing, name, where), volume)
        chosen.setdefault((series.uid, volume), series)
    return list(chosen.values())


def instances_of(client: Client, study: str, series: str) -> set[str]:
    """The SOP instance UIDs that the archive holds of a series."""
    search = client.search_for_instances
    return set(_pages(client, INSTANCE_UID, lambda offset: search(study, series, offset=offset)))


def _pages(client: Client, key: str, ask: Callable[[int], Any]) -> dict[str, dict[str, Any]]:
    """All entries, by the UID in `key`: archives answer with as many at once as they like.

    Raises ArchiveError for what is not a list of DICOM in JSON, and for a UID that is none: it becomes part of an
    address.
    """
    entries: dict[str, dict[str, Any]] = {}
    with asking(client.address, "the list of the study"):
        while True:
            page = ask(len(entries))
            before = len(entries)
            for entry in page:
                uid = _first(entry, key)
                if not is_valid_uid(uid):
                    raise ArchiveError("lists an invalid UID")
                entries.setdefault(uid, entry)
            if len(entries) > MOST_ENTRIES:
                raise ArchiveError(f"lists more than {MOST_ENTRIES} entries of one study")
            if len(entries) == before:  # nothing, or what was there already where `offset` means nothing
                return entries


def _first(entry: dict[str, Any], tag: str) -> str:
    values = entry.get(tag, {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def _term(text: str) -> str:
    """A modality; nothing where it is not a term of DICOM's, but any text."""
    return text if re.fullmatch(r"[A-Z0-9]{1,16}", text) else ""


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"-?[0-9]{1,12}(\.0)?", text) else float("inf")


def _listed(number: int, entry: dict[str, Any], uid: str) -> ListedSeries:
    count, series_number = _number(_first(entry, IMAGES)), _number(_first(entry, SERIES_NUMBER))
    size = f"{count:.0f} image{'s' * (count != 1)}" if 0 <= count < float("inf") else ""
    named = f"series number {series_number:.0f}" if series_number < float("inf") else ""
    description = " ".join(_first(entry, DESCRIPTION).split())
    return ListedSeries(number, uid, description, _term(_first(entry, MODALITY)), named, "", size, "")
