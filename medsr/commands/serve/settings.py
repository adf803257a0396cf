"""What a server is told when it is started."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from medsr.core.errors import UsageError
from medsr.engines.base import Compute

MIN_TOKEN_LENGTH = 16
MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What one server takes on. `upload`: bytes of one file; `pixels`, `voxels`: of one result.

    `per_user`: jobs one user may have waiting or running; `waiting`: of all users. `uploads`: one user may have on
    their way; `files`: kept for one user; `stored`: bytes of one user's uploads and results. `minutes`: of one job;
    `inspection`: seconds an upload is read for; `keep`: seconds a file or a result is kept.
    """

    upload: int = 512 * MB
    pixels: float = 64e6
    voxels: float = 256e6
    per_user: int = 4
    waiting: int = 100
    uploads: int = 8
    files: int = 20
    stored: int = 8000 * MB
    inspection: float = 60.0
    minutes: float = 30.0
    keep: float = 3600.0

    def __post_init__(self) -> None:
        for parameter, value in (
            ("max_upload", self.upload),
            ("max_megapixels", self.pixels),
            ("max_megavoxels", self.voxels),
            ("max_stored", self.stored),
            ("max_minutes", self.minutes),
            ("keep", self.keep),
        ):
            if not 0 < value < float("inf"):
                raise UsageError(f"`{parameter}`: expected a number above 0")


@dataclass(frozen=True)
class Connections:
    """How long a connection may last in which nothing happens, and how many there may be.

    `headers`: seconds for a request's headers; `idle`: seconds between two requests; `window`: seconds within which a
    body or an answer must pass at `rate` bytes a second. `all`, `address`: connections at once, and of one address.
    """

    headers: float = 20.0
    idle: float = 10.0
    window: float = 30.0
    rate: float = 4000.0
    all: int = 500
    address: int = 100

    def __post_init__(self) -> None:
        if self.address < 1:
            raise UsageError("`max_connections`: expected a number above 0")


@dataclass(frozen=True)
class Settings:
    """Where a server listens, who may use it, what it offers. `token` None: anybody who reaches it.

    `models`: names or weight files; empty: everything installed. `folder`: where uploads and results are kept, in a
    private folder that is removed at the end; None: the system's. `certificate` and `key`: for HTTPS.
    Raises UsageError for what would be unsafe.
    """

    host: str = "127.0.0.1"
    port: int = 8737
    token: str | None = None
    models: tuple[str, ...] = ()
    compute: Compute = field(default_factory=Compute)
    limits: Limits = field(default_factory=Limits)
    connections: Connections = field(default_factory=Connections)
    folder: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise UsageError(f"`port={self.port}`: expected a number from 0 to 65535")
        if self.token is not None and len(self.token) < MIN_TOKEN_LENGTH:
            raise UsageError(f"`token`: expected at least {MIN_TOKEN_LENGTH} characters; leave it out to have one made")
        if not self.is_local and self.token is None:
            raise UsageError(f"`host={self.host}`: others can reach this server; it needs a token")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("`certificate` and `key`: give both, or neither")
        for parameter, path in (("certificate", self.certificate), ("key", self.key)):
            if path is not None and not path.is_file():
                raise UsageError(f"`{parameter}={path}`: no such file")
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"`folder={self.folder}`: no such folder")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether the server speaks HTTPS."""
        return self.certificate is not None


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)
