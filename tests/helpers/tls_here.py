"""TLS before a server that speaks none, as many hospitals have it: a proxy on a free port of this machine."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def tls_before(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Pass on what comes by TLS to `port` of this machine; gives the port of the proxy."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(client, server_side=True) as outside:
            outside.do_handshake()
            with socket.create_connection(("127.0.0.1", port)) as inside:
                answers = threading.Thread(target=copy, args=(inside, outside), daemon=True)
                answers.start()
                copy(outside, inside)
                answers.join()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                target.sendall(block)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
