from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from medsr.core.errors import WeightsError
from medsr.engines.base import Compute
from medsr.networks import checkpoint
from medsr.networks.checkpoint import Spec
from tests.helpers.upstream import needs_upstream

SPECS = [
    Spec("rrdb", scale, channels, {"features": 12, "blocks": 2, "growth": 32})
    for scale in (1, 2, 4)
    for channels in (1, 3)
]


def _net(spec: Spec) -> torch.nn.Module:
    torch.manual_seed(1)
    return spec.build().eval()


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"x{s.scale}-{s.channels}ch")
def test_our_file_rebuilds_the_network_and_says_what_it_is(tmp_path: Path, spec: Spec) -> None:
    net = _net(spec)
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, net.state_dict(), spec, {"recipe": "x", "iterations": 7})
    loaded, measured = checkpoint.load(path)
    assert measured == spec
    images = torch.rand(1, spec.channels, 16, 16)
    assert torch.equal(loaded(images), net(images))
    assert checkpoint.describe(path)["training"] == {"recipe": "x", "iterations": 7}


def test_the_same_weights_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    spec = SPECS[0]
    state = _net(spec).state_dict()
    here = tmp_path / "here.safetensors"
    checkpoint.save(here, state, spec, {"recipe": "x", "iterations": 7})
    inputs = here.read_bytes()
    for name in "abcde":  # safetensors draws the order of its metadata anew each time
        checkpoint.save(tmp_path / name, state, spec, {"recipe": "x", "iterations": 7})
        assert (tmp_path / name).read_bytes() == inputs


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"x{s.scale}-{s.channels}ch")
@pytest.mark.parametrize("wrap", ["params_ema", "params", None])
def test_official_files_load_and_their_shape_is_recognised(tmp_path: Path, spec: Spec, wrap: str | None) -> None:
    net = _net(spec)
    path = tmp_path / "a.pth"
    torch.save({wrap: net.state_dict()} if wrap else net.state_dict(), path)
    loaded, measured = checkpoint.load(path)
    assert measured == spec
    images = torch.rand(1, spec.channels, 16, 16)
    assert torch.equal(loaded(images), net(images))


def test_params_ema_is_preferred(tmp_path: Path) -> None:
    spec = SPECS[1]
    live, ema = _net(spec), spec.build()
    torch.save({"params": live.state_dict(), "params_ema": ema.state_dict()}, tmp_path / "a.pth")
    loaded, _ = checkpoint.load(tmp_path / "a.pth")
    assert torch.equal(loaded.conv_first.weight, ema.conv_first.weight)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.channels == 3], ids=lambda s: f"x{s.scale}")
def test_spandrel_loads_what_we_write_and_gives_the_same_output(tmp_path: Path, spec: Spec) -> None:
    from spandrel import ImageModelDescriptor, ModelLoader

    net = _net(spec)
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, net.state_dict(), spec)
    model = ModelLoader().load_from_file(path)
    assert isinstance(model, ImageModelDescriptor)
    assert model.scale == spec.scale
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images), net(images).clamp(0, 1), atol=1e-5, rtol=0)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("import pathlib; pathlib.Path('/tmp/medsr-was-here').touch()",))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    for name, write in (("a.pth", torch.save), ("b.pth", lambda o, p: Path(p).write_bytes(pickle.dumps(o)))):
        write({"params": _Bomb()}, tmp_path / name)
        with pytest.raises(WeightsError, match="only what is safe"):
            checkpoint.load(tmp_path / name)
    assert not Path("/tmp/medsr-was-here").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04broken", b"\x10\0\0\0\0\0\0\0{not json at all}", b"\xff" * 64],
    ids=["empty", "text", "zip", "safetensors", "noise"],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"params": {"layer.weight": torch.zeros(3)}}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no architecture that medsr or spandrel knows"):
        checkpoint.load(tmp_path / "a.pth")
    state = _net(SPECS[1]).state_dict()
    del state["body.1.rdb2.conv3.bias"]
    torch.save(state, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match=r"body\.1\.rdb2\.conv3\.bias"):
        checkpoint.load(tmp_path / "b.pth")


@needs_upstream
@pytest.mark.slow
def test_an_image_through_official_weights_has_realesrganers_pixels(tmp_path: Path, fundus: np.ndarray) -> None:
    """At every scale, on odd sizes: the difference is at most 1 of 255."""
    from medsr.networks import upstream
    from medsr.networks.rrdb import rrdb
    from medsr.volumes.models import open_model

    image = np.ascontiguousarray(fundus[:41, :55])
    for scale in (1, 2, 4):
        torch.manual_seed(scale)
        net = rrdb(scale, features=16, blocks=2, growth=8)
        with torch.no_grad():  # spread the output over the whole range
            net.conv_last.weight.mul_(20)
            net.conv_last.bias.fill_(0.4)
        path = tmp_path / f"official_x{scale}.pth"
        torch.save({"params_ema": net.state_dict()}, path)
        peer = upstream.real_esrganer()(
            scale=scale, model_path=str(path), model=rrdb(scale, features=16, blocks=2, growth=8), tile=0, half=False
        )
        expected, _ = peer.enhance(image[:, :, ::-1])
        ours = open_model(path, Compute("cpu"), consistency=False)(image.astype(np.float32) / 255, scale)
        stored = np.rint(ours.clip(0, 1) * 255).astype(int)
        assert expected.std() > 10
        assert np.abs(expected[:, :, ::-1].astype(int) - stored).max() <= 1
