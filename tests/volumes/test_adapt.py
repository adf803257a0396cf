"""Learning from the scan's own slices."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medsr.core.errors import UsageError
from medsr.networks import checkpoint
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.adapt import _crops, adapt
from tests.helpers.scans import smooth_volume

SPEC = checkpoint.Spec("refiner", 1, 1, {"features": 8, "blocks": 1})


def anatomy(shape: tuple[int, int, int] = (72, 64, 24)) -> np.ndarray:
    """Sharp-edged structure in every plane."""
    return (smooth_volume(shape, 3) > 500).astype(np.float32)


@pytest.mark.slow
def test_a_fresh_network_learns_from_the_scan_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    ticks = count(0, 0.09)  # 200 iterations, on any machine
    monkeypatch.setattr("medsr.volumes.adapt.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    torch.manual_seed(0)
    unit = anatomy()
    shown: list[float] = []
    result = adapt(
        SPEC.build(),
        unit,
        Acquisition(unit.shape, (72, 64, 48)),
        0.3,
        "cpu",
        on_progress=lambda share, _: shown.append(share),
    )
    assert result.kept
    assert result.after < 0.993 * result.before
    assert shown == sorted(shown)
    assert shown[-1] > 0.9
    assert result.iterations == len(shown)


def test_weights_that_do_worse_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, net = anatomy(), SPEC.build()
    monkeypatch.setattr("medsr.volumes.adapt.RATE", 10.0)
    result = adapt(net, unit, Acquisition(unit.shape, (72, 64, 48)), 0.02, "cpu")
    assert not result.kept
    assert result.net is net


def test_only_slices_across_a_thick_axis_are_learned_from_and_others_held_out() -> None:
    unit = anatomy((64, 60, 24))
    acquisition = Acquisition(unit.shape, (64, 60, 72))
    from medsr.volumes.adapt import _as_acquired

    train, held_out = _crops(unit, acquisition, _as_acquired(acquisition))
    assert {normal for normal, _ in train.pairings} == {2}
    assert train.volumes.shape[2] + held_out.volumes.shape[2] == 24
    low, high = _as_acquired(acquisition).factors
    assert low < 3 < high


def test_a_scan_too_small_says_so() -> None:
    unit = anatomy((20, 18, 8))
    with pytest.raises(UsageError, match="20 x 18 x 8 voxels is too small"):
        adapt(SPEC.build(), unit, Acquisition(unit.shape, (20, 18, 16)), 0.01, "cpu")


@pytest.mark.slow
def test_adapting_on_the_command_line(refiner_file: Path, tmp_path: Path) -> None:
    import nibabel as nib

    from medsr.commands.volume.run import volume

    lines: list[str] = []
    scan = anatomy() * 100 + smooth_volume((72, 64, 24))
    nib.Nifti1Image(scan, np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "a.nii.gz")
    outcomes = volume(tmp_path / "a.nii.gz", tmp_path / "out", model=refiner_file, adapt=0.03, notify=lines.append)
    assert outcomes[0].error is None
    assert any("held-out slices" in line for line in lines)


def test_an_axis_that_gets_coarser_is_averaged_before_learning(
    refiner_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.5 x 0.5 x 3 mm to 1 mm: the network must learn at 1 mm, where it will work."""
    from medsr.commands.volume.run import volume
    from medsr.volumes import adapt as module

    seen: list[tuple[int, ...]] = []
    original = module.adapt

    def watched(net: object, unit: np.ndarray, *rest: object) -> object:
        seen.append(unit.shape)
        return original(net, unit, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "adapt", watched)
    scan = smooth_volume((144, 128, 16), 3)
    volume(scan, affine=np.diag([0.5, 0.5, 3, 1]), spacing=1.0, model=refiner_file, adapt=0.01)
    assert seen == [(72, 64, 16)]


def test_rows_are_as_thick_as_slices_and_columns_as_pixels() -> None:
    from medsr.volumes.adapt import _as_acquired, _drawn

    acquisition = Acquisition((48, 48, 24), (96, 96, 72), "box", 1.6, 2, 0.25)
    drawn = _drawn(acquisition, _as_acquired(acquisition), np.random.default_rng(0), 96)
    assert {(rows.profile, rows.width, rows.easing) for rows, _ in drawn} == {("box", 1.6, 0.25)}
    columns = [one for _, one in drawn if one]
    assert {(one.width, one.easing) for one in columns} == {(1.0, 0.0)}  # plain: as in training
    within = Acquisition((48, 48, 72), (96, 96, 72), "gaussian", 1.6, 2)
    assert {
        (rows.profile, rows.width) for rows, _ in _drawn(within, _as_acquired(within), np.random.default_rng(0), 96)
    } == {("box", 1.0)}
