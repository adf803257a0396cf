"""`--fuse learned`: the network gets the right slices, is refused where it does not fit, stands in the sidecar."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import torch

import medsr
from medsr.core.errors import ComputationError, UsageError, WeightsError
from medsr.degradation.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.io.volumes import volume as volume_io
from medsr.networks import checkpoint
from medsr.volumes import learned_fusion
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.models import open_model, open_slice_model
from medsr.volumes.refine import Method, refine
from tests.helpers.scans import smooth_volume


def fuser_file(path: Path, std: float = 0.0) -> Path:
    """A small fusion network: with 0 a fresh one, the plain mean."""
    torch.manual_seed(0)
    spec = checkpoint.Spec("fuser", 1, 1, {"features": 8, "blocks": 1})
    net = spec.build()
    with torch.no_grad():
        torch.nn.init.normal_(net.conv_last.weight).mul_(std)
    checkpoint.save(path, net.state_dict(), spec)
    return path


def _thick(axis: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """A scan thick along that axis, its sides all different and odd, and the shape it is refined to."""
    shape = [31, 27, 35]
    fine = smooth_volume(tuple(shape))
    shape[axis] = shape[axis] // 3 * 3
    fine = fine[tuple(slice(n) for n in shape)]
    operator = matrix(shape[axis], shape[axis] // 3).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(np.tensordot(operator, fine, (1, axis)), 0, axis)), fine.shape


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_fresh_network_is_the_plain_mean_whatever_axis_is_thick(
    axis: int, refiner_file: Path, tmp_path: Path
) -> None:
    thick, fine = _thick(axis)
    model = open_slice_model(refiner_file, Compute("cpu", "torch")).model
    mean = refine(thick, fine, model, Method()).stored
    fused = refine(thick, fine, model, Method(fuse=str(fuser_file(tmp_path / "f.safetensors")))).stored
    np.testing.assert_allclose(fused, mean, atol=1e-3 * np.ptp(thick) / 255)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_network_sees_both_planes_where_they_meet(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slices it gets are those of the volumes the planes made, at the same place, and of the interpolation."""
    thick, fine = _thick(axis)
    acquisition = Acquisition(thick.shape, fine)
    rng = np.random.default_rng(0)
    first, second = (rng.random(fine, np.float32) for _ in range(2))
    interpolated = thick
    for n, operator in enumerate(acquisition.consistent()):
        interpolated = np.moveaxis(np.tensordot(operator, interpolated, (1, n)), 0, n)
    for index, seen in enumerate(learned_fusion.third_plane(thick, first, second, acquisition)):
        np.testing.assert_array_equal(seen.first, first.take(index, axis))
        np.testing.assert_array_equal(seen.second, second.take(index, axis))
        np.testing.assert_allclose(seen.interpolated, interpolated.take(index, axis), atol=1e-3)
        assert seen.factor == pytest.approx(3)


@pytest.mark.slow
def test_a_refined_scan_agrees_with_what_was_acquired_and_can_be_made_again(refiner_file: Path, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])), tmp_path / "scan.nii.gz")
    fuser = fuser_file(tmp_path / "mine.safetensors", std=0.05)
    options = {"model": refiner_file, "device": "cpu", "report": True}
    medsr.volume(tmp_path / "scan.nii.gz", tmp_path / "mean", **options)
    medsr.volume(tmp_path / "scan.nii.gz", tmp_path / "out", fuse=str(fuser), **options)
    assert "(fuse: mine.safetensors)" in (tmp_path / "out/scan_report.html").read_text()
    output = [volume_io.read(tmp_path / one / "scan.nii.gz").stored for one in ("mean", "out")]
    assert not np.array_equal(*output)
    summary = json.loads((tmp_path / "out/scan.json").read_text())
    assert len(summary["parameters"]["fusion_sha256"]) == 64
    assert "fusion_sha256" not in json.loads((tmp_path / "mean/scan.json").read_text())["parameters"]
    assert summary["consistency"]["after"]["rms"] <= summary["consistency"]["before"]["rms"]
    [compared] = medsr.reproduce(tmp_path / "out/scan.json", model=refiner_file)
    assert compared.same, compared.how
    [again] = medsr.volume(tmp_path / "scan.nii.gz", tmp_path / "out", fuse=str(fuser), skip_done=True, **options)
    assert again.skipped
    fuser_file(fuser, std=0.1)
    [anew] = medsr.volume(tmp_path / "scan.nii.gz", tmp_path / "out", fuse=str(fuser), skip_done=True, **options)
    assert not anew.skipped  # other weights under the same name
    fuser_file(fuser, std=0.05)
    with pytest.raises(WeightsError, match="not the fusion network the result was made with"):
        medsr.reproduce(tmp_path / "out/scan.json", model=refiner_file)


def test_weights_it_was_not_made_for_are_remarked_upon(refiner_file: Path) -> None:
    scan, affine = smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])
    remarks = {
        model: " ".join(
            medsr.volume(scan, affine=affine, model=model, fuse="learned", device="cpu").summary["warnings"]
        )
        for model in ("medsr-mri", refiner_file)
    }
    assert "learned to fuse" not in remarks["medsr-mri"]
    assert f"what other weights than {refiner_file.name} make" in remarks[refiner_file]


