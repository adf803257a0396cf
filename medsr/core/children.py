"""What the child processes of `multiprocessing` have in common."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """End this child process as soon as the process that started it is gone, even if that one was killed.

    Otherwise it would wait for work for ever, or go on writing for nobody. In a process that nobody started: nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
