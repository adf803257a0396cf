"""Connections end where too little passes: slow senders, slow readers and idle ones hold nothing for ever."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from medsr.commands.serve.settings import Connections

TICKS = 10
"""Looks at a connection within the shortest of its times."""


class Pace:
    """Whether bytes pass fast enough: `rate` a second, on average of every `window` seconds."""

    def __init__(self, window: float, rate: float) -> None:
        self.window, self.window_bytes = window, window * rate
        self._since: float | None = None
        self._size = 0

    def too_slow(self, expected: bool, size: int) -> bool:
        """`expected`: the other side is to send, or to take, just now; `size`: bytes that have passed in all."""
        now = time.monotonic()
        if not expected:
            self._since = None
        elif self._since is None or size - self._size >= self.window_bytes:
            self._since, self._size = now, size
        return self._since is not None and now - self._since > self.window


class _CountingTransport:
    """A transport that counts what is written to it."""

    def __init__(self, transport: Any) -> None:
        self._transport, self.written = transport, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)


def protocol(limits: Connections) -> type[H11Protocol]:
    """uvicorn's protocol, which knows a time for idle connections only, with these limits."""

    class Protocol(H11Protocol):
        """One connection, looked at several times within the shortest of its times."""

        _read = 0
        _idle_since = 0.0
        _look: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            counted: Any = _CountingTransport(transport)
            super().connection_made(counted)
            self._reading, self._writing = Pace(limits.window, limits.rate), Pace(limits.window, limits.rate)
            self._idle_since = time.monotonic()
            self._later()

        def data_received(self, data: bytes) -> None:
            self._read += len(data)
            super().data_received(data)

        def on_response_complete(self) -> None:
            self._idle_since = time.monotonic()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._look is not None:
                self._look.cancel()
            super().connection_lost(exc)

        def _later(self) -> None:
            self._look = self.loop.call_later(min(limits.headers, limits.window) / TICKS, self._check)

        def _check(self) -> None:
            if self._too_late():
                self.transport.abort()  # `close` would wait until everything is taken
            else:
                self._later()

        def _too_late(self) -> bool:
            answered = self.cycle is None or self.cycle.response_complete
            left = self.transport.get_write_buffer_size()
            # What follows an answered request, rest of its body or next headers, has one time for all of it.
            idle = answered and not left and time.monotonic() - self._idle_since > limits.headers
            body = not answered and self.cycle.more_body
            # The server may be the one that does not read, or that has not asked for the body yet.
            body = body and not self.flow.read_paused and not self.cycle.waiting_for_100_continue
            slow_sender = self._reading.too_slow(body, self._read)
            slow_reader = self._writing.too_slow(left > 0, self.transport.written - left)  # type: ignore[attr-defined]
            return idle or slow_sender or slow_reader

    return Protocol


class _CountedConnection(socket.socket):
    """A connection that is counted until it is closed, its TLS handshake included."""

    listening: CountingListener
    address = ""

    def close(self) -> None:
        if self.address:
            self.listening.count(self.address, -1)
            self.address = ""
        super().close()


class CountingListener(socket.socket):
    """A listening socket that takes so many connections in all, and of one address; the others are closed at once."""

    def limit(self, limits: Connections) -> None:
        """Begin to count."""
        self._limits, self._open, self._lock = limits, Counter[str](), threading.Lock()

    def count(self, address: str, change: int) -> None:
        """One connection more, or less."""
        with self._lock:
            self._open[address] += change
            if not self._open[address]:
                del self._open[address]

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection there is room for. Raises BlockingIOError where none waits."""
        while True:
            number, peer = self._accept()  # type: ignore[attr-defined]
            address = str(peer[0])
            accepted = _CountedConnection(self.family, self.type, self.proto, fileno=number)
            if self._open[address] < self._limits.address and sum(self._open.values()) < self._limits.all:
                accepted.listening, accepted.address = self, address
                self.count(address, 1)
                return accepted, peer
            accepted.close()