def test_it_fuses_what_the_adapted_network_makes(
    refiner_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--adapt` beside it: the planes are those of the adapted weights; of weights that were not kept, as without."""
    scan, fuser = smooth_volume((44, 40, 12), 3), str(fuser_file(tmp_path / "f.safetensors", std=0.05))

    def made(fuse: str, adapt: float | None) -> np.ndarray:
        ticks = count(0, 0.09)  # as many iterations on any machine
        monkeypatch.setattr("medsr.volumes.adapt.time", SimpleNamespace(monotonic=lambda: next(ticks)))
        options = {"model": refiner_file, "device": "cpu", "engine": "torch"}
        return medsr.volume(scan, affine=np.diag([1, 1, 2, 1.0]), fuse=fuse, adapt=adapt, **options).image

    learned_only, both, adapted_only = made(fuser, None), made(fuser, 0.02), made("mean", 0.02)
    for one, other in ((learned_only, both), (both, adapted_only)):
        assert not np.array_equal(one, other)
    np.testing.assert_array_equal(both, made(fuser, 0.02))
    monkeypatch.setattr("medsr.volumes.adapt.RATE", 10.0)
    np.testing.assert_array_equal(learned_only, made(fuser, 0.01))


def test_what_it_does_not_fit_is_refused(refiner_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    fuser = str(fuser_file(tmp_path / "f.safetensors"))
    scan = smooth_volume((26, 24, 10))
    options = {"model": refiner_file, "device": "cpu"}
    with pytest.raises(UsageError, match="thick along one axis; 3 are refined here"):
        medsr.volume(scan, affine=np.eye(4), scale=2, fuse=fuser, **options)
    with pytest.raises(UsageError, match="takes both planes"):
        medsr.volume(scan, affine=np.diag([1, 1, 3, 1.0]), planes="sagittal", fuse=fuser, **options)
    with pytest.raises(UsageError, match="holds no fusion network"):
        medsr.volume(scan, affine=np.diag([1, 1, 3, 1.0]), fuse=str(tiny_model), **options)
    with pytest.raises(UsageError, match="expected one of mean, median, weighted, learned, or a fusion network"):
        medsr.volume(scan, affine=np.diag([1, 1, 3, 1.0]), fuse="best", **options)
    with pytest.raises(UsageError, match="use it with `fuse`"):
        open_slice_model(fuser)
    with pytest.raises(UsageError, match="use it with `fuse`"):
        open_model(fuser)


def test_it_is_computed_by_the_engine_that_computes_the_planes() -> None:
    pytest.importorskip("openvino")
    scan, affine = smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])
    learned_fusion._opened.cache_clear()
    options = {"model": "medsr-mri", "fuse": "learned", "device": "cpu", "precision": "fp32"}
    images = [medsr.volume(scan, affine=affine, engine=engine, **options).image for engine in ("torch", "openvino")]
    np.testing.assert_allclose(images[1], images[0], atol=1e-4 * np.ptp(scan))
    engines = [learned_fusion.open_fuser("learned", engine).engine.name for engine in ("torch", "auto")]
    assert engines == ["torch", "openvino"]
    assert learned_fusion._opened.cache_info().misses == 2  # those that the scans were fused by


@pytest.mark.parametrize("form", ["name", "safetensors", "onnx"])
def test_it_is_not_a_model_by_itself(form: str) -> None:
    weights = learned_fusion.file_of("learned")
    model = learned_fusion.BUNDLED if form == "name" else weights.with_suffix(f".{form}")
    for opened_by in (open_model, open_slice_model):
        with pytest.raises(UsageError, match="fuses what a model made of two planes; use it with `fuse`"):
            opened_by(model)
    with pytest.raises(UsageError, match="is an exported network; give the weight file"):
        learned_fusion.file_of(str(weights.with_suffix(".onnx")))


@pytest.mark.slow
def test_a_known_name_is_as_good_as_a_file() -> None:
    scan, affine = smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])
    output = [
        medsr.volume(scan, affine=affine, model="medsr-mri", fuse=fuse, device="cpu").image
        for fuse in ("learned", learned_fusion.BUNDLED)
    ]
    np.testing.assert_array_equal(*output)
    with pytest.raises(UsageError, match="holds no fusion network"):
        medsr.volume(scan, affine=affine, model="medsr-mri", fuse="medsr-mri", device="cpu")


@pytest.mark.parametrize("model", ["cubic", "back-projected"])
def test_what_no_network_made_is_left_as_it_is(model: str, tmp_path: Path) -> None:
    scan, affine = smooth_volume((26, 24, 10)), np.diag([1, 1, 3, 1.0])
    fuser = str(fuser_file(tmp_path / "f.safetensors", std=0.1))
    plain = medsr.volume(scan, affine=affine, model=model).image
    np.testing.assert_array_equal(medsr.volume(scan, affine=affine, model=model, fuse=fuser).image, plain)


def test_an_answer_that_is_no_number_is_refused(refiner_file: Path, tmp_path: Path) -> None:
    fuser = fuser_file(tmp_path / "f.safetensors", std=float("nan"))
    with pytest.raises(ComputationError, match="not numbers"):
        medsr.volume(
            smooth_volume((26, 24, 10)),
            affine=np.diag([1, 1, 3, 1.0]),
            model=refiner_file,
            fuse=str(fuser),
            device="cpu",
        )
