"""Refining a volume: constants, linearity, consistency, fusion, memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medsr.core.errors import ComputationError, UsageError
from medsr.engines.base import Compute, Engine
from medsr.volumes.acquisition import Acquisition, ConstantRegion, slabs
from medsr.volumes.back_projection import back_project
from medsr.volumes.fusion import Median, UncertaintyAccumulator
from medsr.volumes.models import open_slice_model
from medsr.volumes.refine import Method, check_planes, planes_for, refine, slices_to_run
from medsr.volumes.slice_models import SliceModel, SliceRefiner
from tests.helpers.scans import smooth_volume

FINE = (20, 18, 25)


@pytest.fixture
def model(refiner_file: Path) -> SliceModel:
    opened = open_slice_model(refiner_file, Compute("cpu")).model
    assert opened is not None
    return opened


@pytest.mark.parametrize("fuse", ["mean", "median", "weighted"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_a_constant_volume_comes_out_constant(model: SliceModel, fuse: str, dtype: str) -> None:
    stored = np.full((9, 8, 5), 37, dtype)
    result = refine(stored, (9, 8, 15), model, Method(fuse=fuse)).stored
    assert result.dtype == stored.dtype
    assert np.unique(result).tolist() == [37]


def test_an_answer_that_is_no_number_is_refused_not_made_zero(model: SliceModel) -> None:
    class Overflowing:
        name, device, precision, features = "torch", "cpu", "fp16", 8

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            return np.where(batch[:, :1] > 0.9, np.inf, batch[:, :1]).astype(np.float32)

    assert isinstance(model, SliceRefiner)
    with pytest.raises(ComputationError, match=r"in fp16 .* not numbers; use `precision=fp32`"):
        refine(smooth_volume(), FINE, replace(model, engine=Overflowing()), Method())


@pytest.mark.parametrize("fuse", ["mean", "median", "weighted"])
def test_times_two_plus_ten(model: SliceModel, fuse: str) -> None:
    stored, method = smooth_volume(), Method(fuse=fuse, planes=("sagittal", "coronal", "axial"))
    once = refine(stored, FINE, model, method).stored
    twice = refine(stored * 2 + 10, FINE, model, method).stored
    np.testing.assert_allclose(twice, once * 2 + 10, atol=2e-2)
    np.testing.assert_array_equal(refine(-stored.astype(np.int16), FINE, model, method).stored[:2], 0)


def test_back_projection_alone_is_a_spline_that_agrees_with_the_scan() -> None:
    stored = smooth_volume()
    alone, plain = (
        refine(stored, (20, 18, 27), open_slice_model(name).model, Method()) for name in ("back-projected", "cubic")
    )
    assert alone.after.largest < 1e-2 < 1 < plain.after.largest
    assert np.abs(alone.stored - plain.stored).max() < 0.3 * stored.max()  # a correction, not another volume


@pytest.mark.parametrize(("profile", "width"), [("box", 1.0), ("box", 0.8), ("gaussian", 1.0)])
@pytest.mark.parametrize("fine", [FINE, (40, 36, 18), (31, 18, 20)])
def test_acquiring_the_result_again_gives_the_scan(
    model: SliceModel, fine: tuple[int, int, int], profile: str, width: float
) -> None:
    stored = smooth_volume()
    result = refine(stored, fine, model, Method(profile=profile, width=width))
    assert result.before.largest > 10
    # Thousandths of the range are left where slices overlap: beside what is kept because nothing varies there.
    assert result.after.rms < (1e-3 if fine == (40, 36, 18) and (profile, width) == ("box", 1) else 3)
    seen = Acquisition(stored.shape, fine, profile, width).simulate_acquisition(result.stored)
    np.testing.assert_allclose(stored - seen, result.difference, atol=1e-3)
    without = refine(stored, fine, model, Method(consistency=False, profile=profile, width=width))
    assert without.before.rms == pytest.approx(without.after.rms, abs=1e-2)


def test_a_large_offset_or_scale_leaves_the_figures_right(model: SliceModel) -> None:
    plain = refine(smooth_volume().astype(np.float64), FINE, model, Method())
    for offset, scale in ((1e9, 1.0), (0.0, 1e40), (0.0, 1e-30)):
        moved = refine(smooth_volume().astype(np.float64) * scale + offset, FINE, model, Method())
        assert moved.after.rms / scale == pytest.approx(plain.after.rms, rel=0.2, abs=1e-3)
        np.testing.assert_allclose((moved.stored - offset) / scale, plain.stored, atol=0.01)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_scan_of_values_below_one_is_no_reason_to_warn(model: SliceModel) -> None:
    stored = (smooth_volume() / smooth_volume().max() / 2).astype(np.float32)
    assert refine(stored, FINE, model, Method()).clipped == 0


def test_integers_agree_to_their_rounding(model: SliceModel) -> None:
    stored = np.rint(smooth_volume()).astype(np.int16)
    result = refine(stored, (20, 18, 27), model, Method())
    assert result.stored.dtype == np.int16
    assert result.after.largest < 1.5


def test_what_does_not_vary_stays_exactly(model: SliceModel) -> None:
    """A background of zeros stays zero, whatever the network makes of it."""
    result = refine(smooth_volume(), FINE, model, Method()).stored
    assert np.unique(result[:2]).tolist() == [0]


def test_cubic_is_scipys_b_spline() -> None:
    from scipy.ndimage import zoom

    stored = smooth_volume()
    expected = zoom(stored, (1, 1, 25 / 9), order=3, mode="reflect", grid_mode=True)
    result = refine(stored, FINE, None, Method()).stored
    np.testing.assert_allclose(result[6:], expected[6:], atol=0.05)


def test_a_fresh_refiner_gives_the_consistent_spline() -> None:
    stored = smooth_volume()
    engine = open_slice_model("scratch", Compute("cpu"))
    acquisition = Acquisition(stored.shape, FINE)
    expected = stored @ acquisition.consistent()[2].T
    result = refine(stored, FINE, engine.model, Method(consistency=False)).stored
    np.testing.assert_allclose(result[6:], expected[6:], atol=0.05)


def test_fusion_by_definition(model: SliceModel) -> None:
    stored = smooth_volume()
    planes = ("sagittal", "coronal", "axial")
    alone = [refine(stored, FINE, model, Method(planes=(p,), consistency=False)).stored for p in planes]
    for fuse, reference in (("mean", np.mean), ("median", np.median)):
        fused = refine(stored, FINE, model, Method(planes=planes, fuse=fuse, consistency=False)).stored
        np.testing.assert_allclose(fused, reference(alone, axis=0), atol=0.02)
    two = refine(stored, FINE, model, Method(planes=planes[:2], fuse="median", consistency=False)).stored
    np.testing.assert_allclose(two, (alone[0] + alone[1]) / 2, atol=0.02)
    weighted = refine(stored, FINE, model, Method(planes=planes, fuse="weighted", consistency=False)).stored
    assert (weighted >= np.min(alone, axis=0) - 0.05).all()
    assert (weighted <= np.max(alone, axis=0) + 0.05).all()


def test_the_median_of_three_keeps_two_volumes() -> None:
    fusion, region = Median((4, 4, 4)), (slice(None),) * 3
    values = np.random.default_rng(0).random((3, 4, 4, 4)).astype(np.float32)
    for one in values:
        fusion.add(region, one)
        fusion.end_plane()
    np.testing.assert_allclose(fusion.result(), np.median(values, axis=0))


def test_the_spread_is_the_standard_deviation() -> None:
    spread, region = UncertaintyAccumulator((3, 4, 5)), (slice(None),) * 3
    samples = np.random.default_rng(0).random((3, 4, 3, 4, 5)).astype(np.float32)
    for plane in samples:
        spread.add(region, list(plane))
        spread.end_plane(4)
    np.testing.assert_allclose(spread.deviation(), samples.reshape(12, 3, 4, 5).std(axis=0), atol=1e-5)


def test_uncertainty_is_in_stored_units_and_zero_where_nothing_varies(model: SliceModel) -> None:
    result = refine(smooth_volume(), FINE, model, Method(uncertainty=True))
    assert result.spread is not None
    assert result.spread.shape == FINE
    np.testing.assert_array_equal(result.stored, refine(smooth_volume(), FINE, model, Method()).stored)
    assert result.spread[8:].mean() > 0.1
    doubled = refine(smooth_volume() * 2, FINE, model, Method(uncertainty=True))
    assert doubled.spread is not None
    np.testing.assert_allclose(doubled.spread, 2 * result.spread, atol=0.01)


def test_planes_are_those_that_hold_a_refined_axis() -> None:
    thick = Acquisition((10, 10, 5), (10, 10, 10))
    assert planes_for(thick, Method()) == ("sagittal", "coronal")
    assert planes_for(Acquisition((5, 5, 5), (10, 10, 10)), Method()) == ("sagittal", "coronal", "axial")
    assert slices_to_run(thick, Method()) == 20
    assert slices_to_run(thick, Method(uncertainty=True)) == 80
    check_planes(("axial", "coronal"), thick)
    with pytest.raises(UsageError, match="sagittal, coronal"):
        check_planes(("axial",), thick)


def test_any_generator_for_images_serves(tiny_model: Path) -> None:
    """An x2 RRDB: slices at their acquired size in, the target grid out."""
    engine = open_slice_model(tiny_model, Compute("cpu"))
    stored = np.rint(smooth_volume()).astype(np.int16)
    for fine in (FINE, (40, 36, 18)):
        result = refine(stored, fine, engine.model, Method())
        assert result.stored.shape == fine
        assert np.corrcoef(result.stored.ravel(), refine(stored, fine, None, Method()).stored.ravel())[0, 1] > 0.95


def test_batches_do_not_change_the_result(model: SliceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = refine(smooth_volume(), FINE, model, Method()).stored
    monkeypatch.setattr(SliceRefiner, "batch", lambda *_: 7)
    monkeypatch.setattr("medsr.volumes.acquisition.SLAB_BYTES", 1)
    np.testing.assert_allclose(refine(smooth_volume(), FINE, model, Method()).stored, whole, atol=0.01)


def test_running_out_of_memory_halves_the_batch(model: SliceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(model, SliceRefiner)
    expected, engine = model.slices(np.ones((8, 20, 20), np.float32), (2.0, 1.0)), type(model.engine)
    forward = engine.__call__

    def small(self: Engine, planes: np.ndarray) -> np.ndarray:
        if len(planes) > 2:
            raise RuntimeError("CUDA out of memory")
        return forward(self, planes)

    monkeypatch.setattr(engine, "__call__", small)
    np.testing.assert_allclose(model.slices(np.ones((8, 20, 20), np.float32), (2.0, 1.0)), expected, atol=1e-5)


def test_back_projection_never_takes_a_consistent_truth_further_away() -> None:
    truth = smooth_volume((20, 18, 24))
    acquisition = Acquisition((20, 18, 8), truth.shape)
    scan = acquisition.simulate_acquisition(truth)
    guess = truth + np.random.default_rng(1).normal(0, 30, truth.shape).astype(np.float32)
    far = np.abs(guess - truth).mean()
    back_project(guess, scan, acquisition, ConstantRegion(scan, acquisition))
    assert np.abs(guess - truth).mean() < far
    np.testing.assert_allclose(acquisition.simulate_acquisition(guess), scan, atol=0.01)


def test_slabs_cover_the_first_axis_once() -> None:
    parts = list(slabs((100, 400, 400)))
    assert [part.start for part in parts][1:] == [part.stop for part in parts][:-1]
    assert (parts[0].start, parts[-1].stop) == (0, 100)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method(), Method(planes=("sagittal", "coronal", "axial"), fuse="median")])
def test_memory_stays_under_four_times_the_result(model: SliceModel, method: Method) -> None:
    """NumPy's part of it, whatever the number of planes; torch's maps are those of one slice."""
    import tracemalloc

    stored, fine = np.random.default_rng(0).random((128, 128, 80), dtype=np.float32), (128, 128, 160)
    refine(stored[:16, :16, :8], (16, 16, 16), model, method)
    tracemalloc.start()
    refine(stored, fine, model, method)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 4 * np.prod(fine)


@pytest.mark.parametrize("fuse", ["mean", "median"])
def test_constant_background_is_left_out_with_the_same_result(fuse: str, refiner_file: Path) -> None:
    """Constant slices and borders cost nothing. Convolutions of another shape may round differently, now and then."""
    opened = open_slice_model(refiner_file, Compute("cpu", "torch")).model
    assert isinstance(opened, SliceRefiner)
    assert opened.receptive_radius
    seen = []

    class Counting:
        name, device, precision, features = "torch", "cpu", "fp32", 8

        def __call__(self, planes: np.ndarray) -> np.ndarray:
            seen.append(planes[0, 0].size)
            return opened.engine(planes)

    scan = np.full((90, 84, 31), 7, np.int16)
    scan[30:41, 50:63, 12:20] = (smooth_volume((11, 13, 8), seed=3) * 900).astype(np.int16)
    method = Method(fuse=fuse)  # type: ignore[arg-type]
    model = replace(opened, engine=Counting())
    output = refine(scan, (90, 84, 62), model, method).stored
    spent, seen[:] = sum(seen), []
    whole = refine(scan, (90, 84, 62), replace(model, receptive_radius=None), method).stored
    np.testing.assert_allclose(output, whole, rtol=0, atol=1)
    assert np.count_nonzero(output != whole) < 10
    assert spent < 0.8 * sum(seen)
    assert len(np.unique(output)) > 50
    assert (output[:20] == 7).all()


@pytest.mark.parametrize("method", [Method(), Method(consistency=False)])
def test_the_number_of_threads_changes_no_bit(method: Method) -> None:
    from threadpoolctl import threadpool_limits

    stored = smooth_volume((61, 60, 40))
    results = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, "blas"):
            results.append(refine(stored, (80, 78, 52), None, method).stored)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
