"""Engines: OpenVINO computes what torch computes, the faster one is chosen, and nothing unmeasured is trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import medsr
from medsr.core.errors import UsageError, WeightsError
from medsr.engines import fp32, model_cache, openvino_engine, selection
from medsr.engines.base import LARGEST_DIFFERENCE, Compute
from medsr.io.files import sha256
from medsr.networks import checkpoint
from medsr.volumes.models import open_model
from tests.helpers.images import write_png

SPECS = [
    checkpoint.Spec("rrdb", 1, 3, {"features": 8, "blocks": 1, "growth": 4}),
    checkpoint.Spec("rrdb", 2, 3, {"features": 8, "blocks": 1, "growth": 4}),
    checkpoint.Spec("rrdb", 4, 1, {"features": 8, "blocks": 2, "growth": 4}),
    checkpoint.Spec("refiner", 1, 1, {"features": 8, "blocks": 2}),
]


def _weights(spec: checkpoint.Spec, folder: Path) -> Path:
    import torch

    torch.manual_seed(1)
    net = spec.build()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = folder / "net.safetensors"
    checkpoint.save(path, net.state_dict(), spec)
    return path


@pytest.mark.parametrize("spec", SPECS, ids=["rrdb-x1", "rrdb-x2", "rrdb-x4", "refiner"])
def test_openvino_computes_what_torch_computes_at_any_size(spec: checkpoint.Spec, tmp_path: Path) -> None:
    path = _weights(spec, tmp_path)
    medsr.export(path, "openvino")  # here: the process that opening it would start loads torch first
    channels = spec.channels + 2 * (spec.architecture == "refiner")
    engines = [selection.open_engine(path, "net", Compute("cpu", engine))[0] for engine in ("torch", "openvino")]
    assert [engine.name for engine in engines] == ["torch", "openvino"]
    assert engines[0].features == engines[1].features
    for batch, height, width in ((1, 32, 32), (1, 20, 44), (3, 16, 8), (1, 100, 12)):
        inputs = np.random.default_rng(height).random((batch, channels, height, width), dtype=np.float32)
        theirs, ours = (engine(inputs) for engine in engines)
        assert theirs.shape == ours.shape == (batch, spec.channels, spec.scale * height, spec.scale * width)
        np.testing.assert_allclose(ours, theirs, atol=LARGEST_DIFFERENCE * max(1, float(np.abs(theirs).max())))


@pytest.fixture
def image(tmp_path: Path, fundus: np.ndarray) -> Path:
    return write_png(tmp_path / "in" / "eye.png", fundus[:90, :70])


@pytest.mark.slow
def test_the_threads_change_no_bit(image: Path, tmp_path: Path) -> None:
    results = []
    for threads in ("1", "3"):
        call = [sys.executable, "-m", "medsr", "upscale", str(image), "--out", str(tmp_path / threads)]
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        subprocess.run([*call, "--engine", "openvino"], check=True, capture_output=True, env=environment)
        results.append((tmp_path / threads / "eye.png").read_bytes())
    assert results[0] == results[1]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_once_converted_torch_is_not_even_loaded(precision: str, image: Path, tmp_path: Path) -> None:
    wish = {"model": "medsr-retina-x2", "device": "cpu", "engine": "openvino", "precision": precision}
    medsr.upscale(image, tmp_path / "first", **wish)  # type: ignore[arg-type]
    inputs = (str(image), str(tmp_path / "second"))
    code = (
        "import sys, medsr\n"
        f"[done] = medsr.upscale(*{inputs!r}, **{wish!r})\n"
        "assert done.error is None, done.error\n"
        "assert 'torch' not in sys.modules and 'basicsr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "first/eye.png").read_bytes() == (tmp_path / "second/eye.png").read_bytes()
    summary = json.loads((tmp_path / "second/upscale.json").read_text())["results"]["eye.png"]["parameters"]
    assert 0 < summary.pop("strength") < 1
    for name in ("fp32_share", "int8_sha256", "tile"):
        assert (summary.pop(name, None) is None) == (precision == "fp32" and name != "tile")
    computed = {"engine": "openvino", "precision": precision, "consistency": True}
    assert summary == {"outscale": 2, "bits": None, "keep_metadata": False, **computed}
    assert medsr.reproduce(tmp_path / "second/upscale.json")[0].how == "the same bytes"


@pytest.fixture
def own_conversion(
    tiny_model: Path, conversions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A copy of the tiny model's conversion for tests that change it: the other tests rely on theirs."""
    home = tmp_path / "own_home"
    monkeypatch.setenv("MEDSR_HOME", str(home))
    name = model_cache.cache_path(sha256(tiny_model), "fp32").parent.name
    shutil.copytree(conversions / name, home / "engines" / name)
    return monkeypatch


@pytest.mark.parametrize(
    ("seconds", "difference", "chosen"),
    [
        ({"torch": 2.0, "openvino": 1.0}, 1e-6, "openvino"),
        ({"torch": 1.0, "openvino": 2.0}, 1e-6, "torch"),
        ({"torch": 2.0, "openvino": 1.0}, 1e-3, "torch"),
    ],
    ids=["faster", "slower", "wrong"],
)
def test_auto_takes_the_faster_that_is_right(
    seconds: dict[str, float], difference: float, chosen: str, tiny_model: Path, own_conversion: pytest.MonkeyPatch
) -> None:
    kept = model_cache.cache_path(sha256(tiny_model), "fp32")
    model, card = openvino_engine.read(kept)
    assert card["difference"] < LARGEST_DIFFERENCE
    assert set(card["seconds"]) == {"torch", "openvino"}
    model_cache.keep(kept, model, card | {"seconds": seconds, "difference": difference})
    own_conversion.setattr(fp32, "convert", lambda *_: pytest.fail("measured twice"))
    assert selection.open_engine(tiny_model, "tiny", Compute("cpu"))[0].name == chosen


