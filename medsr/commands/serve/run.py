"""`medsr serve`: start the server and keep it until it is told to end."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from medsr.commands.serve.settings import MB, Connections, Limits, Settings, is_loopback, new_token
from medsr.core import platform
from medsr.core.errors import DependencyError, UsageError
from medsr.core.types import Notify
from medsr.engines.base import Compute

Bound = TypeVar("Bound", bound=socket.socket)


def serve(
    host: str = "127.0.0.1",
    port: int = 8737,
    *,
    models: str | Sequence[str] = (),
    token: str | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    max_upload: float = 512,
    max_megapixels: float = 64,
    max_megavoxels: float = 256,
    max_minutes: float = 30,
    keep: float = 60,
    max_stored: float = 8000,
    max_connections: int = 100,
    folder: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    max_gpu_memory: float | None = None,
    connections: Connections | None = None,
    notify: Notify = print,
) -> None:
    """Serve the page and its API until interrupted. Blocks.

    Args:
        host: Address to listen on. Anything but this machine's own loopback needs `token`.
        port: 1 to 65535.
        models: Names or weight files. Empty: all that are installed.
        token: At least 16 characters. None where one is needed: one is made, and printed.
        certificate: PEM file, for HTTPS.
        key: PEM file of the certificate's key.
        max_upload: MB of a file.
        max_megapixels: Of a result.
        max_megavoxels: Of a result.
        max_minutes: Of a job.
        keep: Minutes until files and results are removed.
        max_stored: MB of one user's files.
        max_connections: Of one address at once.
        folder: Where files lie meanwhile. None: a private temporary folder.
        device: As in `medsr.upscale`.
        engine: As in `medsr.upscale`.
        precision: As in `medsr.upscale`.
        max_gpu_memory: As in `medsr.upscale`.
        connections: All limits of a connection, instead of `max_connections`.
        notify: Called with each line that a user should read.

    Raises:
        UsageError: An argument is wrong, before anything is served.
        WeightsError: A model cannot be opened, before anything is served.
        DependencyError: The packages of `medsr[serve]` are missing.

    Examples:
        .. code-block:: python

            medsr.serve(port=8737, models=["medsr-mri"])
    """
    if token is None and not is_loopback(host):
        token = new_token()
    settings = Settings(
        host,
        port,
        token,
        (models,) if isinstance(models, str) else tuple(models),
        Compute(device, engine, precision, max_gpu_memory),
        Limits(
            int(max_upload * MB),
            max_megapixels * 1e6,
            max_megavoxels * 1e6,
            minutes=max_minutes,
            keep=keep * 60,
            stored=int(max_stored * MB),
        ),
        connections or Connections(address=max_connections),
        None if folder is None else Path(folder),
        None if certificate is None else Path(certificate),
        None if key is None else Path(key),
    )
    try:
        import uvicorn

        from medsr.commands.serve import log
        from medsr.commands.serve.application import make_app
        from medsr.commands.serve.connections import CountingListener, protocol
        from medsr.commands.serve.service import Service
    except ImportError as error:
        raise DependencyError(
            f"medsr serve needs what is not installed ({error.name}): pip install medsr[serve]"
        ) from error
    listening = _listen(settings, CountingListener)
    listening.limit(settings.connections)
    settings = replace(settings, port=listening.getsockname()[1])
    try:
        service = Service(settings)
    except BaseException:
        listening.close()
        raise
    for line in _startup_lines(settings, list(service.models)):
        notify(line)
    # Addresses hold nothing of a file, but who looked at what and when is nobody's business either: no access log.
    log.set_up()
    config = uvicorn.Config(
        make_app(service),
        http=protocol(settings.connections),
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_graceful_shutdown=2,
        ws="none",
        timeout_keep_alive=settings.connections.idle,  # type: ignore[arg-type]
    )
    server = uvicorn.Server(config)
    # The terminal was closed: nothing of a patient may stay behind.
    platform.on_hangup(lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[listening])


def _listen(settings: Settings, kind: type[Bound]) -> Bound:
    """A bound socket. Raises UsageError where the port is taken or the host is not this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = kind(family, socket.SOCK_STREAM)
    try:
        platform.listen_alone(bound)
        bound.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"`host={settings.host}` `port={settings.port}`: cannot listen there: {reason}") from error
    return bound


def _startup_lines(settings: Settings, models: list[str]) -> list[str]:
    """What the person who starts it wants to know."""
    host = settings.host if settings.host not in ("0.0.0.0", "::") else socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    address = f"{'https' if settings.encrypted else 'http'}://{host}:{settings.port}/"
    if settings.token is None:
        lines = [f"Open {address}  (this machine only)"]
    else:
        lines = [
            f"Open {address}#token={quote(settings.token, safe='')}",
            "  whoever has this address may use the server",
        ]
    if not settings.is_local and not settings.encrypted:
        lines.append(
            "  images and token travel unencrypted: give `certificate` and `key` on a network you do not trust"
        )
    return [*lines, f"Models: {', '.join(models)}", "Research use only; not a medical device. Ctrl-C ends it."]
