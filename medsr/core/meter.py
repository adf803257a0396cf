"""How long something takes, and how much memory."""

from __future__ import annotations

import threading
import time

SAMPLE_EVERY = 0.01
"""Seconds between looks at the memory of the process."""


class Meter:
    """A block's `seconds`, and `peak`: the most memory in bytes held meanwhile (of a CUDA device, else the process)."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.seconds, self.peak = 0.0, 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._watcher.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        if self.device.startswith("cuda"):
            import torch

            self.peak = int(torch.cuda.max_memory_allocated(self.device))
            return
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        import psutil

        process = psutil.Process()
        while True:
            self.peak = max(self.peak, int(process.memory_info().rss))
            if self._done.wait(SAMPLE_EVERY):
                self.peak = max(self.peak, int(process.memory_info().rss))
                return
