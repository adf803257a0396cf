"""Other projects' checkpoints, through spandrel, for inference."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from medsr.commands.export.run import export
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import UsageError, WeightsError
from medsr.images.network import Network
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.volumes.models import open_model
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume


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
    inputs = fundus[:24, :40].astype(np.float32) / 255
    with torch.inference_mode():
        expected = net(torch.from_numpy(np.pad(inputs, ((0, 16), (0, 16), (0, 0)), "reflect").transpose(2, 0, 1)[None]))
    output = model(inputs, scale)
    middle = (slice(0, 8 * scale), slice(0, 16 * scale))  # beyond, what is padded may differ
    np.testing.assert_allclose(output[middle], expected[0].permute(1, 2, 0).numpy()[middle], atol=0.02)
    write_png(tmp_path / "odd.png", fundus[:37, :51])
    outcome = upscale(tmp_path / "odd.png", tmp_path / "out", model=path)[0]
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
        upscale(tmp_path / "a.png", tmp_path / "out", model=tmp_path / "c.pth", engine="openvino")
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
    with pytest.raises(WeightsError, match="not a generator of images in 1 or 3 channels"):
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


def _tuple() -> torch.nn.Module:
    from spandrel.architectures.FBCNN import FBCNN

    return FBCNN(nc=[8, 16, 32, 512], nb=4)


def _noise_map() -> torch.nn.Module:
    from spandrel.architectures.DRUNet import DRUNet

    return DRUNet(in_nc=4, out_nc=3, nc=[8, 16, 32, 64], nb=4)


def _noise_map_grey() -> torch.nn.Module:
    from spandrel.architectures.DRUNet import DRUNet

    return DRUNet(in_nc=2, out_nc=1, nc=[8, 16, 32, 64], nb=4)


def _other_range() -> torch.nn.Module:
    from spandrel.architectures.MixDehazeNet import MixDehazeNet

    return MixDehazeNet()


@pytest.mark.slow
@pytest.mark.parametrize("build", [_tuple, _noise_map, _noise_map_grey, _other_range])
def test_networks_that_are_called_in_a_way_of_their_own_compute_as_their_descriptor(
    build: Any, tmp_path: Path, fundus: np.ndarray
) -> None:
    from spandrel import ModelLoader

    torch.manual_seed(1)
    path = tmp_path / "net.pth"
    torch.save(build().state_dict(), path)
    descriptor: Any = ModelLoader().load_from_file(path).eval()
    net, spec = checkpoint.load(path)
    images = torch.from_numpy(fundus[:37, :51].astype(np.float32).transpose(2, 0, 1)[None] / 255)[:, : spec.channels]
    images = torch.cat([images, 1 - images])
    expected = torch.cat([descriptor(image[None].clone()) for image in images])
    with torch.inference_mode():
        torch.testing.assert_close(net(images).clamp(0, 1), expected)


def test_a_network_that_clips_is_refused_for_volumes(tmp_path: Path) -> None:
    from spandrel.architectures.SwiftSRGAN import SwiftSRGAN

    path = tmp_path / "squashed.pth"
    torch.save(SwiftSRGAN(in_channels=3, num_channels=8, num_blocks=2, upscale_factor=2).state_dict(), path)
    nibabel.Nifti1Image(smooth_volume((24, 20, 12)), np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "s.nii.gz")
    with pytest.raises(UsageError, match="brightest voxels"):
        volume(tmp_path / "s.nii.gz", tmp_path / "f.nii.gz", model=path)
    assert isinstance(open_model(path), Network)  # of images, whose values end there


def test_networks_for_faces_are_refused_at_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spandrel import ImageModelDescriptor

    from medsr.networks import download

    torch.save(_compact().state_dict(), tmp_path / "faces.pth")
    monkeypatch.setattr(ImageModelDescriptor, "purpose", property(lambda _: "FaceSR"))
    with pytest.raises(WeightsError, match="draws faces"):
        download.import_weights(tmp_path / "faces.pth", "faces")


def test_a_network_for_whole_images_is_not_cut_into_tiles_unasked(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.core.errors import MemoryExhaustedError
    from medsr.images import tile_size

    torch.manual_seed(0)
    torch.save(_other_range().state_dict(), tmp_path / "whole.pth")
    unit = fundus[:64, :64].astype(np.float32) / 255
    monkeypatch.setattr(tile_size, "_free_memory", lambda _: 1e6)
    with pytest.raises(MemoryExhaustedError, match="`tile=512`"):
        open_model(tmp_path / "whole.pth")(unit, 1)
    assert open_model(tmp_path / "whole.pth", tile=32)(unit, 1).shape == unit.shape
