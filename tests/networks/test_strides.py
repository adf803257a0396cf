"""Weights that claim more numbers than their file holds."""

import sys
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from medsr.core.errors import WeightsError
from medsr.networks import checkpoint
from medsr.networks.state_dicts import read_pth


def test_one_number_does_not_stand_for_many(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"params": {"conv.weight": torch.zeros(1).expand(1000, 1000)}}, path)
    with pytest.raises(WeightsError, match="claims more numbers"):
        read_pth(path)


def test_many_tensors_do_not_share_one_storage(tmp_path: Path) -> None:
    path, shared = tmp_path / "a.pth", torch.zeros(100_000)
    torch.save({"params": {f"conv{n}.weight": shared[:] for n in range(50)}}, path)
    with pytest.raises(WeightsError, match="most of them are shared"):
        read_pth(path)
    torch.save({"params": {f"conv{n}.weight": shared[:] for n in range(2)}}, path)
    assert len(read_pth(path)) == 2


def test_packed_zeros_are_not_weights(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"params": {"conv.weight": torch.zeros(2_000_000)}}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(WeightsError, match="would unpack to 8 MB"):
        read_pth(packed)


def test_a_file_of_one_tensor_or_of_too_many_is_refused_before_anything_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(WeightsError, match="no architecture that medsr or spandrel knows"):
        checkpoint.load(tmp_path / "a.pth")
    monkeypatch.setattr(checkpoint, "MOST_TENSORS", 5)
    safetensors.torch.save_file({f"t{n}": torch.zeros(1) for n in range(6)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds 6 tensors, more than any network has"):
        checkpoint.load(tmp_path / "a.safetensors")
