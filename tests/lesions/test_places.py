from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medsr.core.errors import InputError
from medsr.lesions.kinds import KINDS
from medsr.lesions.places import allowed

T1, T2, FLAIR = (0.8, 0.6, 0.2), (0.3, 0.45, 1.0), (0.5, 0.6, 0.1)
"""White matter, grey matter, cerebrospinal fluid."""


def _brain(
    contrast: tuple[float, float, float], whole_head: bool, step: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A volume, and which tissue is where."""
    half = np.round(np.array([85, 100, 85]) / step).astype(int)
    x, y, z = (axis * step for axis in np.ogrid[tuple(slice(-n, n + 1) for n in half)])
    radius = np.sqrt((x / 62) ** 2 + (y / 78) ** 2 + (z / 60) ** 2)
    brain = radius < 1
    folds = np.sin(x / 3) + np.sin(y / 3.2) + np.sin(z / 2.8) > 0.3
    cortex = brain & (radius > 0.78)
    ventricles = (abs(x) < 8) & (abs(y) < 25) & (abs(z) < 10)
    nuclei = (abs(x) - 22) ** 2 + y**2 + (z + 5) ** 2 < 11**2
    fluid = cortex & folds | ventricles
    grey = (cortex & ~folds | nuclei) & ~fluid
    tissue = {"white": brain & ~grey & ~fluid, "grey": grey, "fluid": fluid, "outside": ~brain}
    truth = np.zeros(brain.shape)
    for value, name in zip(contrast, ("white", "grey", "fluid"), strict=True):
        truth[tissue[name]] = value
    if whole_head:
        truth = truth + 0.9 * ((radius > 1.12) & (radius < 1.22)) + 0.1 * ((radius >= 1) & (radius <= 1.12))
    rng = np.random.default_rng(0)
    truth = gaussian_filter(np.asarray(truth, np.float32), 0.4) + rng.normal(0, 0.02, truth.shape)
    return np.clip(truth, 0, None).astype(np.float32), tissue


@pytest.mark.parametrize("whole_head", [False, True])
@pytest.mark.parametrize("contrast", [T1, T2, FLAIR])
def test_lesions_of_a_brain_lie_in_white_matter_whatever_the_contrast(
    contrast: tuple[float, float, float], whole_head: bool
) -> None:
    truth, tissue = _brain(contrast, whole_head, 2.0)
    mask = allowed("mri", truth, 2.0)
    assert mask.shape == truth.shape
    assert tissue["white"][mask].mean() > 0.995
    assert mask.sum() > 0.2 * tissue["white"].sum()
    assert abs(np.argwhere(mask)[:, 0].mean() - truth.shape[0] // 2) < 3, "both hemispheres"


def test_a_finer_grid_shows_the_same_white_matter() -> None:
    fine, tissue = _brain(T1, False, 1.0)
    mask = allowed("mri", fine, 1.0)
    assert tissue["white"][mask].mean() > 0.99
    assert mask.sum() > 0.2 * tissue["white"].sum()


def _chest() -> tuple[np.ndarray, np.ndarray]:
    """A radiograph, (H, W, 1), of a bright body with air beside it, and where its lungs are."""
    y, x = np.mgrid[:512, :480]
    body = (abs(x - 240) < 190) | (y > 470)
    lungs = [((x - middle) / 75) ** 2 + ((y - 230) / 160) ** 2 < 1 for middle in (140, 340)]
    ribs = 0.06 * (np.sin(y / 9) > 0.5)
    image = np.where(body, 0.75, 0.06) + ribs * body
    image[lungs[0]] -= 0.4
    image[lungs[1]] -= 0.3
    image = gaussian_filter(image, 3) + np.random.default_rng(0).normal(0, 0.01, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)[..., None], np.stack(lungs)


def test_nodules_lie_in_both_lungs_away_from_their_edges() -> None:
    truth, lungs = _chest()
    mask = allowed("cxr", truth, 0.8)
    assert not (mask & ~lungs.any(axis=0)).any()
    for lung in lungs:
        assert mask[lung].mean() > 0.6
    colour = allowed("cxr", np.repeat(truth, 3, axis=2), 0.8)
    assert (colour == mask).all()
    larger = allowed("cxr", truth.repeat(3, 0).repeat(3, 1), 0.8 / 3)
    assert (larger[1::3, 1::3] == mask).mean() > 0.98


def _eye() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    y, x = np.mgrid[:584, :565]
    field = (y - 290) ** 2 + (x - 280) ** 2 < 265**2
    vessels = np.zeros(field.shape, bool)
    for height in range(60, 560, 70):
        vessels |= abs(y - height - 15 * np.sin(x / 40)) < 3
    disc = (y - 300) ** 2 + (x - 430) ** 2 < 36**2
    image = np.stack([0.7 * field, 0.4 * field, 0.2 * field], axis=-1)
    image[vessels & field] *= (0.9, 0.75, 0.85)
    image[disc] *= (1.3, 1.8, 2)
    spots = ((y - 200) ** 2 + (x - 200) ** 2 < 6**2) & field
    image[spots] *= (1.1, 1.5, 1.2)
    image = gaussian_filter(image, (1, 1, 0)) + np.random.default_rng(0).normal(0, 0.004, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), {"outside": ~field, "vessel": vessels, "disc": disc, "spot": spots}


def test_lesions_of_a_fundus_lie_off_vessels_disc_and_edge() -> None:
    truth, parts = _eye()
    mask = allowed("fundus", truth, 1.0)
    for name, part in parts.items():
        assert mask[part].mean() < 0.01, name
    assert mask.sum() > 0.4 * (~parts["outside"]).sum()
    large = np.kron(truth, np.ones((3, 3, 1), np.float32))
    assert (allowed("fundus", large, 1.0)[1::3, 1::3] == mask).mean() > 0.97


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_where_there_is_no_such_place_that_is_said(kind: str, value: float) -> None:
    flat = np.full((60, 60, 60) if kind == "mri" else (300, 300, 3), value, np.float32)
    with pytest.raises(InputError, match="Leave this"):
        allowed(kind, flat, 1.0)  # type: ignore[arg-type]


def test_what_shows_another_part_is_no_chest() -> None:
    with pytest.raises(InputError, match="no lung was found"):
        allowed("cxr", np.random.default_rng(0).uniform(0, 1, (256, 256, 1)).astype(np.float32), 1.0)


def _scan(path: Path) -> np.ndarray:
    stored = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, np.float32)  # type: ignore[attr-defined]
    return (stored / np.percentile(stored, 99.9)).astype(np.float32)


def test_real_scans_of_one_patient_show_the_same_white_matter(real_data: Path) -> None:
    """Of a brain with a large stroke: what T1, T2 and FLAIR each call white matter, the others show as such too."""
    scans = {name: _scan(real_data / f"mri/other/stroke_{name}.nii.gz") for name in ("T1", "T2", "FLAIR")}
    masks = {name: allowed("mri", scan, 1.0) for name, scan in scans.items()}
    common = masks["T1"] & masks["T2"] & masks["FLAIR"]
    for name, scan in scans.items():
        middle, spread = np.median(scan[common]), np.subtract(*np.quantile(scan[common], (0.95, 0.05)))
        for other in masks.values():
            assert (abs(scan[other] - middle) < spread).mean() > 0.8, name


@pytest.mark.parametrize("patient", [19, 26])
def test_real_lesions_are_not_taken_for_white_matter(real_data: Path, patient: int) -> None:
    folder = real_data / "mri/flair_lesions"
    mask = allowed("mri", _scan(folder / f"lesjak_patient{patient}_FLAIR.nii.gz"), 1.0)
    path = folder / f"lesjak_patient{patient}_GOLD_STANDARD.nii.gz"
    lesions = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj) > 0  # type: ignore[attr-defined]
    assert lesions[mask].mean() < 0.02
    assert mask.sum() > 30_000


@pytest.mark.parametrize("number", ["01", "03", "08", "19"])
def test_real_retina_is_off_the_vessels_that_a_reader_drew(real_data: Path, number: int) -> None:
    folder = real_data / "retina/DRIVE/test"
    truth = np.asarray(Image.open(folder / f"images/{number}_test.tif"), np.float32) / np.float32(255)
    vessels = np.asarray(Image.open(folder / f"1st_manual/{number}_manual1.gif")) > 0
    field = np.asarray(Image.open(folder / f"mask/{number}_test_mask.gif")) > 0
    mask = allowed("fundus", truth, 1.0)
    assert field[mask].all()
    assert vessels[mask].mean() < 0.2 * vessels[field].mean()
    assert mask.sum() > 0.4 * field.sum()


@pytest.mark.slow
def test_real_lungs_are_dark_and_on_both_sides(real_data: Path) -> None:
    for path in sorted((real_data / "chest/nih").glob("0001*.png"))[:4]:
        truth = np.asarray(Image.open(path).convert("L"), np.float32)[..., None] / np.float32(255)
        mask = allowed("cxr", truth, 0.35)
        middle = truth[300:800, 462:562].mean()
        for side in (slice(None, 512), slice(512, None)):
            assert mask[:, side].sum() > 20_000, path.name
            assert truth[:, side, 0][mask[:, side]].mean() < middle, path.name
