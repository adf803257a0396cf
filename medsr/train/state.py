"""What a run needs to go on exactly where it was: written whole, checked on reading."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from medsr.errors import TrainingError
from medsr.io.files import atomic_path, sha256, write_text

KEEP = 3


def save(folder: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Write `state/<iteration>.pt` and its checksum, then forget all but the newest few."""
    import torch

    path = folder / f"{iteration:08d}.pt"
    packed = io.BytesIO()  # through memory: torch reports a full disk as an internal error of its own
    torch.save(content, packed)
    with atomic_path(path) as temporary:
        temporary.write_bytes(packed.getbuffer())
    write_text(path.with_suffix(".sha256"), sha256(path) + "\n")
    for old in saved(folder)[:-KEEP]:
        old.with_suffix(".sha256").unlink(missing_ok=True)
        old.unlink()
    return path


def saved(folder: Path) -> list[Path]:
    """The finished states, oldest first; a state without its checksum was never finished."""
    return sorted(path for path in folder.glob("*.pt") if path.with_suffix(".sha256").is_file())


def load_latest(folder: Path) -> dict[str, Any]:
    """The newest state. Raises TrainingError when there is none or its checksum does not match."""
    import torch

    states = saved(folder)
    if not states:
        raise TrainingError(f"{folder}: no saved state to resume from")
    path = states[-1]
    if sha256(path) != path.with_suffix(".sha256").read_text().strip():
        earlier = f"; delete it to resume from {states[-2].name}" if len(states) > 1 else ""
        raise TrainingError(f"{path}: damaged, its checksum does not match{earlier}")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content
