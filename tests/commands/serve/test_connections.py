"""Slow, idle and too many connections, over raw sockets to a real server with short times."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.helpers.images import write_png
from tests.helpers.server import User

LIMITS = "headers=2, idle=1, window=2, rate=2000, all=40, address=30"
START = """
if __name__ == "__main__":
    from medsr.commands.serve.run import serve
    from medsr.commands.serve.settings import Connections
    serve(port=0, models=("bicubic",), folder={folder!r}, connections=Connections({limits}))
"""


@dataclass
class Short:
    """A server whose connections have little time. `log`: what it printed."""

    port: int
    log: Path
    host: str = "127.0.0.1"

    def connect(self, *parts: bytes) -> socket.socket:
        line = socket.create_connection((self.host, self.port), timeout=15)
        for part in parts:
            line.sendall(part)
        return line


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    place = tmp_path_factory.mktemp("short")
    (place / "start.py").write_text(START.format(folder=str(place), limits=LIMITS))
    with (place / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-u", place / "start.py"], stdout=log, stderr=subprocess.STDOUT)
        try:
            latest = time.monotonic() + 90
            while not (found := re.search(r"127\.0\.0\.1:(\d+)", (place / "log").read_text())):
                assert time.monotonic() < latest, (place / "log").read_text()
                time.sleep(0.1)
            while time.monotonic() < latest:
                with contextlib.suppress(httpx.TransportError):
                    httpx.get(f"http://127.0.0.1:{found[1]}/api/about")
                    break
                time.sleep(0.1)
            yield Short(int(found[1]), place / "log")
        finally:
            process.kill()
            process.wait()


HEAD = b"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1\r\nX-File-Name: a.png\r\n"


def seconds_to_close(line: socket.socket, trickle: bytes = b"", every: float = 0.2) -> float:
    """How long the other side keeps the connection while this one sends a byte now and then, and reads."""
    began = time.monotonic()
    line.settimeout(every)
    while time.monotonic() - began < 20:
        try:
            if trickle:
                line.sendall(trickle)
            if not line.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


ABOUT = b"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SLOW = {
    "silent": (b"", b""),
    "headers": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"a"),
    "body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
    "silent body": (HEAD + b"Content-Length: 100000\r\n\r\n", b""),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "idle": (ABOUT + b"\r\n", b""),
    "idle lines": (ABOUT + b"\r\n", b"\r\n"),
    "after the answer": (ABOUT + b"Content-Length: 90000\r\n\r\n", b"a"),
    "login": (b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{", b" "),
}


@pytest.mark.slow
def test_slow_and_silent_connections_are_closed(short: Short) -> None:
    """All at once: each waits for its own time."""

    def seconds(begin: bytes, trickle: bytes) -> float:
        with short.connect(begin) as line:
            return seconds_to_close(line, trickle)

    with ThreadPoolExecutor(len(SLOW)) as crowd:
        taken = dict(zip(SLOW, crowd.map(seconds, *zip(*SLOW.values(), strict=True)), strict=True))
    assert {kind: time for kind, time in taken.items() if time >= 10} == {}


@pytest.mark.slow
def test_who_never_reads_an_answer_is_cut_off(short: Short) -> None:
    """Requests without end, not a byte of an answer taken."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((short.host, short.port))
    line.settimeout(0.5)
    request = b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    page = b"GET /app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    began = time.monotonic()
    with line:
        while time.monotonic() - began < 40:
            try:
                line.sendall((request + page) * 50)
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("still open")


@pytest.mark.slow
def test_a_slow_upload_that_goes_on_is_taken(short: Short, tmp_path: Path) -> None:
    """Three times the window at twice the rate that is asked for."""
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    content = write_png(tmp_path / "a.png", noise).read_bytes()

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(content), 800):
            yield content[start : start + 800]
            time.sleep(0.2)

    assert len(content) > 24_000
    answer = httpx.post(f"http://{short.host}:{short.port}/api/files", content=slowly(), timeout=60)
    assert answer.status_code == 201, answer.text


def test_connections_of_one_address_are_limited_and_others_still_get_in(short: Short) -> None:
    lines = [short.connect() for _ in range(30)]
    time.sleep(0.5)
    with contextlib.suppress(OSError), short.connect() as more:
        assert more.recv(10) == b""
    with socket.create_connection((short.host, short.port), timeout=10, source_address=("127.0.0.2", 0)) as other:
        other.sendall(b"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 200 " in other.recv(1000)
    for line in lines:
        line.close()
    time.sleep(0.5)
    assert User(httpx.Client(base_url=f"http://{short.host}:{short.port}")).http.get("/api/about").status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\ngarbage\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
        HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        HEAD + b"X:a\r\n" * 20_000 + b"\r\n",
        HEAD + b"X: \x1b[31mCANARY\x00\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /%2e%2e/%2e%2e/settings.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /..%2fsettings.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /..%5csettings.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /%ff%fe\x1b[31m HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/files/%0d%0aX:%20y/pixels HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_hostile_requests_are_answered_and_not_logged(short: Short, request_: bytes) -> None:
    with short.connect() as line:
        answer = b""
        with contextlib.suppress(OSError):
            line.sendall(request_.replace(b"Host: 127.0.0.1\r\n\r\n", b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"))
            line.settimeout(10)
            while block := line.recv(65536):
                answer += block
    status = re.match(rb"HTTP/1.1 (\d+)", answer)
    assert status is None or int(status[1]) < 500, answer[:300]
    assert b"Traceback" not in answer
    assert b"SHORTEST_TOKEN" not in answer
    assert b"root:" not in answer
    assert httpx.get(f"http://{short.host}:{short.port}/api/about").status_code == 200
    log = short.log.read_text()
    assert "CANARY" not in log
    assert "\x1b" not in log
    assert "ERROR" not in log, log
