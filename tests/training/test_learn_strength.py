"""`medsr weights strength`: a model of one's own that changes sharp images less."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.core.errors import InputError, UsageError
from medsr.core.resources import resource_dir
from medsr.engines.base import Compute
from medsr.images.network import Network
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.training import learn_strength
from medsr.training.learn_strength import learn
from medsr.volumes.models import open_model
from tests.helpers.images import write_png


@pytest.fixture
def photographs(tmp_path: Path, fundus: np.ndarray) -> Path:
    """Six, each another part of one, turned; beside them one of a single value, one of a few pixels, one damaged."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    write_png(folder / "flat.png", np.full((200, 200, 3), 255, np.uint8))
    write_png(folder / "tiny.png", np.ascontiguousarray(fundus[:6, :6]))
    (folder / "broken.png").write_bytes(b"not an image")
    for n in range(6):
        part = np.rot90(fundus, n)[16 * (n // 4) :, : 256 - 8 * n]
        write_png(folder / f"{n}.png", np.ascontiguousarray(part))
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Weights of the user's own: those of the fundus model, to which another hash belongs."""
    state, _ = checkpoint.read_state(resource_dir("pretrained") / "medsr-retina-x2.safetensors")
    spec = checkpoint.Spec("rrdb", 2, 3, {"features": 32, "blocks": 2, "growth": 32})
    checkpoint.save(tmp_path / "own.safetensors", state, spec, {"iterations": 1})
    return tmp_path / "own.safetensors"


def test_it_writes_the_same_weights_with_their_strength(own: Path, photographs: Path, tmp_path: Path) -> None:
    compute = Compute("cpu", "torch", "fp32")
    before = open_model(own, compute)
    assert isinstance(before, Network)
    assert before.strength is None
    out = tmp_path / "out.safetensors"
    gained = learn(own, photographs, out, crops=20, device="cpu")
    assert gained.share > gained.whole
    assert 2 <= gained.crops <= 5
    assert checkpoint.describe(out)["training"]["strength"]
    states = [checkpoint.read_state(path)[0] for path in (own, out)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    after = open_model(out, compute)
    assert isinstance(after, Network)
    assert after.strength is not None
    exported = medsr.export(out, "onnx", out=tmp_path / "out.onnx").path
    assert open_model(exported, Compute("cpu")).strength == after.strength  # type: ignore[union-attr]
    path = photographs / "0.png"
    unit = image_io.read(path).to_unit()
    share = after.strength.of(lambda rows: unit[rows], unit.shape)
    result = CliRunner().invoke(
        app, [*"upscale --engine torch --model".split(), str(out), str(path), "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 0, result.output
    sidecar = json.loads((tmp_path / "o" / "upscale.json").read_text())["results"]["0.png"]
    assert sidecar["parameters"]["strength"] == pytest.approx(share, abs=1e-3)


def test_the_command_says_what_is_gained_and_what_is_missing(own: Path, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    command = ["weights", "strength", str(own), "--data", str(photographs), "--out", str(out), "--crops", "10"]
    result = CliRunner().invoke(app, command)
    assert (" crops of the images set apart, worst" in result.output) == (result.exit_code == 0)
    assert result.output.count(f"left out: {photographs / 'broken.png'}") == 1
    assert out.is_file() == (result.exit_code == 0)
    for n in range(4):
        (photographs / f"{n}.png").unlink()
    with pytest.raises(UsageError, match="4 images that can be read; at least 5 are needed"):
        learn(own, photographs, out, crops=10, device="cpu")
    (photographs / "broken.png").unlink()
    with pytest.raises(UsageError, match=r"4 images; at least 5 are needed"):
        learn(own, photographs, out)
    with pytest.raises(UsageError, match=r"expected a name that ends in .safetensors"):
        learn(own, photographs, tmp_path / "out.pth")
    with pytest.raises(InputError, match="nowhere: no such folder"):
        learn(own, tmp_path / "nowhere", out)
    with pytest.raises(UsageError, match="bicubic: has no weights; name a network"):
        learn("bicubic", photographs, out)
    with pytest.raises(UsageError, match="`crops=3`: expected 10 or more"):
        learn(own, photographs, out, crops=3)
    torch.save({}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="expected a weight file that medsr wrote"):
        learn(tmp_path / "x.pth", photographs, out)


def test_nothing_is_written_where_nothing_is_gained(
    own: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_strength, "fit", lambda _: learn_strength.Strength.always(1.0))
    with pytest.raises(UsageError, match="all of the change is as good as a share of it; nothing was written"):
        learn(own, photographs, tmp_path / "out.safetensors", crops=10, device="cpu")
    assert not (tmp_path / "out.safetensors").exists()
