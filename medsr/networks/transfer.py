"""One file over https into the cache: again where the connection breaks, never more of it than it can be."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin, urlparse

from medsr.core.errors import WeightsError

ATTEMPTS, WAIT, TIMEOUT = 3, 1.0, 60.0
"""Of a download: how often it is tried, and seconds before the second try and without any answer."""
LARGEST = 4_000_000_000
"""Bytes of a weight file whose size nobody has stated."""


def refuse_plain(url: str, name: str) -> None:
    """Raise WeightsError for an address anybody on the way could answer for; this machine itself may be plain."""
    parts = urlparse(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not local:
        raise WeightsError(
            f"{name}: {url} is not https; give an https address, or bring the file: medsr weights import"
        )


class _Limit:
    """What the downloader tells its progress to: passed on to a bar, and an end to what is longer than it can be."""

    def __init__(self, most: int, show: bool) -> None:
        from tqdm import tqdm

        self.most, self.read = most, 0
        self.bar = tqdm(unit="B", unit_scale=True, disable=not show, leave=True)

    @property
    def total(self) -> int:
        return int(self.bar.total or 0)

    @total.setter
    def total(self, size: int) -> None:
        self._check(size)
        self.bar.total = size

    def update(self, count: int) -> None:
        self.read += count
        self._check(self.read - count)  # the downloader counts whole chunks, also for the last one
        self.bar.update(count)

    def reset(self) -> None:
        self.read = 0
        self.bar.reset()

    def close(self) -> None:
        self.bar.close()

    def _check(self, size: int) -> None:
        if size > self.most:
            raise WeightsError(f"it is longer than the {self.most} bytes that it should have")


def download(url: str, path: Path, size: int | None, show_progress: bool) -> None:
    """Fetch into `path`; redirects must be https too. `size`: bytes, None where nobody has stated it.

    Raises requests' errors, and WeightsError for a file that is too long, as soon as that is known.
    """
    import pooch
    import requests

    def check(response: requests.Response, **_: object) -> None:
        if response.is_redirect:
            refuse_plain(urljoin(response.url, response.headers["location"]), "redirected")

    for attempt in range(ATTEMPTS):
        limit = _Limit(size or LARGEST, show_progress)
        fetch = pooch.HTTPDownloader(progressbar=limit, hooks={"response": check}, timeout=TIMEOUT)
        try:
            fetch(url, str(path), None)
            return
        except requests.HTTPError:
            raise  # the server answered: asking again changes nothing
        except requests.RequestException:
            if attempt + 1 == ATTEMPTS:
                raise
            time.sleep(WAIT * 2**attempt)
        finally:
            limit.close()


def remove_parts(path: Path) -> None:
    """Remove what a download of `path` that was killed has left beside it. Only where no other is at it."""
    part = re.compile(rf"\.{re.escape(path.stem)}-[a-z0-9_]{{8}}{re.escape(path.suffix)}")
    if path.parent.is_dir():
        for beside in path.parent.iterdir():
            if part.fullmatch(beside.name):
                with suppress(OSError):
                    beside.unlink()
