"""The client of one archive: `dicomweb-client`, with files instead of data sets and our words for its errors."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from dicomweb_client.api import DICOMwebClient

from medsr.core import memory
from medsr.core.errors import ArchiveError, MedsrError
from medsr.core.text import shown
from medsr.io.dicomweb.credentials import Credentials
from medsr.io.dicomweb.session import TIMEOUT, ArchiveSession

logging.getLogger("dicomweb_client").addHandler(logging.NullHandler())  # else it prints what archives say, as it comes
CHUNK = 1 << 20
LARGEST_FILE = 4_000_000_000
"""Bytes of one image, which may have thousands of frames; less where there is little memory."""
ACCEPTED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Files as they were stored, whatever their compression."""
REFUSALS = {
    401: "does not accept the token or password (MEDSR_DICOMWEB_TOKEN, or MEDSR_DICOMWEB_USER and _PASSWORD)",
    403: "does not allow this to the user of the token or password",
    404: "does not have it",
}
MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
"""What comes of answers that are not what DICOMweb says."""


class BrokenConnectionError(ArchiveError):
    """The connection broke in the middle of an answer: asking again may help."""


class Client(DICOMwebClient):
    """Speaks to one archive. Every method is called within `asking`."""

    def __init__(self, address: str, credentials: Credentials) -> None:
        self.session = ArchiveSession(address, credentials)
        super().__init__(address, self.session, chunk_size=CHUNK, timeout=TIMEOUT)
        self.set_http_retry_params(False)  # the session does, and knows more
        self.address = address

    def series_files(self, study: str, series: str, most_bytes: int) -> Iterator[bytes]:
        """The files of a series, byte for byte. Raises BrokenConnectionError where the answer has no end."""
        self.session.most_bytes = most_bytes
        url = f"{self.address}/studies/{study}/series/{series}"
        response = self.session.get(url, headers={"Accept": ACCEPTED}, stream=True, timeout=TIMEOUT)
        with response:
            response.raise_for_status()
            kind = response.headers["Content-Type"]
            if kind.lower().startswith("application/dicom") and "json" not in kind and "xml" not in kind:
                yield response.content  # a single file, as some archives answer
                return
            if 'boundary=""' in kind or "boundary" not in kind.lower():
                raise ValueError("no boundary")
            watched = _Watched(response)
            for part in self._decode_multipart_message(response, stream=True):
                watched.pending = 0
                yield bytes(part)
            if not bytes(watched.tail).rstrip().endswith(b"--"):
                raise BrokenConnectionError(f"{self.address}: the answer ends in the middle")

    def store(self, files: list[bytes]) -> tuple[int, dict[str, Any]]:
        """Send files; the status and what the archive says of each, nothing where it does not say so in JSON."""
        kind = f'multipart/related; type="application/dicom"; boundary="{uuid.uuid4().hex}"'
        content = self._encode_multipart_message(files, kind)
        response = self.session.post(
            f"{self.address}/studies",
            data=content,
            headers={"Content-Type": kind, "Accept": "application/dicom+json"},
            timeout=TIMEOUT,
        )
        if response.status_code != 409:  # 409: none was taken, and the answer says why
            response.raise_for_status()
        answer: Any = {}
        with suppress(ValueError, RecursionError):
            answer = json.loads(response.content)
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        return response.status_code, answer if isinstance(answer, dict) else {}


@contextmanager
def asking(address: str, what: str) -> Iterator[None]:
    """Turn all that may go wrong into an ArchiveError that names the archive; `what`: was asked for, in words."""
    try:
        yield
    except BrokenConnectionError:
        raise
    except ArchiveError as error:
        raise ArchiveError(f"{address}: {error}") from error
    except MedsrError:
        raise
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        words = REFUSALS.get(status, f"answered with HTTP status {status}")
        raise ArchiveError(f"{address}: {what}: the archive {words}") from error
    except requests.exceptions.SSLError as error:
        raise ArchiveError(
            f"{address}: its certificate cannot be trusted ({_why(error)}); "
            "give the certificate of your hospital's authority with `ca`"
        ) from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise BrokenConnectionError(f"{address}: {what}: the connection broke") from error
    except requests.Timeout as error:
        raise BrokenConnectionError(f"{address}: {what}: the archive does not answer") from error
    except requests.ConnectionError as error:
        raise BrokenConnectionError(f"{address}: {what}: the archive cannot be reached ({_why(error)})") from error
    except (requests.RequestException, *MALFORMED) as error:
        raise ArchiveError(f"{address}: {what}: the answer is not DICOMweb; is the address right?") from error


class _Watched:
    """What of a streamed answer was read: its last bytes, and how much since the last file, which memory must hold."""

    def __init__(self, response: requests.Response) -> None:
        self.tail = bytearray()
        self.pending = 0
        self._content = response.iter_content
        self._most = min(LARGEST_FILE, memory.free() // 4)
        response.iter_content = self._blocks  # type: ignore[method-assign]

    def _blocks(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        for block in self._content(*arguments, **options):
            self.pending += len(block)
            if self.pending > self._most:
                raise ArchiveError(f"sends a file of more than {self._most / 1e6:.0f} MB, the most there is memory for")
            self.tail.extend(block[-64:])
            del self.tail[:-64]
            yield block


def _why(error: BaseException) -> str:
    """The system's own word for it, of whatever lies deepest."""
    words, seen = "", set()
    pending: list[Any] = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen or not isinstance(current, BaseException):
            continue
        seen.add(id(current))
        if verify := getattr(current, "verify_message", None):
            return shown(verify)[:120]
        words = getattr(current, "strerror", None) or words
        pending += [*current.args, current.__cause__, current.__context__, getattr(current, "reason", None)]
    return shown(words)[:120] or "no connection"
