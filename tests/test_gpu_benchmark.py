"""The benchmark for GPUs: its Real-ESRGAN is Real-ESRGAN, and it always ends with a table."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.helpers.upstream import needs_upstream

ROOT = Path(__file__).parent.parent
BESIDE_TORCH = {"torch", "torchvision", "numpy", "pillow"}
MODULES = {"scikit-image": "skimage", "opencv-python": "cv2", "pyyaml": "yaml", "basicsr": "basicsr"}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its modules can be imported, as from its own folder; those of other tests keep their names."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("gpu", "gpu_parts", "real_esrgan_steps", "training"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def module(name: str) -> ModuleType:
    return __import__(name)


@needs_upstream
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("tile", [0, 18])
def test_the_steps_written_out_give_real_esrganers_bytes(
    benchmarks: None, tmp_path: Path, scale: int, tile: int
) -> None:
    import torch

    from medsr.networks import upstream
    from medsr.networks.rrdb import rrdb

    torch.manual_seed(0)
    net = rrdb(scale, 3, 8, 1)
    with torch.no_grad():
        net.conv_last.weight *= 10
        net.conv_last.bias += 0.5
    torch.save({"params_ema": net.state_dict()}, tmp_path / "net.pth")
    image = np.random.default_rng(0).integers(0, 256, (37, 46, 3), np.uint8)
    settings = {"model_path": str(tmp_path / "net.pth"), "model": copy.deepcopy(net), "tile": tile, "device": "cpu"}
    theirs = upstream.real_esrganer()(scale=scale, **settings).enhance(image)[0]
    steps = module("real_esrgan_steps").RealEsrganerSteps(net, scale, tile, "cpu", half=False)
    assert theirs.std() > 1
    np.testing.assert_array_equal(steps.enhance(image), theirs)


@needs_upstream
def test_the_training_steps_written_out_are_realesrgans(benchmarks: None, tmp_path: Path) -> None:
    import torch

    from medsr.networks import upstream
    from medsr.networks.discriminators import unet_sn
    from medsr.networks.rrdb import rrdb

    upstream.real_esrganer()
    from realesrgan.models.realesrgan_model import RealESRGANModel

    training = module("training")
    sizes = {"blocks": 1, "features": 8, "crop": 64, "batch": 2, "iterations": 10}
    options = training.realesrgan_options(Namespace(folder="", workers=0, **sizes), tmp_path, gpu=False)
    options |= {"is_train": True, "dist": False, "rank": 0, "high_order_degradation": False, "l1_gt_usm": False}
    with pytest.MonkeyPatch.context() as patch:  # undone at the end: other tests train too
        for kind in (torch.nn.Module, torch.Tensor):
            patch.setattr(kind, "cuda", lambda self, *_: self)
        theirs = RealESRGANModel(options)
    torch.manual_seed(0)
    nets = rrdb(4, 3, 8, 1), unet_sn(3, 8), rrdb(4, 3, 8, 1)
    for net, source in ((theirs.net_g, nets[0]), (theirs.net_g_ema, nets[0]), (theirs.net_d, nets[1])):
        net.load_state_dict(source.state_dict())
    ours = module("real_esrgan_steps").TrainingSteps(*nets, "cpu")
    high, low = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 16, 16)
    for iteration in (1, 2):
        theirs.feed_data({"gt": high, "lq": low})
        theirs.optimize_parameters(iteration)
        names = {"l1": "l_g_pix", "gan": "l_g_gan", "real": "l_d_real", "fake": "l_d_fake"}
        assert ours.step(high, low) == {name: theirs.log_dict[other] for name, other in names.items()}
    for ours_net, theirs_net in ((nets[0], theirs.net_g), (nets[1], theirs.net_d), (nets[2], theirs.net_g_ema)):
        states = ours_net.state_dict(), theirs_net.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_operations_are_counted_without_computing(benchmarks: None) -> None:
    import torch

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 1))
    assert module("gpu_parts").operations(net, 1, 3, 10, 10) == 2 * 100 * (3 * 8 * 9 + 8 * 3)


def test_the_table_compares_with_the_fastest_peer_and_the_measured_peak(benchmarks: None) -> None:
    rows = [
        {"part": "peak", "way": "matrix product fp16", "precision": "fp16", "seconds": 0.01, "tflops": 800.0},
        {"part": "upscale", "way": "peer, tile 0", "precision": "fp16", "error": "out of memory", "peer": True},
        {"part": "upscale", "way": "peer, tile 512", "precision": "fp16", "seconds": 2.0, "tflops": 80.0, "peer": True},
        {"part": "upscale", "way": "medsr", "precision": "fp16", "seconds": 0.5, "tflops": 320, "peak_bytes": 1.5e9},
        {"part": "training", "way": "medsr", "precision": "fp16", "seconds": 0.25, "tflops": 400.0},
    ]
    machine = {"device": "NVIDIA A", "torch": "2.11", "cuda": "13.0", "medsr": "0.2"}
    lines = module("gpu").table({"machine": machine, "rows": rows}).splitlines()
    assert lines[0] == "NVIDIA A, torch 2.11, cuda 13.0, medsr 0.2"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert cells[1][2:] == ["", "", "", "", "", "out of memory"]
    assert cells[2][2:4] == ["2 s", "1.00"]
    assert cells[3][2:] == ["0.5 s", "4.00", "1.50", "320", "40 %", ""]
    assert cells[4][2:4] == ["4 it/s", ""]


def run(folder: Path, *options: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], dict]:
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--json", str(folder / "gpu.json"), *options]
    process = subprocess.run(
        command, env=os.environ | environment, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    written = folder / "gpu.json"
    return process, json.loads(written.read_text()) if written.is_file() else {}


def test_it_ends_in_time_with_a_table_that_says_what_is_missing(tmp_path: Path) -> None:
    process, record = run(tmp_path, "--tiny", "--minutes", "0.09")
    assert process.returncode == 5
    rows = [line for line in process.stdout.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in rows[1:]] == ["peak", "upscale", "volume", "training"]
    assert all("not finished within its" in row["error"] for row in record["rows"])


@pytest.mark.slow
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    process, _ = run(tmp_path, "--parts", "peak", CUDA_VISIBLE_DEVICES="")
    assert process.returncode == 2
    assert "no CUDA device here" in process.stderr
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.slow
def test_a_tiny_run_measures_everything(tmp_path: Path) -> None:
    process, record = run(tmp_path, "--tiny", "--minutes", "8")
    assert process.returncode == 0, process.stdout
    ways = [row["way"] for row in record["rows"]]
    assert {"RealESRGANer, fp32, tile 0", "medsr, fp32", "medsr-mri, fp32", "realesrgan/train.py's model, fp32"} <= {
        *ways
    }
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 0 for row in record["rows"])
    remark = next(row["remark"] for row in record["rows"] if row["way"] == "medsr, fp32")
    assert re.fullmatch("differs by at most [01] of 255", remark)


@pytest.mark.slow
def test_the_wheels_it_names_are_enough(tmp_path: Path) -> None:
    named = re.search(r"carry these wheels.*?\n\n(.*?)\n\n", (ROOT / "benchmarks/gpu.py").read_text(), re.DOTALL)
    assert named is not None
    wheels = set(re.findall(r"[a-z][a-z-]+[a-z]", named[1]))
    project = [line for line in requires("medsr") or [] if "extra ==" not in line]
    others = {re.split(r"[^\w-]", line)[0].lower() for line in project} - wheels - BESIDE_TORCH
    absent = [MODULES.get(name, name.replace("-", "_")) for name in (*others, "opencv-python", "tqdm", "requests")]
    assert {"SimpleITK".lower(), "cv2", "imagecodecs", "matplotlib"} <= {name.lower() for name in absent}
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        f"absent, find = {[name.lower() for name in absent]!r}, PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    return None if name.partition('.')[0].lower() in absent else find(name, path, target)\n"
        "PathFinder.find_spec = find_spec\n"
    )
    process, record = run(tmp_path, "--tiny", "--minutes", "8", PYTHONPATH=str(tmp_path))
    assert process.returncode == 0, process.stdout
    ways = {row["way"] for row in record["rows"]}
    assert {"RealESRGANer's steps, fp32, tile 0", "realesrgan/train.py's steps, fp32"} <= ways
