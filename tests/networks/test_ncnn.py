"""RRDB generators in ncnn's form: what is read computes what the graph computes, and nothing else passes for one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medsr.core.errors import WeightsError
from medsr.networks import ncnn
from tests.helpers.ncnn_files import SPEC, to_ncnn, write_ncnn


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = SPEC.build().state_dict()
    return {name: (tensor * 3).half().float() for name, tensor in state.items()}


@pytest.mark.parametrize("half", [True, False])
def test_a_generator_comes_back_as_it_was(state: dict[str, torch.Tensor], tmp_path: Path, half: bool) -> None:
    read, spec = ncnn.load(write_ncnn(tmp_path / "net.param", state, half))
    assert spec == SPEC
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-23310=1,2.000000e-01", "-23310=1,1.000000e-01", "gives other results"),  # another slope
        ("-23301=2,2.000000e-01,1.000000e+00", "-23301=2,1.000000e+00,1.000000e+00", "gives other results"),
        ("Concat", "PixelShuffle", "layers PixelShuffle"),
        ("0=1 1=2.000000e+00", "0=2 1=2.000000e+00", "Interp with options"),  # bilinear
        ("9=2", "9=3", "activation of kind 3"),
        ("7767517", "7767518", "damaged, or not a graph"),
        ("0=8 1=3", "0=8 1=5", "damaged, or not a graph"),
        ("conv_hr", "conv_hr 1", "damaged, or not a graph"),
    ],
)
def test_another_network_is_refused(
    state: dict[str, torch.Tensor], tmp_path: Path, old: str, new: str, message: str
) -> None:
    param = write_ncnn(tmp_path / "net.param", state)
    text = param.read_text()
    assert old in text
    param.write_text(text.replace(old, new))
    with pytest.raises(WeightsError, match=message):
        ncnn.load(param)


def test_what_is_cut_short_is_refused(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    text, numbers = to_ncnn(state)
    (tmp_path / "net.param").write_text(text)
    with pytest.raises(WeightsError, match=r"net\.bin, must lie beside it"):
        ncnn.load(tmp_path / "net.param")
    for length in (0, 3, 100, len(numbers) - 4, len(numbers) + 4):
        (tmp_path / "net.bin").write_bytes(numbers[:length] if length < len(numbers) else numbers + b"\0" * 4)
        with pytest.raises(WeightsError, match="damaged"):
            ncnn.load(tmp_path / "net.param")
    (tmp_path / "net.bin").write_bytes(numbers)
    for lines in range(0, text.count("\n"), 7):
        (tmp_path / "net.param").write_text("\n".join(text.split("\n")[:lines]))
        with pytest.raises(WeightsError):
            ncnn.load(tmp_path / "net.param")
