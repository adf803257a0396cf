"""Phases and signed images are known by their values where nothing else says so."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.io.volumes.periodic import is_phase, is_signed
from medsr.networks.bundled import for_volume

STEPS = np.diag([1.0, 1.0, 4.0, 1.0])


def turns(shape: tuple[int, int, int] = (24, 24, 12)) -> np.ndarray:
    x, y, z = np.indices(shape)
    return np.angle(np.exp(1j * (0.4 * x + 0.3 * y + 0.11 * z + 0.01 * x * y)))


@pytest.mark.parametrize("unit", [1.0, 4096 / np.pi, 1000.0, 2048 / np.pi, 180 / np.pi])
def test_values_that_fill_a_turn_are_a_phase(unit: float) -> None:
    assert is_phase(Volume((turns() * unit).astype(np.float32), STEPS))
    assert is_phase(Volume(np.rint(turns() * 2000).astype(np.int16), STEPS, slope=unit / 2000))


def test_from_0_to_a_turn_is_a_phase_too() -> None:
    assert is_phase(Volume((turns() % (2 * np.pi)).astype(np.float32), STEPS))


def test_signed_images_are_interpolated_and_magnitudes_are_not() -> None:
    rng = np.random.default_rng(0)
    real = Volume(rng.normal(0, 200, (20, 20, 20)).astype(np.float32), STEPS)
    magnitude = Volume(np.abs(real.stored) - 20, STEPS)
    assert is_signed(real)
    assert not is_phase(real)
    assert not is_signed(magnitude)
    assert not is_phase(magnitude)
    assert for_volume(real).model == "cubic"
    assert for_volume(magnitude).model == "medsr-mri"
    assert for_volume(Volume(real.stored, STEPS, modality="MR")).model == "cubic"


def test_a_phase_in_memory_is_enlarged_by_nearest_neighbour_unless_a_model_is_named() -> None:
    values = turns().astype(np.float32)
    nearest = medsr.volume(values, affine=STEPS)
    np.testing.assert_array_equal(nearest.image, np.repeat(values, 4, axis=2))
    assert any("phase" in line for line in medsr.volume(values, affine=STEPS, model="cubic").summary["warnings"])


@pytest.mark.parametrize(
    "sidecar", ['{"Units": "rad"}', '{"ImageTypeText": ["ORIGINAL", "PRIMARY", "P"]}', '\ufeff{"ImageType": ["P"]}']
)
def test_a_sidecar_may_say_phase_in_other_words(tmp_path: Path, sidecar: str) -> None:
    nib.save(nib.Nifti1Image(np.ones((6, 6, 6), np.int16), STEPS), tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text(sidecar, "utf-8")
    assert is_phase(volume_io.read(tmp_path / "a.nii.gz"))
