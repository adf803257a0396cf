"""HTTP to one archive: verified, tried again where that helps, answers no larger than they may be, no other host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_environ_proxies
from urllib3.util.retry import Retry

from medsr.core.errors import ArchiveError
from medsr.io.dicomweb.address import is_local, origin
from medsr.io.dicomweb.credentials import Credentials

RETRIES, BACKOFF = 3, 0.5
"""Tries after the first; seconds before the second of them, doubled each time."""
BUSY = (502, 503, 504)
"""Answers after which asking again helps; a token that is refused stays refused."""
TIMEOUT = (10.0, 120.0)
"""Seconds for a connection, and without a byte of an answer: old studies come from slow disks."""
LARGEST_LIST = 64_000_000
"""Bytes of an answer in JSON: about 60,000 images of a series."""
MOST_REDIRECTS = 5


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _NoSecret(AuthBase):
    """Nothing is sent, not even what a .netrc holds."""

    def __call__(self, request: Any) -> Any:
        return request


class _Adapter(HTTPAdapter):
    """Answers end where they grow too large, and come as they are: nothing unpacks here."""

    def build_response(self, request: Any, raw: Any) -> requests.Response:
        response = super().build_response(request, raw)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raw.close()
            raise ArchiveError("answers with packed data, which nobody asked for")
        most: int = getattr(request, "most_bytes", LARGEST_LIST)
        content = response.iter_content

        def limited(*arguments: Any, **options: Any) -> Iterator[bytes]:
            count = 0
            for block in content(*arguments, **options):
                count += len(block)
                if count > most:
                    raw.close()
                    raise ArchiveError(f"answers with more than {most / 1e6:.0f} MB, the most there is room for")
                yield block

        response.iter_content = limited  # type: ignore[method-assign]
        return response


class ArchiveSession(requests.Session):
    """A session for one archive. `most_bytes`: of the next answer that is streamed."""

    def __init__(self, address: str, credentials: Credentials) -> None:
        super().__init__()
        self._origin = origin(address)
        self.most_bytes = LARGEST_LIST
        self.trust_env = False  # else a .netrc would add a password, and a variable would replace `ca`
        self.proxies = {} if is_local(address) else get_environ_proxies(address)
        self.verify = True if credentials.ca is None else str(credentials.ca)
        if credentials.certificate is not None:
            self.cert = str(credentials.certificate), str(credentials.key or credentials.certificate)
        self.max_redirects = MOST_REDIRECTS
        self.headers["Accept-Encoding"] = "identity"
        self.auth: Any = _NoSecret()
        if credentials.token is not None:
            self.auth = _Bearer(credentials.token)
        elif credentials.user is not None and credentials.password is not None:
            self.auth = HTTPBasicAuth(credentials.user.encode("latin-1"), credentials.password.encode("latin-1"))
        retry = Retry(
            total=RETRIES,
            other=0,  # a certificate that is not trusted
            backoff_factor=BACKOFF,
            status_forcelist=BUSY,
            allowed_methods=None,  # sending too: the same images with the same UIDs
            raise_on_status=False,
            respect_retry_after_header=False,  # which may say an hour
        )
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(max_retries=retry))

    def send(self, request: Any, **options: Any) -> requests.Response:
        """As `requests.Session.send`; an answer that is not streamed is read here, up to `LARGEST_LIST`."""
        request.headers.pop("Host", None)  # the client's has no port, and some servers go by it
        streamed = bool(options.get("stream"))
        request.most_bytes = self.most_bytes if streamed else LARGEST_LIST
        options["stream"] = True
        for attempt in range(RETRIES + 1):
            response = super().send(request, **options)
            if streamed:
                break
            try:
                _ = response.content
                break
            except requests.exceptions.ChunkedEncodingError:  # it broke in the middle, where no adapter tries again
                if attempt == RETRIES:
                    raise
                time.sleep(BACKOFF * 2**attempt)
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer leads, on the same host alone: images and certificates go to nobody else.

        Raises ArchiveError for another host, and where images would be left behind.
        """
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        host = origin(urljoin(resp.url, target))
        if host != self._origin:
            raise ArchiveError(
                f"leads to {host[0]}://{host[1]}:{host[2]}, where nothing was sent; "
                "if you trust that host, give its address"
            )
        if resp.request.method == "POST" and resp.status_code not in (307, 308):
            raise ArchiveError("leads to another address that takes no images; give that address")
        return target
