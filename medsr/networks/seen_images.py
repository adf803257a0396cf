"""Which images a network has seen: short hashes of their files, kept with its weights."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TRAINED, CHOSEN = "trained_on", "chosen_by"
"""Their keys in the `training` of a weight file's metadata."""
BYTES = 8
"""Of each SHA-256: two among a million images are the same with a chance of 3 in 100 million."""
MOST = 50_000
"""Images whose hashes go into a weight file, whose header is read before its weights; of more, none do."""


@dataclass(frozen=True)
class SeenImages:
    """The short hashes of the files that were trained on, and of those that chose the weights."""

    trained: frozenset[str] = frozenset()
    chosen: frozenset[str] = frozenset()

    def __or__(self, other: SeenImages) -> SeenImages:
        trained = self.trained | other.trained
        return SeenImages(trained, (self.chosen | other.chosen) - trained)

    def __bool__(self) -> bool:
        return bool(self.trained or self.chosen)

    @classmethod
    def of_training(cls, training: Any) -> SeenImages:
        """What the `training` of a weight file or of an exported model's card says; none where it says nothing."""
        if not isinstance(training, Mapping):
            return cls()
        return cls(_unpacked(training.get(TRAINED)), _unpacked(training.get(CHOSEN)))

    def metadata(self) -> dict[str, str]:
        """As they are kept with weights; nothing where there are none, or more than `MOST`."""
        if len(self.trained) + len(self.chosen) > MOST:
            return {}
        return {key: _packed(hashes) for key, hashes in ((TRAINED, self.trained), (CHOSEN, self.chosen)) if hashes}


def short_hash(sha256: str) -> str:
    """What is kept of a file's SHA-256, both in hexadecimal."""
    return sha256[: 2 * BYTES]


def _packed(hashes: Iterable[str]) -> str:
    return base64.b64encode(b"".join(map(bytes.fromhex, sorted(hashes)))).decode()


def _unpacked(text: Any) -> frozenset[str]:
    try:
        packed = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):  # damaged, or of a later medsr
        return frozenset()
    return frozenset(packed[start : start + BYTES].hex() for start in range(0, len(packed), BYTES))