@pytest.mark.slow
@pytest.mark.slow
def test_of_two_that_begin_together_one_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one finds the other's files half written, or both choose by different measurements."""
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))
    path = _weights(SPECS[1], tmp_path)
    conversions: list[int] = []
    run = subprocess.run

    def counted(*arguments: Any, **keywords: Any) -> Any:
        conversions.append(1)
        return run(*arguments, **keywords)

    monkeypatch.setattr(fp32.subprocess, "run", counted)
    with ThreadPoolExecutor(2) as pool:
        opened = [pool.submit(selection.open_engine, path, str(path), Compute("cpu")) for _ in range(2)]
        names = {thread.result()[0].name for thread in opened}
    assert len(conversions) == 1
    assert len(names) == 1


def test_what_cannot_be_converted_is_said_with_its_code(tmp_path: Path) -> None:
    torch.save({"body.0.rdb1.conv1.weight": torch.zeros(4, 8, 3, 3)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"a\.pth.*`engine=torch` with `precision=fp32` goes without"):
        open_model(tmp_path / "a.pth", Compute("cpu", "openvino"))


@pytest.mark.slow
@pytest.mark.usefixtures("own_conversion")
def test_a_damaged_conversion_is_made_again(tiny_model: Path) -> None:
    inputs = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    before = selection.open_engine(tiny_model, "tiny", Compute("cpu", "openvino"))[0](inputs)
    kept = model_cache.cache_path(sha256(tiny_model), "fp32")
    content = bytearray(kept.with_suffix(".bin").read_bytes())
    content[100] ^= 64
    kept.with_suffix(".bin").write_bytes(content)
    np.testing.assert_array_equal(
        selection.open_engine(tiny_model, "tiny", Compute("cpu", "openvino"))[0](inputs), before
    )
    assert kept.with_suffix(".bin").read_bytes() != content


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"engine": "tensorrt"}, "expected one of auto, torch, openvino"),
        ({"precision": "int4"}, "expected one of auto, fp32, fp16, bf16, int8"),
        ({"engine": "torch", "precision": "int8"}, "is for OpenVINO"),
        ({"engine": "openvino", "precision": "fp16"}, "is for torch"),
        ({"max_gpu_memory": 0.0}, "above 0"),
    ],
)
def test_what_there_is_not_is_refused(wish: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Compute(**wish)  # type: ignore[arg-type]


def test_what_is_not_here_is_said(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"medsr export .* --int8 --calibrate"):
        open_model(tiny_model, Compute("cpu", precision="int8"))
    with pytest.raises(UsageError, match="needs a CUDA device"):
        open_model(tiny_model, Compute("cpu", precision="fp16"))
    monkeypatch.setattr(openvino_engine, "available", lambda: False)
    with pytest.raises(UsageError, match=r"pip install .*medsr\[openvino\]"):
        open_model(tiny_model, Compute("cpu", "openvino"))
    assert open_model(tiny_model, Compute("cpu")).engine.name == "torch"  # type: ignore[attr-defined]


def test_files_that_are_no_exports_of_ours_are_refused(tmp_path: Path) -> None:
    for name, content in (("a.xml", b"<net/>"), ("b.onnx", b"\x08\x01"), ("c.xml", b""), ("d.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="not a model that medsr exported"):
            open_model(tmp_path / name, Compute("cpu"))


@pytest.mark.slow
def test_a_compiled_network_computes_the_same(tiny_model: Path, image: Path, tmp_path: Path) -> None:
    plain, compiled = (open_model(tiny_model, Compute("cpu", "torch", compiled=one)) for one in (False, True))
    unit = np.random.default_rng(0).random((40, 30, 3), dtype=np.float32)
    np.testing.assert_allclose(compiled(unit, 2), plain(unit, 2), atol=1e-5)
    with pytest.raises(UsageError, match="is for torch"):
        Compute("cpu", "openvino", compiled=True)


WATCH = """
import contextlib, os, sys, threading
import numpy as np
from medsr.engines.base import Compute
from medsr.volumes.models import open_slice_model

model = open_slice_model(sys.argv[1], Compute("cpu", "openvino")).model
seen, done = set(), threading.Event()

def watch():
    while not done.is_set():
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):
                seen.add(tuple(sorted(os.sched_getaffinity(int(task)))))

watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(20):
    model.slices(np.zeros((1, 256, 256), np.float32), (2.0, 1.0))
done.set()
watcher.join()
print(len(seen))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where a thread may run")
def test_openvino_leaves_its_threads_where_the_system_puts_them(refiner_file: Path) -> None:
    """Pinned while they compute, two processes of one thread each sat on the same core: 2.6 times as slow."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(refiner_file)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == "1"


def test_without_a_cache_that_can_be_written_auto_computes_in_torch_and_says_so(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(fp32, "convert", lambda *_: pytest.fail("converted"))
    assert selection.open_engine(tiny_model, "tiny", Compute("cpu"))[0].name == "torch"
    assert "computed in torch" in caplog.text
