"""What a run needs to go on exactly where it was: written whole, read back, checked again before it is used."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from medsr.core.errors import TrainingError
from medsr.io.files import sha256, write_checked

KEEP = 3


def save(folder: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Write `state/<iteration>.pt` and its checksum, then forget all but the newest few."""
    import torch

    path = folder / f"{iteration:08d}.pt"
    packed = io.BytesIO()  # through memory: torch reports a full disk as an internal error of its own
    torch.save(content, packed)
    path.with_suffix(".sha256").unlink(missing_ok=True)  # of a state of the same iteration, which this one replaces
    write_checked(path, packed.getbuffer())
    write_checked(path.with_suffix(".sha256"), f"{sha256(path)}\n".encode())
    for old in saved(folder)[:-KEEP]:
        old.with_suffix(".sha256").unlink(missing_ok=True)
        old.unlink()
    return path


def saved(folder: Path) -> list[Path]:
    """The finished states, oldest first; a state without its checksum was never finished."""
    return sorted(path for path in folder.glob("*.pt") if path.with_suffix(".sha256").is_file())


def load_latest(folder: Path) -> dict[str, Any]:
    """The newest state. Raises TrainingError when there is none, or it is damaged: then it names one that is whole."""
    import torch

    states = saved(folder)
    if not states:
        raise TrainingError(f"{folder}: no saved state to resume from")
    path = states[-1]
    if not intact(path):
        good = [other for other in states[:-1] if intact(other)]
        bad = [other.name for other in states if not good or other > good[-1]]
        way = (
            f"to go on from {good[-1].name}, which is whole, delete {' and '.join(bad)}"
            if good
            else "none other is whole"
        )
        raise TrainingError(f"{path}: damaged, its checksum does not match; {way}")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def intact(path: Path) -> bool:
    """Whether a state is what its checksum says."""
    return sha256(path) == path.with_suffix(".sha256").read_text(encoding="ascii").strip()


def clean(run: Path) -> None:
    """Remove what a killed process left half-written in a run's folder."""
    for folder in (run, run / "state", run / "samples"):
        for path in folder.glob(".*-*"):
            path.unlink(missing_ok=True)
    finished = set(saved(run / "state"))
    for path in (run / "state").glob("*.pt"):
        if path not in finished:
            path.unlink()
