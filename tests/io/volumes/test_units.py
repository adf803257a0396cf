"""What values are counted in is one rule, for the page, the reports, the choice of a model and its warnings."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.commands.volume.pictures import Pictures
from medsr.io.display import of_volume
from medsr.io.volumes.base import Volume
from medsr.networks.bundled import for_volume

STEPS = np.diag([1.0, 1.0, 4.0, 1.0])
AIR_AND_TISSUE = np.full((8, 8, 6), -1000, np.int16)
AIR_AND_TISSUE[2:6] = 40
ANGLES = np.arange(4096, dtype=np.int16).repeat(2).reshape(32, 16, 16) * 2 - 4096


@pytest.mark.parametrize(
    ("volume", "unit"),
    [
        (Volume(AIR_AND_TISSUE, STEPS), "HU"),  # NIfTI says nothing: the values do
        (Volume(AIR_AND_TISSUE + 1024, STEPS, modality="CT", intercept=-1024.0), "HU"),
        (Volume(np.abs(AIR_AND_TISSUE), STEPS, modality="CT"), "HU"),
        (Volume(np.abs(AIR_AND_TISSUE), STEPS), ""),
        (Volume(AIR_AND_TISSUE, STEPS, modality="MR"), ""),
        (Volume(AIR_AND_TISSUE, STEPS, signed=True), ""),
        (Volume(ANGLES, STEPS), ""),  # fills a whole turn: a phase as scanners write it
    ],
)
def test_the_page_and_reports_name_the_same_unit(volume: Volume, unit: str) -> None:
    assert of_volume(volume).unit == Pictures(volume, volume).unit == unit


def test_a_phase_down_to_the_values_of_air_is_called_a_phase_and_not_ct() -> None:
    assert "phase" in for_volume(Volume(ANGLES, STEPS)).why
    assert "CT" in for_volume(Volume(AIR_AND_TISSUE, STEPS)).why
