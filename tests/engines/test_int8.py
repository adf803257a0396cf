"""int8 that nobody asks for: only where it was measured to be as good and faster, and sidecars say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import medsr
from medsr.core.errors import ComputationError, UsageError, WeightsError
from medsr.core.resources import resource_dir
from medsr.core.types import Array
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.engines import int8, openvino_engine, selection, speed
from medsr.engines.base import UNASKED_DIFFERENCE, UNASKED_LOSS, Compute
from medsr.engines.conversion import save_openvino
from medsr.engines.model_cache import cache_path, exported_hash, keep
from medsr.io.images import image as image_io
from medsr.metrics import psnr_ssim
from medsr.networks import weight_store
from medsr.volumes.models import open_model
from tests.helpers.images import write_png

SHIPPED = [name for name, entry in weight_store.entries().items() if entry.int8_sha256]
NAME = "medsr-retina-x2"
AUTO = Compute("cpu", precision="auto")
Record = Callable[[float, float], None]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Say how long int8 and fp32 take here, in a cache of its own."""
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))

    def put(seconds_int8: float, seconds_fp32: float) -> None:
        seconds = {"int8": seconds_int8, "fp32": seconds_fp32}
        monkeypatch.setattr(speed, "seconds_of", lambda engines, _: [seconds[engine.precision] for engine in engines])

    return put


def _opened(compute: Compute = AUTO, name: str = NAME) -> str:
    return selection.open_engine(weight_store.get(name).path, name, compute)[0].precision


