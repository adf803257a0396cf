"""Batches of crops, in an order that no worker process changes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Protocol

from medsr.core import platform
from medsr.recipe import Data

if TYPE_CHECKING:
    import torch


class Crops(Protocol):
    """What a training run draws its ground truth from, and its low resolution where that comes from files."""

    data: Data

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]: ...


class _Keys:
    """(iteration, slot) of every batch from `first` to `last`; None: on and on."""

    def __init__(self, first: int, last: int | None, slots: range) -> None:
        self.first, self.last, self.slots = first, last, slots

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        iterations = count(self.first) if self.last is None else range(self.first, self.last + 1)
        return ([(iteration, slot) for slot in self.slots] for iteration in iterations)


def batches(crops: Crops, first: int, last: int | None, slots: range) -> Iterator[list[torch.Tensor]]:
    """These slots of the batches of iterations `first` to `last`, in order: [(slots, channels, side, side), ...].

    Several devices take different slots of one batch. Worker processes change when a batch is ready, never what is
    in it.
    """
    import torch
    from torch.utils.data import DataLoader

    workers = crops.data.workers if last is None else min(crops.data.workers, last + 1 - first)
    loader: DataLoader = DataLoader(
        crops,  # type: ignore[arg-type]
        batch_sampler=_Keys(first, last, slots),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_quiet_worker,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    """Signals go to the whole group; the parent saves first, and ends its workers itself."""
    import signal

    import torch

    for number in (signal.SIGINT, *platform.end_signals()):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
