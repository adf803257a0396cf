"""What opens an archive: from the environment or the system's keyring, never from a command line or a file of ours."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from medsr.core.errors import UsageError
from medsr.core.resources import expanded
from medsr.core.text import reason

PREFIX = "MEDSR_DICOMWEB_"
SECOND_PREFIX = "MEDSR_DICOMWEB_TO_"
"""Of the archive that results go to, where the scans come from another: nobody gets the other's secrets."""
TOKEN_ENTRY = "token"
"""The user's name under which a keyring holds a token."""


@dataclass(frozen=True)
class Credentials:
    """`token`: a bearer token, else `user` and `password`. `certificate`, `key`: the client's own, PEM files.

    `ca`: certificates of the authorities that are trusted; None: those that come with Python's `requests`.
    """

    token: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


def credentials_for(address: str, prefix: str = PREFIX, ca: str | Path | None = None) -> Credentials:
    """What the environment holds under `prefix`, or a keyring for `address`.

    `ca`: a PEM file, in the place of the one that the environment names. Raises UsageError for half a pair, for a file
    that is not there or not what it should be, and for a secret that no header can carry.
    """
    values = {name: os.environ.get(prefix + name) or None for name in ("TOKEN", "USER", "PASSWORD")}
    for name, value in values.items():
        if value is not None and not (value.isprintable() and value.isascii() if name == "TOKEN" else _fits(value)):
            raise UsageError(f"{prefix}{name}: holds characters that cannot be sent, such as a line end")
    if values["TOKEN"] is None and (values["PASSWORD"] is None or values["USER"] is None):
        _complete_from_keyring(values, address)
    if values["TOKEN"] is None and (values["USER"] is None) != (values["PASSWORD"] is None):
        lacking = "USER" if values["USER"] is None else "PASSWORD"
        raise UsageError(f"{prefix}{lacking}: is not set; a user and a password go together")
    authority = _file(f"{prefix}CA", None) if ca is None else _existing(expanded(ca), "`ca`")
    certificate, key = _file(f"{prefix}CERTIFICATE", None), _file(f"{prefix}KEY", None)
    _check_authority(authority, f"{prefix}CA" if ca is None else "`ca`")
    _check_certificate(certificate, key, prefix)
    return Credentials(values["TOKEN"], values["USER"], values["PASSWORD"], certificate, key, authority)


def _fits(value: str) -> bool:
    return value.isprintable() and all(ord(letter) < 256 for letter in value)


def _complete_from_keyring(values: dict[str, str | None], address: str) -> None:
    """Fill in the token, or the password of the named user, where a keyring is installed and holds it."""
    try:
        import keyring
    except ImportError:
        return
    try:
        if values["USER"] is not None:
            values["PASSWORD"] = values["PASSWORD"] or keyring.get_password(address, values["USER"])
        elif values["PASSWORD"] is None:
            values["TOKEN"] = keyring.get_password(address, TOKEN_ENTRY)
    except Exception:  # no keyring runs here, or it stays locked: the archive then says what it lacks
        return


def _file(name: str, default: Path | None) -> Path | None:
    value = os.environ.get(name)
    return _existing(expanded(value), name) if value else default


def _existing(path: Path, name: str) -> Path:
    if not path.is_file():
        raise UsageError(f"{name}: {path} is not a file; give a PEM file")
    return path


def _check_authority(path: Path | None, name: str) -> None:
    if path is None:
        return
    try:
        ssl.create_default_context(cafile=str(path))
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(f"{name}: {path} holds no certificate that can be used ({reason(error)})") from error


def _check_certificate(certificate: Path | None, key: Path | None, prefix: str) -> None:
    """Nobody is asked for the pass phrase of a key: OpenSSL would wait for it at the terminal."""
    if certificate is None:
        if key is not None:
            raise UsageError(f"{prefix}CERTIFICATE: is not set; a key goes with its certificate")
        return
    try:
        ssl.create_default_context().load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        files = f"{certificate}{f' and {key}' if key else ''}"
        raise UsageError(
            f"{prefix}CERTIFICATE: {files} are not a certificate with its unencrypted key ({reason(error)})"
        ) from error
