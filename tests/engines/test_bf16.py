"""bfloat16 on a CPU: the trunk alone, where the model was measured to lose next to nothing and the CPU to be faster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.commands.cohort.build_plan import complete_options
from medsr.commands.cohort.precision import settle
from medsr.core.errors import UsageError
from medsr.engines import base, bf16, bf16_cost, openvino_engine, selection, speed
from medsr.engines.base import UNASKED_DIFFERENCE, UNASKED_LOSS, Compute, loses_next_to_nothing
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.networks import weight_store
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

MEASURED = [name for name, entry in weight_store.entries().items() if entry.bf16]
GOOD = [name for name in MEASURED if loses_next_to_nothing(weight_store.get(name).bf16 or {})]
AUTO = Compute("cpu", precision="auto")


@pytest.fixture
def computes_bf16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A CPU that says so, and takes half of the time. Where it is not true, OpenVINO computes in fp32."""
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(bf16, "available", lambda: True)
    take(monkeypatch, bf16=0.5)


@pytest.fixture
def eyes(tmp_path: Path, fundus: np.ndarray) -> Path:
    """Three pieces of a fundus photograph."""
    for number in range(3):
        write_png(tmp_path / "eyes" / f"{number}.png", fundus[number * 60 :][:96, :96])
    return tmp_path / "eyes"


