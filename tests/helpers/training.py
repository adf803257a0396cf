"""What a training leaves, and a clock and a validation that do as the test says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from medsr.networks import checkpoint
from medsr.training import checkpointing, loop, training_logger


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Of a file, or of a run's model."""
    return checkpoint.read_state(path / "model.safetensors" if path.is_dir() else path)[0]


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def assert_same_run(first: Path, second: Path) -> None:
    """Weights, EMA, discriminator, optimizers, pool, watch and log, bit by bit."""
    last = [torch.load(checkpointing.saved(run / "state")[-1], weights_only=True) for run in (first, second)]
    for state in last:
        del state["seconds"]  # how long it took is no function of the recipe
        del state["recipe_sha256"]  # recipes say how many workers there are, and where the images lie
    assert equal(last[0], last[1])
    assert (first / "log.jsonl").read_text() == (second / "log.jsonl").read_text()
    for name in ("model.safetensors", "best.safetensors"):
        assert same_weights(read_weights(first / name), read_weights(second / name))


def equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        same = isinstance(other, list | tuple) and len(one) == len(other)
        return same and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def iterations_of(run: Path) -> int:
    log = run / "log.jsonl"
    return len([line for line in log.read_text().splitlines() if '"l1"' in line]) if log.is_file() else 0


def learning_rates(run: Path) -> list[float]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record["learning_rate"] for record in records if "learning_rate" in record]


def script_validation(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let validation find these values of the recipe's metric, one after the other."""
    inputs: Iterator[float] = iter(values)

    def score(_model: Any, _held_out: Any, _scale: int, by: Any) -> training_logger.validation.Scores:
        value = next(inputs)
        return training_logger.validation.Scores({name: [value] for name in by})

    monkeypatch.setattr(training_logger.validation, "score", score)


def tick(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.1) -> None:
    """A clock by which every iteration takes that long, whatever the machine does meanwhile."""
    ticks = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: seconds * next(ticks)))


@contextmanager
def one_thread() -> Iterator[None]:
    """As the processes that a test starts: with another number of threads the last bits may differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def vgg19_state() -> dict[str, torch.Tensor]:
    """Random weights of what is used of VGG19: its classifier, seven times as large, takes seconds to make."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    return {f"features.{name}": value for name, value in make_layers(cfgs["E"]).state_dict().items()}
