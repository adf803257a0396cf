"""int8 is left to fp32 where an input lies outside of what calibrated it: beyond its ranges it cuts off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

import medsr
from medsr.core.types import Array
from medsr.engines.base import Compute
from medsr.engines.guarded import ROOM, GuardedEngine, extent
from medsr.networks import weight_store
from medsr.volumes.models import open_model, take_fp32_share
from tests.helpers.images import write_png

SHIPPED = [name for name, entry in weight_store.entries().items() if entry.int8_sha256]


class Constant:
    """An engine that gives one value."""

    name, device, precision, features = "openvino", "cpu", "int8", 8

    def __init__(self, value: float, card: dict[str, Any] | None = None) -> None:
        self.value, self.card = value, card or {}

    def __call__(self, batch: Array) -> Array:
        return np.full_like(batch, self.value)


def _guarded(calibrated: Array, largest_difference: float = 0.005) -> GuardedEngine:
    limits = [float(side) for side in extent(calibrated, 3)]
    measured = {"loss_db": 0.01, "largest_difference": largest_difference}
    card = {"spec": {"channels": 3}, "calibration": {"extent": limits}, "measured": measured}
    return GuardedEngine(Constant(8, card), lambda: Constant(32))  # type: ignore[arg-type]


SMOOTH = np.broadcast_to(np.linspace(0.2, 0.6, 40, dtype=np.float32), (1, 3, 30, 40)).copy()


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch + 0.2,  # brighter
        lambda batch: batch - 0.2,  # darker
        lambda batch: batch + np.array([0.1, 0, 0], np.float32)[:, None, None],  # redder
        lambda batch: batch - np.array([0, 0, 0.1], np.float32)[:, None, None],  # yellower
        lambda batch: np.where(np.arange(40) < 20, np.float32(0.3), np.float32(0.5)) + 0 * batch,  # a hard edge
        lambda batch: batch + np.float32(0.1) * (np.indices((30, 40)).sum(0) == 30),  # a fine line
        lambda batch: batch + np.float32("nan") * (np.indices((30, 40)).sum(0) == 30),
    ],
)
def test_what_is_brighter_more_coloured_or_sharper_is_left_to_fp32(change: Any) -> None:
    engine = _guarded(SMOOTH)
    assert engine(SMOOTH)[0, 0, 0, 0] == 8
    assert engine(change(SMOOTH).astype(np.float32))[0, 0, 0, 0] == 32
    assert engine(SMOOTH[:, :, ::-1, ::-1])[0, 0, 0, 0] == 8  # turned round it is the same
    assert engine.take_fp32_share() == pytest.approx(1 / 3)
    assert engine.take_fp32_share() is None


def test_int8_that_has_to_be_asked_for_also_takes_what_is_a_little_sharper() -> None:
    """But nothing that is brighter, or much sharper."""

    def with_line(strength: float) -> Array:
        return SMOOTH + np.float32(strength) * (np.indices((30, 40)).sum(0) == 30)

    exact, asked = (_guarded(with_line(0.05), largest_difference=difference) for difference in (0.005, 0.1))
    for batch, precisions in (
        (with_line(0.05), (8, 8)),
        (with_line(0.07), (32, 8)),
        (with_line(0.09), (32, 32)),
        (with_line(0.05) + np.float32(0.03), (32, 32)),
    ):
        assert (exact(batch)[0, 0, 0, 0], asked(batch)[0, 0, 0, 0]) == precisions


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_parts_of_what_calibrated_are_within_it(height: int, width: int, seed: int) -> None:
    batch = np.random.default_rng(seed).random((1, 3, 12, 12), dtype=np.float32)
    part = batch[:, :, :height, :width]
    assert np.all(extent(part, 3) <= extent(batch, 3) + ROOM)


@pytest.mark.parametrize("name", SHIPPED)
def test_hard_edges_and_noise_are_computed_in_fp32_and_so_said(name: str, tmp_path: Path) -> None:
    channels = 3 if "retina" in name else 1
    checks = np.kron(np.indices((24, 24)).sum(0) % 2, np.ones((3, 3))).astype(np.uint8) * 255
    write_png(tmp_path / "checks.png", np.repeat(checks[:, :, None], channels, axis=2))
    medsr.upscale(tmp_path / "checks.png", tmp_path / "int8", model=name, device="cpu", precision="int8")
    medsr.upscale(tmp_path / "checks.png", tmp_path / "fp32", model=name, device="cpu", precision="fp32")
    ours, theirs = (tmp_path / precision / "checks.png" for precision in ("int8", "fp32"))
    assert ours.read_bytes() == theirs.read_bytes()
    parameters = json.loads((tmp_path / "int8/upscale.json").read_text())["results"]["checks.png"]["parameters"]
    assert (parameters["precision"], parameters["fp32_share"]) == ("int8", 1.0)
    [again] = medsr.reproduce(tmp_path / "int8/upscale.json", input=tmp_path / "checks.png")
    assert again.how == "the same bytes"


def test_every_tile_is_looked_at_by_itself(whole_fundus: Array) -> None:
    image = np.asarray(Image.fromarray(whole_fundus).resize((400, 400), Image.Resampling.BICUBIC), np.float32) / 255
    image = gaussian_filter(image, (1, 1, 0))
    image[:40, :40] = np.kron(np.indices((20, 20)).sum(0) % 2, np.ones((2, 2)))[:, :, None]
    model = open_model("medsr-retina-x2", Compute("cpu", precision="int8"), tile=80)
    model(image, 2)
    share = take_fp32_share(model)["fp32_share"]
    assert 0 < share < 0.6