def take(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Let each precision take so many seconds, fp32 one."""
    times = {"fp32": 1.0} | seconds
    monkeypatch.setattr(speed, "seconds_of", lambda engines, _: [times[engine.precision] for engine in engines])


def opened(name: str, compute: Compute = AUTO) -> str:
    return selection.open_engine(weight_store.get(name).path, name, compute)[0].precision


def engines(name: str) -> tuple[OpenvinoEngine, OpenvinoEngine]:
    model, card = openvino_engine.read(weight_store.get(name).path.with_suffix(".onnx"))
    return OpenvinoEngine(model, card), bf16.bf16_engine(model, card)


def test_every_bundled_model_was_measured_and_most_are_good() -> None:
    bundled = [name for name, entry in weight_store.entries().items() if entry.suits]
    assert bundled == MEASURED
    assert "medsr-mri" in GOOD
    assert "medsr-retina-x2" not in GOOD  # it loses too much on soft photographs, and has int8


@pytest.mark.usefixtures("computes_bf16")
@pytest.mark.parametrize("name", MEASURED)
def test_the_image_itself_is_carried_in_fp32(name: str) -> None:
    plain, half = engines(name)
    precisions = {
        layer.get_friendly_name(): layer.get_rt_info()["runtimePrecision"].astype(str)
        for layer in half.compiled_model.get_runtime_model().get_ordered_ops()
        if layer.get_rt_info()["layerType"].astype(str) == "Convolution"
    }
    trunk = {precision for layer, precision in precisions.items() if bf16.TRUNK.search(layer)}
    ends = {precision for layer, precision in precisions.items() if "conv_first" in layer or "conv_last" in layer}
    assert ends == {"f32"}
    really = "BF16" in openvino_engine.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert ("bf16" in trunk) == really
    channels = plain.card["spec"]["channels"] + 2 * (plain.card["spec"]["architecture"] == "refiner")
    rng = np.random.default_rng(3)
    smooth = smooth_volume((96, 96, channels), 5).transpose(2, 0, 1)[None]
    picture = np.clip(smooth / smooth.max() + 0.02 * rng.standard_normal(smooth.shape), 0, 1).astype(np.float32)
    difference = np.abs(plain(picture) - half(picture)).max()
    assert difference <= UNASKED_DIFFERENCE
    assert (difference > 0) == really


@pytest.mark.usefixtures("computes_bf16")
def test_auto_takes_it_where_nobody_notices_and_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened("medsr-mri") == "bf16"
    monkeypatch.setattr(speed, "seconds_of", lambda *_: pytest.fail("measured twice"))
    assert opened("medsr-mri") == "bf16"
    assert opened("medsr-mri", Compute("cpu")) == "fp32"


@pytest.mark.usefixtures("computes_bf16")
@pytest.mark.parametrize(
    ("seconds", "precision"),
    [
        ({"bf16": 0.95, "int8": 0.95}, "fp32"),
        ({"bf16": 0.5, "int8": 0.48}, "bf16"),
        ({"bf16": 0.5, "int8": 0.3}, "int8"),
        ({"bf16": 1.5, "int8": 0.5}, "int8"),
    ],
)
def test_fewer_bits_only_where_they_are_clearly_faster(
    seconds: dict[str, float], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(monkeypatch, **seconds)
    assert opened("medsr-cxr-x4") == precision


@pytest.mark.usefixtures("computes_bf16")
@pytest.mark.parametrize("figures", [{}, {"loss_db": UNASKED_LOSS}, {"loss_db": 0.031, "largest_difference": 0.001}])
def test_a_model_that_loses_more_is_not_taken_unasked(
    figures: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bf16_cost, "loses_next_to_nothing", lambda _: loses_next_to_nothing(figures))
    assert opened("medsr-mri") == "fp32"
    assert opened("medsr-mri", Compute("cpu", precision="bf16")) == "bf16"


def test_a_cpu_that_has_none_is_told_so_and_auto_goes_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(bf16, "available", lambda: False)
    assert opened("medsr-mri") == "fp32"
    with pytest.raises(UsageError, match="this CPU does not compute in bfloat16"):
        opened("medsr-mri", Compute("cpu", precision="bf16"))


def test_what_openvino_does_not_heed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bf16, "available", lambda: True)
    monkeypatch.setattr(bf16, "is_heeded", lambda *_: False)
    with pytest.raises(UsageError, match="would compute all layers in it"):
        engines("medsr-mri")
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path))
    assert opened("medsr-mri") == "fp32"


@pytest.mark.usefixtures("computes_bf16")
def test_ones_own_weights_compute_in_it_when_asked(tiny_model: Path) -> None:
    medsr.export(tiny_model, "openvino")
    engine, _ = selection.open_engine(tiny_model, "mine", Compute("cpu", precision="bf16"))
    assert (engine.name, engine.precision) == ("openvino", "bf16")
    assert own(tiny_model) == "fp32"  # nobody measured what it loses


def own(weights: Path) -> str:
    return selection.open_engine(weights, "mine", AUTO)[0].precision


@pytest.mark.usefixtures("computes_bf16")
def test_what_ones_own_weights_lose_is_measured_and_then_they_compute_in_it_unasked(
    tiny_model: Path, tmp_path: Path, eyes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own(tiny_model) == "fp32"
    lines: list[str] = []
    with monkeypatch.context() as strict:
        strict.setattr(base, "UNASKED_LOSS", -9.0)
        medsr.export(tiny_model, "openvino", calibrate=eyes, notify=lines.append)
        assert lines[-1].endswith("taken with `precision=bf16` alone")
        assert own(tiny_model) == "fp32"
    medsr.export(tiny_model, "openvino", calibrate=eyes, notify=lines.append)
    assert re.fullmatch(r"bf16: .* dB to .* dB, .* on a pixel; taken from now on where it is faster", lines[-1])
    assert own(tiny_model) == "bf16"
    [path] = (tmp_path / "home").rglob("bf16.json")
    record = json.loads(path.read_text())
    for content in (
        "{",
        json.dumps(record | {"openvino": "another"}),
        json.dumps(record | {"measured": {"loss_db": 0.0, "largest_difference": 0.1}}),
    ):
        path.write_text(content)
        assert own(tiny_model) == "fp32"


def test_a_cpu_without_bf16_does_not_measure_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bf16, "available", lambda: False)
    with pytest.raises(UsageError, match="which this CPU does not compute in"):
        medsr.export(tiny_model, "openvino", calibrate=tmp_path)


@pytest.mark.usefixtures("computes_bf16")
def test_where_the_figures_cannot_be_kept_the_model_is_exported_all_the_same(
    tiny_model: Path, tmp_path: Path, eyes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def read_only(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(bf16_cost, "write_text", read_only)
    lines: list[str] = []
    medsr.export(tiny_model, "openvino", out=tmp_path / "tiny.xml", calibrate=eyes, notify=lines.append)
    assert (tmp_path / "tiny.xml").is_file()
    assert lines[-1].endswith(
        f"not kept, so taken with `precision=bf16` alone ({tmp_path / 'home'}: Read-only file system)"
    )


@pytest.mark.usefixtures("computes_bf16")
def test_a_cohort_of_scans_decides_once(tmp_path: Path) -> None:
    options = complete_options("volume", {"model": "medsr-mri", "device": "cpu"}, here=True)
    assert settle("volume", options) == {"precision": "bf16"}
    assert settle("volume", options | {"adapt": 1.0}) == {"precision": "fp32"}
    assert settle("volume", options | {"model": "cubic"}) == {"precision": "fp32"}
    assert settle("upscale", complete_options("upscale", {"model": "medsr-cxr-x2"}, here=True)) == {"precision": "bf16"}


@pytest.mark.usefixtures("computes_bf16")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_tile_is_repeated_as_rounding_differs_with_it(precision: str, tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "eye.png", fundus[:150, :140])
    medsr.upscale(
        tmp_path / "eye.png", tmp_path / "out", model="medsr-retina-x4", device="cpu", precision=precision, tile=32
    )
    parameters = json.loads((tmp_path / "out/upscale.json").read_text())["results"]["eye.png"]["parameters"]
    assert (parameters["tile"], parameters["precision"]) == (32, precision)
    assert medsr.reproduce(tmp_path / "out/upscale.json")[0].how == "the same bytes"


@pytest.mark.usefixtures("computes_bf16")
def test_a_scan_says_bf16_and_is_made_again_in_it(tmp_path: Path) -> None:
    stored = np.rint(smooth_volume((40, 36, 12), 2) * 4).astype(np.int16)
    nib.Nifti1Image(stored, np.diag([1, 1, 3, 1])).to_filename(tmp_path / "scan.nii.gz")
    medsr.volume(tmp_path / "scan.nii.gz", tmp_path / "finer.nii.gz", model="medsr-mri", device="cpu")
    sidecar = tmp_path / "finer.json"
    parameters: dict[str, Any] = json.loads(sidecar.read_text())["parameters"]
    assert (parameters["engine"], parameters["precision"]) == ("openvino", "bf16")
    assert medsr.reproduce(sidecar)[0].how == "the same bytes"
    fine = {}
    for precision in ("fp32", "bf16"):
        out = tmp_path / f"{precision}.nii.gz"
        medsr.volume(tmp_path / "scan.nii.gz", out, model="medsr-mri", device="cpu", precision=precision)
        fine[precision] = np.asanyarray(nib.load(out).dataobj).astype(float)
    assert np.abs(fine["fp32"] - fine["bf16"]).max() <= 1 + 0.007 * np.ptp(stored)
