"""A real server in a process of its own, as a user starts it; and users of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

DEADLINE = 300.0
TOKEN = "a token of enough letters"


@dataclass
class Server:
    """`address`: as printed, with the token where there is one."""

    process: subprocess.Popen
    address: str
    folder: Path

    @property
    def base(self) -> str:
        return self.address.partition("#")[0].rstrip("/")

    @property
    def children(self) -> list[int]:
        import psutil

        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def user(self, **options: Any) -> User:
        return User(httpx.Client(base_url=self.base, timeout=60, **options))

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


def gone(processes: list[int]) -> bool:
    """Whether all of them have ended, a moment later."""
    import psutil

    latest = time.monotonic() + 5
    while any(psutil.pid_exists(process) for process in processes) and time.monotonic() < latest:
        time.sleep(0.1)
    return not any(psutil.pid_exists(process) for process in processes)


@dataclass
class User:
    """Somebody with a cookie jar of their own."""

    http: httpx.Client

    def upload(self, path: Path, name: str | None = None, **query: Any) -> httpx.Response:
        headers = {"X-File-Name": quote(path.name if name is None else name)}
        with path.open("rb") as stream:
            return self.http.post("/api/files", content=stream, headers=headers, params=query)

    def file(self, path: Path) -> dict[str, Any]:
        answer = self.upload(path)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def order(self, kind: str, **request: Any) -> dict[str, Any]:
        answer = self.http.post(f"/api/jobs/{kind}", json=request)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def wait(self, job: dict[str, Any], *states: str) -> dict[str, Any]:
        latest = time.monotonic() + DEADLINE
        while time.monotonic() < latest:
            now = self.http.get(f"/api/jobs/{job['id']}").json()
            if now["state"] in (states or ("done", "failed", "cancelled")):
                return now
            time.sleep(0.02)
        raise AssertionError(f"still {now}")

    def done(self, kind: str, **request: Any) -> dict[str, Any]:
        job = self.wait(self.order(kind, **request))
        assert job["state"] == "done", job
        return job


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """`medsr serve` on a free port, ended by SIGTERM if it has not ended before."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "medsr", "serve", "--port", "0", "--folder", str(folder), *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.search(r"https?://\S+", first)
    assert address, first + process.stdout.read()
    server = Server(process, address[0], folder)
    try:
        latest = time.monotonic() + DEADLINE
        while time.monotonic() < latest:
            try:
                httpx.get(f"{server.base}/api/about", verify=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        process.stdout.close()
