"""What a target of the attack is, and the readers that several share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations import changed_bytes

Change = Callable[[str, bytes, list[bytes], random.Random], bytes]


@dataclass(frozen=True)
class Reader:
    """`read` takes a file; `seeds`: name -> content; `change`: (name, content, other contents, dice) -> content."""

    read: Callable[[Path], object]
    seeds: Callable[[], dict[str, bytes]]
    real: tuple[str, ...] = ()
    """Globs of small real files in the folder of test data that are seeds too."""
    change: Change = changed_bytes
    refused: Callable[[], dict[str, bytes]] = dict
    """Files of another kind, from which mutations begin too: they end in an error as they are."""


def read_image(path: Path) -> object:
    from medsr.io.images import image

    return image.read(path).to_unit()


def read_volume(path: Path) -> object:
    from medsr.io.volumes import volume

    return volume.read(path).grid.spacing


def read_checkpoint(path: Path) -> object:
    from medsr.networks import checkpoint

    return checkpoint.describe(path), checkpoint.load(path)
