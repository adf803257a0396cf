"""Twenty users at once for two minutes: everybody is served, nobody sees an error, the memory stays as it is."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from medsr.commands.serve.inspectors import PROCESSES
from tests.helpers.server import Server, User, serving

USERS, SECONDS = 20, 70.0
WARM_AFTER = 4
"""Readings, one in five seconds, after which a process holds what it needs."""


@dataclass
class Tally:
    """What all users saw."""

    errors: list[str] = field(default_factory=list)
    done: int = 0
    waits: list[float] = field(default_factory=list)
    furthest: int = 0


def visit(user: User, eye: Path, until: float, tally: Tally) -> None:
    """One user: image after image, each looked at and downloaded; then everything is forgotten."""
    try:
        while time.monotonic() < until:
            began = time.monotonic()
            file = user.upload(eye)
            if file.status_code == 503:
                time.sleep(1)
                continue
            assert file.status_code == 201, file.text
            answer = user.http.post(
                "/api/jobs/image", json={"file": file.json()["id"], "models": ["bicubic", "medsr-retina-x2"]}
            )
            if answer.status_code == 503:
                assert "your place would be" in answer.text or "wait for one" in answer.text
                continue
            assert answer.status_code == 202, answer.text
            job = answer.json()
            while job["state"] in ("waiting", "running"):
                tally.furthest = max(tally.furthest, job["place"] or 0)
                time.sleep(0.3)
                job = user.http.get(f"/api/jobs/{job['id']}").json()
            assert job["state"] == "done", job
            assert user.http.get(job["images"][1]["download"]).content[:4] == b"\x89PNG"
            assert user.http.delete(f"/api/files/{job['file']}").status_code == 204
            tally.done += 1
            tally.waits.append(time.monotonic() - began)
        user.http.delete("/api/session")
    except Exception as error:
        tally.errors.append(f"{type(error).__name__}: {error}")


def memory(server: Server) -> dict[int, int]:
    """Bytes held by the server and by each of its children, by process number."""
    parent = psutil.Process(server.process.pid)
    held = {}
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            held[process.pid] = process.memory_info().rss
    return held


@pytest.mark.alone
@pytest.mark.slow
def test_twenty_users_for_a_minute(eye: Path, tmp_path: Path) -> None:
    tally = Tally()
    warm: dict[int, int] = {}  # of each process once it has worked a while: some start only in a crowd
    readings: list[dict[int, int]] = []
    with serving(tmp_path / "store") as server:
        began = time.monotonic()
        crowd = [
            threading.Thread(target=visit, args=(server.user(), eye, began + SECONDS, tally)) for _ in range(USERS)
        ]
        for one in crowd:
            one.start()
        while any(one.is_alive() for one in crowd):
            time.sleep(5)
            readings.append(memory(server))
            if len(readings) >= WARM_AFTER:
                for process in set.intersection(*map(set, readings[-WARM_AFTER:])):
                    warm.setdefault(process, readings[-1][process])
        for one in crowd:
            one.join()
        left = [path for path in server.folder.rglob("*") if path.is_file()]
    waits = sorted(tally.waits)
    print(
        f"\n{tally.done} images of {USERS} users in {SECONDS:.0f} s; from upload to download half of them "
        f"{waits[len(waits) // 2]:.1f} s, the slowest {waits[-1]:.1f} s; furthest place {tally.furthest}; "
        f"memory {sum(warm.values()) / 1e6:.0f} MB once warm, {sum(readings[-1].values()) / 1e6:.0f} MB at the end"
    )
    assert not tally.errors
    assert tally.done > USERS
    assert waits[-1] < 4 * waits[len(waits) // 2], "somebody waited much longer than the others"
    assert max(map(len, readings)) <= PROCESSES + 3, "more processes than the server, its inspectors and its worker"
    growth = {process: held - warm[process] for process, held in readings[-1].items() if process in warm}
    assert growth
    assert max(growth.values()) < 20e6, "a process holds more and more memory"
    assert [path.name for path in left] == ["in-use"]
