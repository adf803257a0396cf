"""Other projects' checkpoints, through spandrel, for inference."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from medsr.errors import UsageError, WeightsError
from medsr.exports.run import export
from medsr.infer.batch import upscale
from medsr.infer.image import Network
from medsr.infer.models import open_model
from medsr.io import image as image_io
from medsr.nets import checkpoint
from medsr.scan.run import volume
from tests.conftest import smooth_volume, write_png


def _compact(channels: int = 3, scale: int = 2) -> torch.nn.Module:
    from spandrel.architectures.Compact import Compact

    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale)


def _swin() -> torch.nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    settings: dict[str, Any] = {"img_size": 16, "depths": [2], "embed_dim": 12, "num_heads": [2], "mlp_ratio": 2}
    return SwinIR(window_size=8, upscale=2, upsampler="pixelshuffledirect", **settings)


def _span() -> torch.nn.Module:
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=4)


BUILDERS = {"Compact": (_compact, 2), "SwinIR": (_swin, 2), "SPAN": (_span, 4)}


@pytest.fixture(params=BUILDERS)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, torch.nn.Module, int]:
    build, scale = BUILDERS[request.param]
    torch.manual_seed(0)
    net = build().eval()
    path = tmp_path / f"{request.param}.pth"
    torch.save({"params_ema": net.state_dict()}, path)
    return request.param, path, net, scale


def test_images_of_any_size_as_the_network_itself(
    foreign: tuple[str, Path, torch.nn.Module, int], tmp_path: Path, fundus: np.ndarray
) -> None:
    name, path, net, scale = foreign
    model = open_model(path, consistency=False)
    assert isinstance(model, Network)
    assert checkpoint.load(path)[1].architecture == f"spandrel:{name}"
    given = fundus[:24, :40].astype(np.float32) / 255
    with torch.inference_mode():
        expected = net(torch.from_numpy(np.pad(given, ((0, 16), (0, 16), (0, 0)), "reflect").transpose(2, 0, 1)[None]))
    made = model(given, scale)
    middle = (slice(0, 8 * scale), slice(0, 16 * scale))  # beyond, what is padded may differ
    np.testing.assert_allclose(made[middle], expected[0].permute(1, 2, 0).numpy()[middle], atol=0.02)
    write_png(tmp_path / "odd.png", fundus[:37, :51])
    outcome = upscale(tmp_path / "odd.png", tmp_path / "out", path)[0]
    assert outcome.error is None
    assert image_io.read(tmp_path / "out" / "odd.png").pixels.shape == (37 * scale, 51 * scale, 3)


def test_volumes_keep_values_beyond_the_window(tmp_path: Path) -> None:
    """A network that copies its input, through spandrel: what lies above the window must not be cut off."""
    net = _compact(1, 2)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)  # what remains is its own nearest-neighbour skip
    torch.save(net.state_dict(), tmp_path / "nearest.pth")
    scan = smooth_volume((24, 20, 12))
    scan[10:12, 10:12, 6:8] = 20_000
    nibabel.Nifti1Image(scan, np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "s.nii.gz")
    outcome = volume(tmp_path / "s.nii.gz", tmp_path / "f.nii.gz", model=tmp_path / "nearest.pth")[0]
    assert outcome.error is None
    assert nibabel.load(tmp_path / "f.nii.gz").get_fdata().max() > 15_000


def test_other_forms_of_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    net = _compact()
    for key in ("params", "state_dict", "model_state_dict", "params-ema"):
        torch.save({key: net.state_dict(), "epoch": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
        assert checkpoint.load(tmp_path / "a.pth")[1] == checkpoint.Spec("spandrel:Compact", 2, 3)
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    assert checkpoint.load(tmp_path / "a.safetensors")[1] == checkpoint.Spec("spandrel:Compact", 2, 3)


def test_what_it_cannot_do_is_said(tmp_path: Path, fundus: np.ndarray) -> None:
    torch.save(_compact().state_dict(), tmp_path / "c.pth")
    write_png(tmp_path / "a.png", fundus[:16, :16])
    with pytest.raises(UsageError, match="runs in torch"):
        upscale(tmp_path / "a.png", tmp_path / "out", tmp_path / "c.pth", engine="openvino")
    with pytest.raises(UsageError, match="runs in torch only"):
        export(tmp_path / "c.pth", "openvino")
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "nothing.pth")
    with pytest.raises(WeightsError, match="no architecture that medsr or spandrel knows"):
        checkpoint.load(tmp_path / "nothing.pth")
    broken = {name: tensor[:1] for name, tensor in _compact().state_dict().items()}
    torch.save(broken, tmp_path / "broken.pth")
    with pytest.raises(WeightsError, match=r"broken\.pth"):
        checkpoint.load(tmp_path / "broken.pth")


def test_networks_that_are_no_generators_are_refused(tmp_path: Path) -> None:
    torch.save(_compact(2).state_dict(), tmp_path / "two.pth")
    with pytest.raises(WeightsError, match="no generator of images in 1 or 3 channels"):
        checkpoint.load(tmp_path / "two.pth")


def test_without_spandrel_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(_compact().state_dict(), tmp_path / "c.pth")
    original = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == "spandrel":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(WeightsError, match=r"medsr\[spandrel\]"):
        checkpoint.load(tmp_path / "c.pth")
