"""Tests that measure time are alone, whatever the other workers do."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.helpers.side_by_side import turn


def test_who_wants_the_room_alone_waits_for_all_and_is_not_overtaken(tmp_path: Path) -> None:
    seen, within = [], threading.Event()

    def take(name: str, alone: bool, until: threading.Event | None = None) -> None:
        with turn(tmp_path, alone):
            seen.append(name)
            within.set()
            if until is not None:
                until.wait(30)
            seen.append(f"{name} ends")

    first_ends = threading.Event()
    first = threading.Thread(target=take, args=("first", False, first_ends))
    alone = threading.Thread(target=take, args=("alone", True))
    later = threading.Thread(target=take, args=("later", False))
    first.start()
    assert within.wait(30)
    take("beside it", False)
    alone.start()
    time.sleep(0.5)
    later.start()
    time.sleep(0.5)
    assert seen == ["first", "beside it", "beside it ends"]
    first_ends.set()
    for one in (first, alone, later):
        one.join(30)
    assert seen[3:] == ["first ends", "alone", "alone ends", "later", "later ends"]
