"""An archive that does as a test wants: it dies in the middle, leads elsewhere, sends what nobody asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

BOUNDARY = "between"


def encoded(dataset: Dataset) -> bytes:
    """A file as its bytes."""
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def multipart(files: list[bytes]) -> bytes:
    parts = [f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file for file in files]
    return b"".join(parts) + f"\r\n--{BOUNDARY}--".encode()


def values(**tags: str | int) -> dict[str, Any]:
    """An entry of a list in JSON, from tags such as T0020000E."""
    return {tag[1:]: {"vr": "UI", "Value": [value]} for tag, value in tags.items()}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Answer:
    """`declared`: bytes that the header promises; None: the end of the connection ends the answer."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/dicom+json"
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = -1


@dataclass
class Archive:
    """`files`: what it holds of one series. Every way of `answers` (method and the end of a path) is taken instead."""

    study: str
    series: str
    files: list[bytes]
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    answers: dict[tuple[str, str], Callable[[int], Answer | None]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/web"

    def count(self, method: str, ending: str) -> int:
        return sum(
            request.method == method and request.path.partition("?")[0].endswith(ending) for request in self.requests
        )

    def answer(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        for (method, ending), make in self.answers.items():
            if method == request.method and path.endswith(ending):
                special = make(self.count(method, ending))
                if special is not None:
                    return special
        if request.method == "POST":
            return self._store(request)
        later = "offset=" in query and "offset=0" not in query
        if path.endswith(f"/series/{self.series}"):
            return Answer(body=multipart(self.files), kind=f"multipart/related; boundary={BOUNDARY}")
        if path.endswith("/series"):
            rows = [values(T0020000E=self.series, T00080060="MR", T00201209=len(self.files))]
        elif path.endswith("/instances"):
            rows = [values(T00080018=str(dcmread(BytesIO(file)).SOPInstanceUID)) for file in self.files]
            if self.series not in path:
                rows = [values(T00080018=uid) for uid in self.stored]
        else:
            rows = []
        return Answer(body=json.dumps([] if later else rows).encode())

    def _store(self, request: Request) -> Answer:
        uids = self.take(request)
        body = {"00081199": {"vr": "SQ", "Value": [values(T00081155=uid) for uid in uids]}}
        return Answer(body=json.dumps(body).encode())

    def take(self, request: Request) -> list[str]:
        """Keep what was sent; returns its UIDs."""
        boundary = request.headers["Content-Type"].partition("boundary=")[2].strip('"')
        parts = request.body.split(f"\r\n--{boundary}".encode())[1:-1]
        files = [part.partition(b"\r\n\r\n")[2] for part in parts]
        uids = [str(dcmread(BytesIO(file)).SOPInstanceUID) for file in files]
        self.stored |= dict(zip(uids, files, strict=True))
        return uids


@contextmanager
def answering(archive: Archive) -> Iterator[Archive]:
    """The archive, on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._do(b"")

        def do_POST(self) -> None:
            self._do(self.rfile.read(int(self.headers["Content-Length"])))

        def _do(self, body: bytes) -> None:
            request = Request(self.command, self.path, dict(self.headers), body)
            archive.requests.append(request)
            answer = archive.answer(request)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            length = len(answer.body) if answer.declared == -1 else answer.declared
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.close_connection = length != len(answer.body)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has heard enough
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
