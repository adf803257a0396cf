"""`device=gpu`: an Intel GPU that OpenVINO lists, here played by the CPU under another name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medsr
from medsr.core.devices import choose
from medsr.core.errors import UsageError
from medsr.core.resources import resource_dir
from medsr.engines import openvino_engine, selection
from medsr.engines.base import LARGEST_DIFFERENCE, Compute
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.networks import weight_store
from tests.helpers.images import write_png

MODEL = "medsr-mri"
UNKNOWN_THERE = {"INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING"}
"""Settings that OpenVINO refuses for a GPU."""


class Machine:
    """OpenVINO's door on a machine with these GPUs. `off`: what they add to every result."""

    def __init__(self, *gpus: str, off: float = 0.0) -> None:
        self.available_devices = ["CPU", *gpus]
        self.off, self.used = off, []  # type: ignore[var-annotated]
        self._real = openvino_engine.package().Core()

    def read_model(self, *files: Any) -> Any:
        return self._real.read_model(*files)

    def get_property(self, name: str, _: str) -> str:
        return f"Intel(R) Graphics ({name})"

    def compile_model(self, model: Any, device: str, settings: dict[str, Any]) -> Any:
        self.used.append(device)
        if device == "CPU":
            return self._real.compile_model(model, "CPU", settings)
        if device not in self.available_devices or UNKNOWN_THERE & settings.keys():
            raise RuntimeError(f"no {device} with {settings}")
        assert settings["INFERENCE_PRECISION_HINT"] == "f32", "a GPU would compute in half precision"
        compiled = self._real.compile_model(model, "CPU", settings)
        return compiled if not self.off else Shifted(compiled, self.off)


class Shifted:
    """A compiled model whose results are off."""

    def __init__(self, compiled: Any, off: float) -> None:
        self.request, self.off = compiled.create_infer_request(), off

    def create_infer_request(self) -> Shifted:
        return self

    def infer(self, inputs: list[np.ndarray], **options: Any) -> list[np.ndarray]:
        return [self.request.infer(inputs, **options)[0] + np.float32(self.off)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    pytest.importorskip("openvino")

    def make(*gpus: str, off: float = 0.0) -> Machine:
        door = Machine(*gpus, off=off)
        monkeypatch.setattr(openvino_engine, "core", lambda: door)
        return door

    return make


def weights() -> Path:
    return weight_store.locate(MODEL)


@pytest.mark.parametrize(
    ("gpus", "device", "name"),
    [
        (("GPU",), "gpu", "GPU"),
        (("GPU",), "gpu:0", "GPU"),
        (("GPU.0", "GPU.1"), "gpu", "GPU.0"),
        (("GPU.0", "GPU.1"), "gpu:1", "GPU.1"),
    ],
)
def test_the_gpu_that_is_meant_computes(
    machine: Callable[..., Machine], gpus: tuple[str, ...], device: str, name: str
) -> None:
    door = machine(*gpus)
    engine, _ = selection.open_engine(weights(), MODEL, Compute(device))
    assert isinstance(engine, OpenvinoEngine)
    assert engine.device == device
    assert set(door.used) == {name, "CPU"}, "the CPU tells whether the GPU is right"


def test_a_scan_and_its_sidecar(machine: Callable[..., Machine]) -> None:
    machine("GPU")
    scan = np.random.default_rng(0).random((10, 9, 5), dtype=np.float32)
    affine = np.diag([1, 1, 3, 1])
    ours = medsr.volume(scan, affine=affine, model=MODEL, device="gpu")
    theirs = medsr.volume(scan, affine=affine, model=MODEL, device="cpu", engine="openvino")
    np.testing.assert_array_equal(ours.image, theirs.image)
    assert ours.summary["parameters"]["engine"] == "openvino"


@pytest.mark.parametrize("off", [10 * LARGEST_DIFFERENCE, float("nan")])
def test_a_gpu_that_computes_something_else_is_refused(machine: Callable[..., Machine], off: float) -> None:
    machine("GPU", off=off)
    with pytest.raises(UsageError, match=r"`device=gpu`: its results differ from the CPU's.*use `device=cpu`"):
        selection.open_engine(weights(), MODEL, Compute("gpu"))


@pytest.mark.parametrize(("gpus", "device"), [((), "gpu"), (("GPU.0",), "gpu:3"), (("GPU",), "gpu:x")])
def test_a_gpu_that_is_not_there_is_said(
    machine: Callable[..., Machine], gpus: tuple[str, ...], device: str, tmp_path: Path
) -> None:
    machine(*gpus)
    with pytest.raises(UsageError, match=f"`device={device}`: OpenVINO does not list such an Intel GPU here"):
        selection.open_engine(weights(), MODEL, Compute(device))
    write_png(tmp_path / "in.png", np.zeros((40, 40), np.uint8))
    with pytest.raises(UsageError, match="Intel GPU"):
        medsr.upscale(tmp_path / "in.png", tmp_path / "out", device=device)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"engine": "torch"}, "OpenVINO in fp32"),
        ({"precision": "fp16"}, "OpenVINO in fp32"),
        ({"compiled": True}, "OpenVINO in fp32"),
        ({"precision": "int8"}, "was measured on the CPU"),
    ],
)
def test_what_goes_not_with_it_is_refused(machine: Callable[..., Machine], wish: dict[str, Any], said: str) -> None:
    machine("GPU")
    with pytest.raises(UsageError, match=said):
        selection.open_engine(weights(), MODEL, Compute("gpu", **wish))
    with pytest.raises(UsageError, match=r"exported model runs in OpenVINO|was measured on the CPU"):
        selection.open_engine(resource_dir("pretrained") / "medsr-mri.onnx", MODEL, Compute("gpu", **wish))


def test_torch_is_told_that_it_is_not_for_it() -> None:
    with pytest.raises(UsageError, match="an Intel GPU through OpenVINO"):
        choose("gpu")
    with pytest.raises(UsageError, match="`adapt`: learns in torch"):
        medsr.volume(np.zeros((8, 8, 4), np.float32), affine=np.eye(4), adapt=1, device="gpu")


def test_info_lists_it(machine: Callable[..., Machine]) -> None:
    from medsr.commands.info import collect

    machine("GPU.0", "GPU.1")
    devices = collect(devices=True)["devices"]
    assert devices[-2:] == ["Intel(R) Graphics (GPU.0)", "Intel(R) Graphics (GPU.1)"]
