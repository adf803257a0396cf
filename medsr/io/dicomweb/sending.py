"""Derived images into an archive: each is there in the end, once, or the error says how many are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import ArchiveError, InputError, UsageError
from medsr.io.dicom import files as dicom_files
from medsr.io.dicom.signature import begins_as_dicom
from medsr.io.dicomweb.client import asking
from medsr.io.dicomweb.listing import instances_of

if TYPE_CHECKING:
    from medsr.io.dicomweb.client import Client

LARGEST_REQUEST = 16_000_000
"""Bytes of the images that are sent at once; a larger one goes alone."""
STORED, FAILED = "00081199", "00081198"
INSTANCE, REASON, WARNING = "00081155", "00081197", "00081196"
REASONS = {
    0x0110: "the archive failed",
    0x0117: "an invalid UID",
    0x0122: "the archive does not take this kind of image",
    0x0124: "not allowed to this user",
    0xA700: "the archive has no room",
    0xA900: "the image does not fit its kind",
    0xC000: "the archive does not understand the image",
}
NOBODYS = "2.25.0"
"""A UID of no study: asked for, so that no patient's name is answered."""
TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


@dataclass(frozen=True)
class Sent:
    """How many images an archive holds now. `changed`: how many of them it says to have changed or doubted."""

    images: int
    series: tuple[str, ...]
    changed: int = 0


@dataclass(frozen=True)
class _Image:
    path: Path
    study: str
    series: str
    instance: str


def check_target(client: Client) -> None:
    """Raise ArchiveError where nothing can be sent, before hours of work: nobody answers there, or not to this token.

    An archive that takes images need not answer questions: that it refuses one alone says nothing.
    """
    try:
        with asking(client.address, "access"):
            client.search_for_studies(search_filters={"StudyInstanceUID": NOBODYS}, limit=1)
    except ArchiveError as error:
        answer = getattr(error.__cause__, "response", None)
        if answer is None or answer.status_code == 401:
            raise


def send_files(client: Client, paths: Sequence[Path], on_image: Callable[[int], None] = lambda _: None) -> Sent:
    """Send DICOM files, byte for byte, under the UIDs they have: sent again, they are the same images.

    `on_image` hears how many have arrived. Raises ArchiveError where not all are there in the end, with how many are;
    UsageError for a file that is not DICOM.
    """
    images = [_image(path) for path in paths]
    stored: set[str] = set()
    changed: set[str] = set()
    reasons: dict[str, None] = {}
    for batch in _batches(images):
        try:
            status, answer = _store(client, batch)
        except ArchiveError as error:
            raise ArchiveError(f"{error}; {_count(len(stored), len(images))}") from error
        taken = {uid: item for uid, item in _items(answer, STORED) if uid in {image.instance for image in batch}}
        refused = dict(_items(answer, FAILED))
        changed |= {uid for uid, item in taken.items() if _code(item, WARNING)}
        reasons |= dict.fromkeys(_reason(item) for item in refused.values())
        stored |= taken.keys() - refused.keys()
        if status in (200, 202) and not refused and len(taken) < len(batch):
            stored |= _confirmed(client, batch)  # it did not say what became of each
        on_image(len(stored))
    if len(stored) < len(images):
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise ArchiveError(f"{client.address}: {_count(len(stored), len(images))}{why}")
    return Sent(len(images), tuple(dict.fromkeys(image.series for image in images)), len(changed))


def _count(stored: int, total: int) -> str:
    return f"{stored} of {total} images arrived; send them again, which makes no copies"


def _image(path: Path) -> _Image:
    """What of a file says what it is."""
    for name, opener, head in dicom_files.sources(path):
        header = dicom_files.header(name, opener, head, TAGS)
        if header is not None and begins_as_dicom(head):
            study, series, instance = (str(header.get(tag) or "") for tag in TAGS)
            return _Image(path, study, series, instance)
    raise UsageError(f"{path}: is not DICOM; an archive takes DICOM only")


def _batches(images: Sequence[_Image]) -> Iterator[list[_Image]]:
    batch: list[_Image] = []
    size = 0
    for image in images:
        length = image.path.stat().st_size
        if batch and size + length > LARGEST_REQUEST:
            yield batch
            batch, size = [], 0
        batch.append(image)
        size += length
    if batch:
        yield batch


def _store(client: Client, batch: Sequence[_Image]) -> tuple[int, dict[str, Any]]:
    with asking(client.address, "the images to be stored"):
        return client.store([image.path.read_bytes() for image in batch])


def _confirmed(client: Client, batch: Sequence[_Image]) -> set[str]:
    """Those of a batch that the archive lists."""
    listed: set[str] = set()
    for study, series in dict.fromkeys((image.study, image.series) for image in batch):
        try:
            listed |= instances_of(client, study, series)
        except InputError as error:
            raise ArchiveError(f"{error}; whether the images have arrived is not known; send them again") from error
    return {image.instance for image in batch} & listed


def _items(answer: dict[str, Any], tag: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The UIDs in a sequence of the answer, with all that is said of each."""
    element = answer.get(tag)
    items = element.get("Value") if isinstance(element, dict) else None
    for item in items if isinstance(items, list) else []:
        uid = _value(item, INSTANCE)
        if isinstance(uid, str):
            yield uid, item


def _value(item: Any, tag: str) -> Any:
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _code(item: dict[str, Any], tag: str) -> int:
    value = _value(item, tag)
    return value if isinstance(value, int) else 0


def _reason(item: dict[str, Any]) -> str:
    code = _code(item, REASON)
    kind = code if code in REASONS else code & 0xF000 if code & 0xF000 == 0xC000 else code & 0xFF00
    return REASONS.get(kind, f"failure {code:04X}")
