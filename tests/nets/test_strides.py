"""Weights that claim more numbers than their file holds."""

from pathlib import Path

import pytest
import torch

from medsr.errors import WeightsError
from medsr.nets.state_dicts import read_pth


def test_one_number_does_not_stand_for_many(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"params": {"conv.weight": torch.zeros(1).expand(1000, 1000)}}, path)
    with pytest.raises(WeightsError, match="claims more numbers"):
        read_pth(path)