def test_some_models_come_in_int8_and_no_file_of_it_is_unknown() -> None:
    assert NAME in SHIPPED
    files = {path.name for path in resource_dir("pretrained").glob("*.int8.*")}
    assert files == {f"{name}.int8.{kind}" for name in SHIPPED for kind in ("xml", "bin")}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_int8_model_is_of_its_weights_and_loses_next_to_nothing(name: str) -> None:
    entry = weight_store.get(name)
    assert exported_hash(entry.path.with_suffix(".int8.xml")) == entry.int8_sha256
    _, card = openvino_engine.read(entry.path.with_suffix(".int8.xml"))
    assert card["sha256"] == entry.sha256
    assert card["precision"] == "int8"
    assert len(card["measured"]["folders"]) == 2  # of two cameras, or of adults and children
    assert card["measured"]["loss_db"] <= UNASKED_LOSS
    assert card["measured"]["largest_difference"] <= UNASKED_DIFFERENCE


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_int8_keeps_every_pixel_within_a_hundredth_on_images_it_was_not_calibrated_on(
    name: str, real_data: Path
) -> None:
    entry = weight_store.get(name)
    scale = entry.scale or 0
    eyes = [
        *sorted((real_data / "retina/DRIVE").rglob("*_t*.tif"))[:2],
        *sorted((real_data / "retina/STARE").rglob("im*.ppm"))[:2],
    ]
    images = eyes if entry.suits == "fundus" else sorted((real_data / "chest/dicom").rglob("*.dcm"))
    assert images
    plain, quantised = (open_model(name, Compute("cpu", "openvino", precision)) for precision in ("fp32", "int8"))
    for path in images:
        whole = crop_to_multiple(image_io.read(path).to_unit(), 2 * scale)
        top, left = (max(0, (side - 480) // 2) for side in whole.shape[:2])
        truth = whole[top : top + 480, left : left + 480]
        low = bicubic_then_blur(truth, scale, 1.0).astype(np.float32)
        fp32, eighth = (psnr_ssim.eight_bit(model(low, scale)) for model in (plain, quantised))
        assert np.abs(plain(low, scale) - quantised(low, scale)).max() <= 0.01
        assert psnr_ssim.psnr(fp32, truth) - psnr_ssim.psnr(eighth, truth) <= 0.05


@pytest.mark.parametrize(("seconds", "precision"), [((0.5, 1.0), "int8"), ((0.95, 1.0), "fp32"), ((2.0, 1.0), "fp32")])
def test_auto_takes_int8_where_it_is_clearly_faster(
    seconds: tuple[float, float], precision: str, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(*seconds)
    assert _opened() == precision
    monkeypatch.setattr(speed, "seconds_of", lambda *_: pytest.fail("measured twice"))
    assert _opened() == precision


def test_another_processor_is_measured_anew(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record(0.5, 1.0)
    assert _opened() == "int8"
    monkeypatch.setattr(speed, "_here", lambda: {"processor": "another"})
    record(1.5, 1.0)
    assert _opened() == "fp32"


@pytest.mark.parametrize("compute", [Compute("cpu"), Compute("cpu", "torch", "auto"), Compute("cpu", compiled=True)])
def test_who_asks_for_fp32_or_torch_gets_it(compute: Compute, record: Record) -> None:
    record(0.5, 1.0)
    assert _opened(compute) == "fp32"


def test_without_a_place_to_keep_the_measurement_it_is_fp32(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be measured in every run, and come out otherwise in a run beside other work."""
    record(0.5, 1.0)
    monkeypatch.setattr(speed, "writable", lambda _: False)
    assert _opened() == "fp32"


def test_a_model_that_loses_more_is_not_taken_unasked(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record(0.5, 1.0)
    find = selection.find_int8

    def worse(*arguments: Any) -> Any:
        engine = find(*arguments)
        assert engine is not None
        engine.card["measured"]["largest_difference"] = 0.011
        return engine

    monkeypatch.setattr(selection, "find_int8", worse)
    assert _opened() == "fp32"
    assert _opened(Compute("cpu", precision="int8")) == "int8"


def test_a_changed_file_is_not_used(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record(0.5, 1.0)
    monkeypatch.setattr("medsr.engines.model_cache.exported_hash", lambda _: "0" * 64)
    assert _opened() == "fp32"


def test_a_full_disk_is_fp32_and_no_failure(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record(0.5, 1.0)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(speed, "write_text", full)
    assert _opened() == "fp32"


def test_after_a_calibration_it_is_measured_anew(record: Record) -> None:
    record(2.0, 1.0)
    assert _opened() == "fp32"
    record(0.5, 1.0)
    assert _opened() == "fp32"
    speed.forget(str(weight_store.get(NAME).sha256))
    assert _opened() == "int8"


def test_int8_is_not_even_read_where_it_was_measured_to_be_slower(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(2.0, 1.0)
    assert _opened() == "fp32"
    monkeypatch.setattr(selection, "find_int8", lambda *_: pytest.fail("read"))
    assert _opened() == "fp32"


@pytest.mark.parametrize("extent", [None, [], [0.5] * 59, ["x"] * 60, [float("nan")] * 60, {"a": 1}, 3])
def test_int8_that_does_not_say_how_far_it_was_calibrated_is_refused(extent: Any) -> None:
    """Of an earlier medsr: on sharper images than those that calibrated it was wrong by up to a third of full range."""
    card = {"spec": {"channels": 3}, "measured": {"loss_db": 0.0, "largest_difference": 0.001}}
    for calibration in ({}, {"calibration": 7}, {"calibration": {"extent": extent}}):
        assert not int8.good_unasked(card | calibration)
        with pytest.raises(UsageError, match=r"calibrated by an earlier medsr.*calibrate it again"):
            int8.check_int8(card | calibration, "mine")


def test_what_an_earlier_medsr_calibrated_gives_way_to_what_is_shipped(record: Record) -> None:
    record(0.5, 1.0)
    entry = weight_store.get(NAME)
    model, card = openvino_engine.read(entry.path.with_suffix(".int8.xml"))
    del card["calibration"]["extent"]
    keep(cache_path(str(entry.sha256), "int8"), model, card)
    assert _opened(Compute("cpu", precision="int8")) == "int8"
    assert _opened() == "int8"


def test_an_exported_int8_file_leaves_to_fp32_what_lies_beyond_it(tmp_path: Path, fundus: Array) -> None:
    sharp = fundus[:96, :96].astype(np.float32) / 255
    sharp[20:40, 20:40] = np.indices((20, 20)).sum(0)[:, :, None] % 2
    beside = weight_store.get(NAME).path.with_suffix(".int8.xml")
    fp32 = open_model(NAME, Compute("cpu", "openvino"))(sharp, 2)
    np.testing.assert_array_equal(open_model(beside, AUTO)(sharp, 2), fp32)
    model, card = openvino_engine.read(beside)
    save_openvino(tmp_path / "mine.xml", model, card | {"sha256": "0" * 64})  # of weights that are not here
    with pytest.raises(ComputationError, match=r"mine.xml: was not calibrated for an input so sharp"):
        open_model(tmp_path / "mine.xml", AUTO)(sharp, 2)


def test_an_exported_int8_file_does_not_compute_in_fp32() -> None:
    with pytest.raises(UsageError, match=r"`precision=fp32`: .*int8.xml was exported in int8"):
        open_model(weight_store.get(NAME).path.with_suffix(".int8.xml"), Compute("cpu"))


def test_it_is_evaluated_as_it_was_exported() -> None:
    beside = weight_store.get(NAME).path.with_suffix(".int8.xml")
    fp32 = Compute("cpu")
    assert open_model(beside, selection.as_stored(beside, fp32)).engine.precision == "int8"  # type: ignore[union-attr]
    assert selection.as_stored(NAME, fp32) == fp32


@pytest.mark.parametrize(
    "damage",
    [
        {"spec": []},
        {"spec": {"architecture": "rrdb", "scale": 2, "channels": 3}},
        {"spec": {"architecture": "rrdb", "scale": "2", "channels": 3, "hyperparameters": {}}},
        {"measured": None},
        {"measured": {"loss_db": "x"}},
        {"precision": 8},
    ],
)
def test_a_damaged_card_is_said_in_words(damage: dict[str, Any], tmp_path: Path) -> None:
    model, card = openvino_engine.read(weight_store.get(NAME).path.with_suffix(".int8.xml"))
    save_openvino(tmp_path / "mine.xml", model, card | damage)
    with pytest.raises(WeightsError, match=r"mine\.xml: not a model that medsr exported \(its card is not whole\)"):
        open_model(tmp_path / "mine.xml", AUTO)


def test_int8_that_was_calibrated_again_is_another_model(tmp_path: Path, fundus: Array) -> None:
    soft = Image.fromarray(fundus).resize((384, 384), Image.Resampling.BICUBIC)
    write_png(tmp_path / "eye.png", np.asarray(soft))
    medsr.upscale(tmp_path / "eye.png", tmp_path / "finer", model=NAME, device="cpu", precision="int8")
    sidecar = tmp_path / "finer/upscale.json"
    summary = json.loads(sidecar.read_text())
    parameters = summary["results"]["eye.png"]["parameters"]
    assert parameters["int8_sha256"] == weight_store.get(NAME).int8_sha256
    parameters["int8_sha256"] = "0" * 64
    sidecar.write_text(json.dumps(summary))
    with pytest.raises(WeightsError, match="was calibrated again for int8 since"):
        medsr.reproduce(sidecar)


def test_the_tile_is_repeated_as_it_decides_what_is_left_to_fp32(tmp_path: Path, fundus: Array) -> None:
    soft = np.array(Image.fromarray(fundus).resize((400, 400), Image.Resampling.BICUBIC))
    soft[:30, :30] = np.indices((30, 30)).sum(0)[:, :, None] % 2 * 255
    write_png(tmp_path / "eye.png", soft)
    medsr.upscale(tmp_path / "eye.png", tmp_path / "finer", model=NAME, device="cpu", precision="int8", tile=80)
    parameters = json.loads((tmp_path / "finer/upscale.json").read_text())["results"]["eye.png"]["parameters"]
    assert 0 < parameters["fp32_share"] < 1
    assert parameters["tile"] == 80
    assert medsr.reproduce(tmp_path / "finer/upscale.json", input=tmp_path / "eye.png")[0].how == "the same bytes"


def test_the_sidecar_says_int8_and_it_is_repeated_in_int8(record: Record, tmp_path: Path, fundus: Array) -> None:
    record(0.5, 1.0)
    soft = Image.fromarray(fundus).resize((384, 384), Image.Resampling.BICUBIC)  # as large photographs are
    write_png(tmp_path / "eye.png", np.asarray(soft))
    medsr.upscale(tmp_path / "eye.png", tmp_path / "finer", device="cpu", model=NAME)
    parameters = json.loads((tmp_path / "finer/upscale.json").read_text())["results"]["eye.png"]["parameters"]
    assert (parameters["engine"], parameters["precision"], parameters["fp32_share"]) == ("openvino", "int8", 0)
    record(2.0, 1.0)  # as on a machine that would not take it
    (tmp_path / "home").rename(tmp_path / "before")
    assert medsr.reproduce(tmp_path / "finer/upscale.json", input=tmp_path / "eye.png")[0].how == "the same bytes"
    medsr.upscale(tmp_path / "eye.png", tmp_path / "fp32", device="cpu", model=NAME, precision="fp32")
    ours, theirs = (image_io.read(tmp_path / name / "eye.png").pixels.astype(int) for name in ("finer", "fp32"))
    assert 0 < np.abs(ours - theirs).max() <= 3


def test_a_cohort_does_not_choose_by_the_machine() -> None:
    from medsr.commands.cohort.build_plan import complete_options

    for options in ({}, {"precision": "auto"}):  # the command line says every default
        assert complete_options("upscale", options)["precision"] == "fp32"
        assert complete_options("upscale", options, here=True)["precision"] == "auto"
    assert complete_options("upscale", {"precision": "int8"})["precision"] == "int8"
