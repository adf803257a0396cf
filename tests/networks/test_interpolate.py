"""Weights between two networks: their ends, their middle, and what has no middle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.core.errors import UsageError
from medsr.networks import checkpoint
from medsr.networks.checkpoint import Spec
from medsr.networks.interpolate import interpolate

SPEC = Spec("refiner", 1, 1, {"features": 4, "blocks": 1})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    for seed in (0, 1):
        torch.manual_seed(seed)
        checkpoint.save(folder / f"{seed}.safetensors", SPEC.build().state_dict(), SPEC, {"recipe": str(seed)})
    return folder / "0.safetensors", folder / "1.safetensors"


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1))
def test_every_weight_lies_between(
    pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    out = tmp_path_factory.mktemp("out") / "between.safetensors"
    interpolate(*pair, share, out)
    first, second, between = (checkpoint.read_state(path)[0] for path in (*pair, out))
    for name, tensor in between.items():
        torch.testing.assert_close(tensor, (1 - share) * first[name] + share * second[name])
    summary = checkpoint.describe(out)["training"]
    assert summary["recipe"] == "1"
    assert summary["interpolated"]["share"] == share
    checkpoint.load(out)


def test_what_has_nothing_between_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = Spec("refiner", 1, 1, {"features": 8, "blocks": 1})
    checkpoint.save(tmp_path / "wide.safetensors", other.build().state_dict(), other)
    with pytest.raises(UsageError, match="no weights between them"):
        interpolate(pair[0], tmp_path / "wide.safetensors", 0.5, tmp_path / "out.safetensors")
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        interpolate(*pair, 0.5, tmp_path / "out.onnx")
    with pytest.raises(UsageError, match="from 0 to 1"):
        interpolate(*pair, 1.5, tmp_path / "out.safetensors")
    assert not list(tmp_path.glob("out*"))
