"""The benchmark beside RealESRGANer: it takes weights in both forms, and ends in a table that a README can hold."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medsr.engines import bf16
from medsr.networks import checkpoint
from tests.helpers.images import write_png
from tests.helpers.upstream import needs_upstream

ROOT = Path(__file__).parent.parent


def benchmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "inference.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(6):
        rough = np.kron(rng.integers(0, 255, (32, 32, 3)), np.ones((5, 5, 1)))
        write_png(tmp_path / "photographs" / f"{number}.png", rough.astype(np.uint8))
    return tmp_path / "photographs"


def test_too_few_images_are_said_at_once(folder: Path) -> None:
    result = benchmark(folder)
    assert result.returncode == 2
    assert "6 images; 3 are measured and at least 4 more calibrate int8" in result.stderr


@pytest.mark.slow
@needs_upstream
def test_safetensors_beside_the_peer(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    spec = checkpoint.Spec("rrdb", 2, 3, {"features": 8, "blocks": 2, "growth": 4})
    checkpoint.save(tmp_path / "x2.safetensors", spec.build().state_dict(), spec)
    history, figures = tmp_path / "history.csv", tmp_path / "figures.json"
    options = ["--limit", "2", "--side", "48", "--threads", "1", "--json", figures, "--history", history]
    result = benchmark(folder, "--weights", tmp_path / "x2.safetensors", *options)
    assert result.returncode == 0, result.stderr[-800:]
    ours = 4 if bf16.available() else 3
    assert f"{3 + ours}/{3 + ours} medsr int8: " in result.stderr
    assert result.stdout.count("| medsr ") == ours
    assert result.stdout.count("| RealESRGANer tile ") == 1
    ways = json.loads(figures.read_text())["ways"]
    assert ways["medsr openvino"]["largest_difference"] <= 1 / 255 + 1e-6
    rows = list(csv.DictReader(history.open()))
    assert [row["method"] for row in rows] == list(ways)
    assert {row["weights"] for row in rows} == {"x2.safetensors"}
