"""`medsr export`: files that run as the weights do, and int8 that is measured before it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import onnx
import pytest

import medsr
from medsr.commands.export import cost
from medsr.core.errors import InputError, UsageError
from medsr.engines import base, int8
from medsr.engines.base import Compute
from medsr.engines.openvino_engine import read
from medsr.io.files import sha256
from medsr.io.images import image as image_io
from medsr.volumes.models import open_model
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume


@pytest.fixture
def eyes(tmp_path: Path, fundus: np.ndarray) -> Path:
    """Four different pieces of a fundus photograph."""
    for number in range(4):
        piece = fundus[number % 2 * 128 :, number // 2 * 128 :][:128, :128]
        write_png(tmp_path / "eyes" / f"{number}.png", piece)
    return tmp_path / "eyes"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.xml", "model.onnx"])
def test_an_exported_model_runs_as_the_weights_do_and_says_what_it_is(
    name: str, tiny_model: Path, eyes: Path, tmp_path: Path
) -> None:
    target = tmp_path / "exported" / name
    done = medsr.export(tiny_model, "onnx" if name.endswith("onnx") else "openvino", out=target)
    assert done.path == target
    medsr.upscale(eyes, tmp_path / "weights", model=tiny_model, device="cpu", engine="torch")
    outcomes = medsr.upscale(eyes, tmp_path / "exported_results", model=target, device="cpu")
    assert not [outcome.error for outcome in outcomes if outcome.error]
    for outcome in outcomes:
        ours, theirs = (
            image_io.read(folder / outcome.output.name).pixels.astype(int)
            for folder in (tmp_path / "exported_results", tmp_path / "weights")
        )
        assert np.abs(ours - theirs).max() <= 1
    card = read(target)[1]
    assert card["sha256"] == sha256(tiny_model)
    assert card["spec"]["hyperparameters"] == {"features": 12, "blocks": 1, "growth": 4}
    assert card["precision"] == "fp32"
    if name.endswith("onnx"):
        model = onnx.load(target)
        onnx.checker.check_model(model)
        assert json.loads(model.metadata_props[0].value) == card
    assert medsr.reproduce(tmp_path / "exported_results/upscale.json")[0].how == "the same bytes"


@pytest.mark.slow
def test_int8_is_calibrated_measured_and_then_found_by_name(eyes: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    done = medsr.export("medsr-retina-x2", "openvino", int8=True, calibrate=eyes, notify=lines.append)
    measured = done.card["measured"]
    unasked = base.loses_next_to_nothing(measured)
    assert lines[-1] == f"int8: taken {'from now on where it is faster' if unasked else 'with `precision=int8` alone'}"
    assert measured["loss_db"] == pytest.approx(measured["psnr_fp32"] - measured["psnr_int8"])
    assert measured["loss_db"] <= 0.1
    assert measured["loss_db"] <= measured["worst_loss_db"] <= 0.2
    assert 0 < measured["largest_difference"] < 0.06
    assert done.card["precision"] == "int8"
    call = ["upscale", str(eyes), "--out", str(tmp_path / "out"), "--precision", "int8", "--model", "medsr-retina-x2"]
    subprocess.run([sys.executable, "-m", "medsr", *call], check=True, capture_output=True)
    sidecar = json.loads((tmp_path / "out/upscale.json").read_text())["results"]["0.png"]
    assert sidecar["parameters"]["precision"] == "int8"
    assert 0 <= sidecar["parameters"]["fp32_share"] <= 1
    medsr.upscale(eyes, tmp_path / "fp32", model="medsr-retina-x2", device="cpu", precision="fp32")
    ours, theirs = (image_io.read(tmp_path / name / "0.png").pixels.astype(int) for name in ("out", "fp32"))
    assert np.abs(ours - theirs).max() < 8  # 0 where all of it is sharper than what calibrated
    assert medsr.reproduce(tmp_path / "out/upscale.json")[0].how == "the same bytes"


@pytest.mark.slow
def test_int8_that_loses_too_much_is_refused(eyes: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "LARGEST_LOSS", -1.0)
    monkeypatch.setattr(base, "UNASKED_LOSS", -1.0)
    with pytest.raises(UsageError, match=r"int8 loses .* dB of PSNR .* use fp32"):
        medsr.export(tiny_model, "openvino", int8=True, calibrate=eyes)
    with pytest.raises(UsageError, match="has not been calibrated"):
        open_model(tiny_model, Compute("cpu", precision="int8"))


def test_single_pixels_that_differ_much_are_told_to_who_uses_int8(caplog: pytest.LogCaptureFixture) -> None:
    card = {"spec": {"channels": 1}, "calibration": {"extent": [1.0] * 10}}
    int8.check_int8(card | {"measured": {"loss_db": 0.0, "largest_difference": 0.019}}, "mine")
    assert not caplog.messages
    int8.check_int8(card | {"measured": {"loss_db": 0.0, "largest_difference": 0.12}}, "mine")
    assert "a single pixel differed from fp32 by up to 12% of full range" in caplog.text


@pytest.mark.slow
def test_a_refiner_is_calibrated_on_volumes(tmp_path: Path, refiner_file: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in range(2):
        values = smooth_volume((110, 112, 104), seed=number)
        nibabel.save(nibabel.Nifti1Image((values * 900).astype(np.int16), np.eye(4)), scans / f"{number}.nii.gz")
    medsr.export(refiner_file, "openvino", out=tmp_path / "refiner.xml", int8=True, calibrate=scans)
    thick = nibabel.Nifti1Image((smooth_volume((40, 44, 20)) * 900).astype(np.int16), np.diag([1, 1, 2, 1.0]))
    ours = medsr.volume(thick, model=tmp_path / "refiner.xml").summary
    assert ours["parameters"]["precision"] == "int8"
    assert ours["model"]["name"] == "refiner.xml"
    with pytest.raises(UsageError, match="an exported model runs in OpenVINO"):
        medsr.volume(thick, model=tmp_path / "refiner.xml", adapt=0.1, engine="auto")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "tflite"}, "expected one of openvino, onnx"),
        ({"to": "onnx"}, "`out=FILE.onnx`"),
        ({"to": "onnx", "out": "x.onnx", "int8": True, "calibrate": "."}, "is written in fp32"),
        ({"to": "onnx", "out": "x.onnx", "calibrate": "."}, "it needs `to=openvino`"),
        ({"to": "openvino", "int8": True}, "name their folder with `calibrate=FOLDER`"),
        ({"to": "openvino", "out": "x.onnx"}, r"ends in \.xml"),
    ],
)
def test_wishes_that_do_not_fit_are_refused(options: dict[str, object], message: str, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=message):
        medsr.export(tiny_model, **options)  # type: ignore[arg-type]


def test_a_fusion_network_is_exported_but_not_in_int8(tmp_path: Path) -> None:
    assert (
        medsr.export("medsr-mri-fusion", "openvino", out=tmp_path / "fusion.xml").card["spec"]["architecture"]
        == "fuser"
    )
    with pytest.raises(UsageError, match="fuses planes, and stays in fp32"):
        medsr.export("medsr-mri-fusion", "openvino", int8=True, calibrate=tmp_path)


def test_too_few_images_to_calibrate_on_are_said(tmp_path: Path, tiny_model: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=r"no such folder|0 images that can be used"):
            medsr.export(tiny_model, "openvino", out=tmp_path / "x.xml", int8=True, calibrate=folder)


@pytest.mark.slow
def test_nobody_is_told_that_openvino_is_used(eyes: Path, tiny_model: Path, tmp_path: Path) -> None:
    """OpenVINO and NNCF send usage events over the network when imported, if they find what sends them."""
    code = (
        "import sys, medsr\n"
        f"medsr.upscale({str(eyes)!r}, {str(tmp_path / 'out')!r}, model='medsr-retina-x2', engine='openvino')\n"
        f"out = {str(tmp_path / 'x.xml')!r}\n"
        f"medsr.export({str(tiny_model)!r}, 'openvino', out=out, int8=True, calibrate={str(eyes)!r})\n"
        "assert {'openvino', 'nncf'} <= set(sys.modules)\n"
        "found = [name for name, module in sys.modules.items() if name.startswith('openvino_telemetry') and module]\n"
        "assert not found, found\n"
        "from nncf.telemetry.wrapper import NNCFTelemetry, telemetry\n"
        "assert not isinstance(telemetry, NNCFTelemetry)"
    )
    silent = ("NNCF", "CI", "PYTEST")  # where they would keep quiet by themselves
    environment = {name: value for name, value in os.environ.items() if not name.startswith(silent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-800:]


def test_a_missing_package_is_named_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UsageError, match=r"`int8` needs the package nncf: pip install"):
        medsr.export("medsr-retina-x2", "openvino", int8=True, calibrate=tmp_path)
