"""The address of an archive: https, or this machine itself; never with a secret in it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from medsr.core.errors import UsageError

LOCAL = ("127.0.0.1", "::1", "localhost")
LONGEST = 500
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def is_valid_uid(text: str) -> bool:
    """Whether it is a UID as DICOM has it, which is fit for an address and for the name of a file."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def check_address(text: str, parameter: str) -> str:
    """The address without a slash at its end. Raises UsageError, naming `parameter` and never a password in `text`."""
    expected = f"`{parameter}`: expected an address such as https://pacs.example/dicom-web"
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > LONGEST:
        raise UsageError(f"{expected}, without spaces and control characters")
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise UsageError(expected) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"`{parameter}`: leave the user and the password out of the address, "
            "because others can read a command line; see MEDSR_DICOMWEB_USER and MEDSR_DICOMWEB_PASSWORD"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(expected)
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise UsageError(f"{expected}, without ? and #")
    if parts.scheme == "http" and not is_local(text):
        raise UsageError(
            f"`{parameter}`: {parts.hostname} is asked by http, which everybody on the way can read; use https"
        )
    return text.rstrip("/")


def is_local(address: str) -> bool:
    """Whether it is this machine itself."""
    return urlsplit(address).hostname in LOCAL


def origin(address: str) -> tuple[str, str, int]:
    """Scheme, host and port: secrets are of these three together."""
    parts: SplitResult = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port
