"""A series out of an archive into a folder: whole, of the study that was asked for, file by file as it was stored."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medsr.core.errors import ArchiveError, InputError, MedsrError
from medsr.core.text import reason
from medsr.io.dicom import files as dicom_files
from medsr.io.dicom.signature import HEAD
from medsr.io.dicom.values import number_of
from medsr.io.dicomweb.client import BrokenConnectionError, asking
from medsr.io.dicomweb.listing import instances_of
from medsr.io.dicomweb.session import BACKOFF, RETRIES

if TYPE_CHECKING:
    from medsr.io.dicomweb.client import Client

KEPT_FREE = 1_000_000_000
"""Bytes of the disk that stay free; of a small one a tenth."""
MOST_BYTES = 32_000_000_000
"""Of one series."""
TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "InstanceNumber"]
_PREAMBLE = 128


@dataclass(frozen=True)
class _Received:
    path: Path
    number: float


@dataclass(frozen=True)
class SeriesContent:
    """A series as an archive lists it: `instances` are the SOP instance UIDs of its images."""

    study: str
    series: str
    instances: frozenset[str]


def content_of(client: Client, study: str, series: str) -> SeriesContent:
    """What the archive lists of a series. Raises ArchiveError where that is nothing."""
    instances = frozenset(instances_of(client, study, series))
    if not instances:
        raise ArchiveError(f"{client.address}: lists no images of series {series}")
    return SeriesContent(study, series, instances)


def fetch_series(
    client: Client, content: SeriesContent, folder: Path, on_image: Callable[[int], None] = lambda _: None
) -> None:
    """Write the files of a series into the new folder `folder`, as 0001.dcm and so on.

    Files are written byte for byte, in the order of their InstanceNumber; `on_image` hears how many have arrived. A
    connection that breaks is tried again from the beginning. Raises ArchiveError where not exactly the images arrive
    that the archive lists, before and after: half a series is not refined; where one is of another study or series;
    where there are more bytes than the disk holds.
    """
    for attempt in range(RETRIES + 1):
        folder.mkdir(mode=0o700)
        try:
            received = _receive(client, content, folder, on_image)
            break
        except BrokenConnectionError:
            shutil.rmtree(folder)
            if attempt == RETRIES:
                raise
            time.sleep(BACKOFF * 2**attempt)
    where = f"{client.address}: series {content.series}"
    if len(received) < len(content.instances):
        count = f"{len(received)} of {len(content.instances)}"
        raise ArchiveError(f"{where}: only {count} images arrived; half a series is not refined")
    if instances_of(client, content.study, content.series) != content.instances:
        raise ArchiveError(f"{where}: images are still arriving in the archive; run again when the series is whole")
    ordered = sorted(received.items(), key=lambda item: (item[1].number, item[0]))
    for number, (_, file) in enumerate(ordered, 1):
        file.path.rename(folder / f"{number:04d}.dcm")


def _receive(
    client: Client, content: SeriesContent, folder: Path, on_image: Callable[[int], None]
) -> dict[str, _Received]:
    """The files of one answer, by their SOP instance UIDs."""
    received: dict[str, _Received] = {}
    series = content.series
    disk = shutil.disk_usage(folder)
    room = min(MOST_BYTES, disk.free - min(KEPT_FREE, disk.total // 10))
    if room <= 0:
        raise ArchiveError(f"{client.address}: the disk has no room for series {series}; free some or set TMPDIR")
    with asking(client.address, f"series {series}"):
        for file in client.series_files(content.study, series, room):
            study, of_series, instance, number = _identity(file, len(received) + 1)
            if (study, of_series) != (content.study, series):
                raise ArchiveError(f"sent an image of another study or series than {series}")
            if instance not in content.instances or instance in received:
                raise ArchiveError(f"sent an image of series {series} that it does not list, or one twice")
            path = folder / f"part_{len(received)}"
            _keep(path, file)
            received[instance] = _Received(path, number_of(number))
            on_image(len(received))
    return received


def _keep(path: Path, content: bytes) -> None:
    """Raise MedsrError where the disk is full, or the folder cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise MedsrError(
            f"the folder for what archives give cannot be written ({error.strerror or error}); "
            "free some room, or set TMPDIR to another disk"
        ) from error


def _identity(content: bytes, number: int) -> list[str]:
    """What says where a file belongs, read as every file is. Raises ArchiveError for what is not a file of DICOM."""
    if content[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise ArchiveError(f"image {number} is not a DICOM file")
    try:
        header = dicom_files.header(f"image {number}", lambda: io.BytesIO(content), content[:HEAD], TAGS)
        if header is None:
            raise ArchiveError(f"image {number} is not a DICOM file")
        return [str(header.get(tag) or "") for tag in TAGS]
    except ArchiveError:
        raise
    except InputError as error:
        raise ArchiveError(f"sent a damaged file: {error}") from error
    except Exception as error:  # pydicom raises whatever it likes on damaged values
        raise ArchiveError(f"sent a damaged file: image {number} ({reason(error)})") from error
