"""`medsr weights fusion`: trains on volumes what `medsr volume --fuse FILE` uses."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.core.errors import UsageError
from medsr.engines.base import Compute
from medsr.networks import checkpoint
from medsr.training import fusion_patches, train_fusion
from medsr.training.fusion_patches import SIDE, make_block
from medsr.training.train_fusion import FusionSettings, train
from medsr.volumes.models import open_slice_model
from medsr.volumes.slice_models import SliceRefiner
from tests.helpers.scans import smooth_volume


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    for index in range(2):
        nibabel.save(nibabel.Nifti1Image(smooth_volume((104, 100, 102), index), np.eye(4)), folder / f"{index}.nii.gz")
    return folder


@pytest.mark.slow
def test_it_learns_to_do_better_than_the_mean_the_same_on_any_number_of_cores(
    volumes: Path, refiner_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refiner of the tests makes noise of its own in every plane: easy to do better."""
    how = FusionSettings(blocks=2, iterations=25, features=8, depth=1)
    gains = []
    for cores in (2, 1):
        monkeypatch.setattr(fusion_patches, "threads", lambda cores=cores: cores)
        gains.append(train(refiner_file, volumes, "0*", tmp_path / f"{cores}.safetensors", how, "cpu"))
    assert gains[0] == gains[1] > 0
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    summary = checkpoint.describe(tmp_path / "1.safetensors")["training"]
    last, whole_gain = summary["curve"][-1]
    assert last == 25
    assert summary["gain"] == gains[0] >= train_fusion.KEPT * whole_gain - 0.001
    assert summary["share"] in train_fusion.SHARES
    assert summary["volumes"] == 1


def test_a_block_is_what_both_planes_make_of_the_piece_made_thick(tmp_path: Path) -> None:
    """By a fresh refiner, which returns what it is given: the interpolated piece, at the same place as the truth."""
    spec = checkpoint.Spec("refiner", 1, 1, {"features": 8, "blocks": 1})
    checkpoint.save(tmp_path / "fresh.safetensors", spec.build().state_dict(), spec)
    refiner = open_slice_model(tmp_path / "fresh.safetensors", Compute("cpu", "torch")).model
    assert isinstance(refiner, SliceRefiner)
    volume = smooth_volume((104, 100, 102)) / 1000
    for index in range(2):
        block = make_block(volume, refiner, np.random.default_rng(index))
        assert block.slices.shape == (SIDE, 4, SIDE, SIDE)
        assert 2 <= block.factor <= 6
        interpolated, first, second, truth = block.slices.transpose(1, 0, 2, 3)
        for plane in (first, second):
            np.testing.assert_allclose(plane, interpolated, atol=1e-5)
        assert float(np.square(interpolated - truth).mean()) < 0.7 * float(truth.var())


@pytest.mark.slow
def test_the_command_makes_what_fuse_takes(volumes: Path, refiner_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    inputs = ["weights", "fusion", str(refiner_file), "--data", str(volumes), "--out", str(out), "--validation", "0.5"]
    done = CliRunner().invoke(app, [*inputs, "--blocks", "1", "--iterations", "2", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "dB over the plain mean" in done.output
    scan, affine = smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])
    assert medsr.volume(scan, affine=affine, model=refiner_file, fuse=str(out), device="cpu").image.shape == (
        26,
        24,
        30,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "cubic"}, "refines no slices"),
        ({"validation": 1.0}, "expected a fraction between 0 and 1"),
        ({"validation": "none*"}, "none"),
        ({"out": "x.pth"}, "safetensors"),
        ({"out": "gone/x.safetensors"}, "there is no folder"),  # said before the work, not after it
    ],
)
def test_what_makes_no_sense_is_refused(
    change: dict[str, object], said: str, volumes: Path, refiner_file: Path, tmp_path: Path
) -> None:
    inputs = {"model": refiner_file, "data": volumes, "validation": "0*", "out": "x.safetensors"} | change
    with pytest.raises(UsageError, match=said):
        train(
            inputs["model"], volumes, inputs["validation"], tmp_path / str(inputs["out"]), FusionSettings(1, 1), "cpu"
        )  # type: ignore[arg-type]


@pytest.mark.parametrize(("right", "noise", "expected"), [(0.7, 0.1, 0.7), (1.0, 1.0, 0.9), (0.4, 0.1, 0.6)])
def test_the_least_share_of_the_correction_that_keeps_its_gain_is_left(
    right: float, noise: float, expected: float
) -> None:
    """Of a correction that should have been `right` times as strong; the rest of the error is noise."""

    class Corrects(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_last = torch.nn.Conv2d(1, 1, 1)
            torch.nn.init.ones_(self.conv_last.weight)
            torch.nn.init.zeros_(self.conv_last.bias)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return (inputs[:, 1:2] + inputs[:, 2:3]) / 2 + self.conv_last(inputs[:, :1])

    generator = torch.Generator().manual_seed(0)
    inputs, rest = (torch.randn(4, channels, 64, 64, generator=generator) for channels in (4, 1))
    truth = (inputs[:, 1:2] + inputs[:, 2:3]) / 2 + right * inputs[:, :1] + noise * rest
    net = Corrects()
    share, gain = train_fusion._weaken(net, [(inputs, truth)])
    assert share == expected
    assert net.conv_last.weight.item() == pytest.approx(expected)
    assert gain == round(train_fusion._gain(net, [(inputs, truth)]), 3) > 0
