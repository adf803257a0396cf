"""MRI of the head as ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medsr.commands.evaluate.volume import VolumeBenchmark
from medsr.core.errors import InputError
from medsr.io.volumes.base import Volume
from medsr.networks.bundled import other_than_mri

EXPECTED = "lesions are drawn into MRI of the head"


@dataclass
class HeadScans(VolumeBenchmark):
    """Isotropic ones."""

    def check(self, volume: Volume, path: Path) -> None:
        """Raise InputError for what is not MRI of the head by its header or values."""
        if volume.elsewhere:
            raise InputError(f"{path}: {volume.elsewhere} by its header; {EXPECTED}")
        if other := other_than_mri(volume):
            raise InputError(f"{path}: {other}; {EXPECTED}")
