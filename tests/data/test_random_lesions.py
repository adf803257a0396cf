"""Lesions in training crops: a function of seed, iteration and slot, within the ranges that the documents name."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medsr.core.resources import resource_dir
from medsr.core.types import Array
from medsr.data import random_lesions, sources, volumes
from medsr.data.augmentation import flip_rotate, intensity_jitter, random_contrast
from medsr.data.batches import Crops, batches
from medsr.data.crops import GroundTruthCrops
from medsr.data.random_lesions import FAMILIES, RandomLesion
from medsr.data.slices import PAIRINGS, SliceCrops
from medsr.data.streams import stream
from medsr.io.images import image as image_io
from medsr.lesions import kinds
from medsr.recipe import Data, Jitter, Lesions

SHAPES = {"mri": (96, 96), "cxr": (96, 96, 1), "fundus": (96, 96, 3)}
PLAIN = RandomLesion("nodule", 12.0, 0.5, (1.0, 1.0, 1.0), (24.0, 24.0), 1.0, 0.0, 2.0, 1.0, 0.0, (0.0, 0.0))


def _many(kind: kinds.Kind, count: int = 600, **more: object) -> list[list[RandomLesion]]:
    data = Data(crop=64, lesions=Lesions(kind=kind, **more))  # type: ignore[arg-type]
    tissue = np.full(SHAPES[kind], 0.5, np.float32)
    return [random_lesions.draw(tissue, data, 1.0, stream(3, n, 1)) for n in range(count)]


def _images(folder: Path, lesions: Lesions | None, jitter: Jitter | None = None, **more: object) -> GroundTruthCrops:
    settings = {"validation": 0.0, "workers": 0, "crop": 64, "lesions": lesions, "jitter": jitter} | more
    data = Data(train=str(folder), **settings)  # type: ignore[arg-type]
    return GroundTruthCrops(sources.split(data, 64, 0).train, data, 64, 3, 7)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bright boxes with some texture, 1 mm and 0.5 mm fine, in a background of zeros."""
    folder = tmp_path_factory.mktemp("scans")
    for index, spacing in enumerate((1.0, 0.5)):
        volume = np.zeros((72, 76, 80), np.float32)
        volume[8:64, 8:68, 8:72] = np.random.default_rng(index).uniform(600, 800, (56, 60, 64))
        image = nib.Nifti1Image(volume, np.diag([spacing] * 3 + [1]))
        image.to_filename(folder / f"sub-{index}.nii.gz")
    return folder


def _slices(folder: Path, lesions: Lesions | None, pattern: str = "*", jitter: Jitter | None = None) -> SliceCrops:
    data = Data(train=str(folder), pattern=pattern, validation=0, workers=0, crop=48, lesions=lesions, jitter=jitter)
    return SliceCrops(volumes.split(data, 64, 0).train, data, 64, 5)


@pytest.mark.parametrize("jitter", [None, Jitter(gain=(0.5, 1.2), offset=(-0.05, 0.05), shuffle_channels=True)])
def test_images_without_lesions_are_what_they_always_were(image_folder: Path, jitter: Jitter | None) -> None:
    """Draw by draw: a run begun by an earlier medsr goes on with the same crops."""
    crops = _images(image_folder, None, jitter)
    for slot in range(4):
        rng = stream(7, 2, 1 + slot)
        image = image_io.read_as_shown(crops.sources[rng.integers(6)].path, None)
        top, left = rng.integers(96 - 64 + 1), rng.integers(96 - 64 + 1)
        expected = image.pixels[top : top + 64, left : left + 64].astype(np.float32) / np.float32(255)
        expected = flip_rotate(expected, True, rng)
        expected = expected if jitter is None else intensity_jitter(expected, jitter, rng)
        np.testing.assert_array_equal(crops[2, slot][0].numpy(), expected.transpose(2, 0, 1))


def test_slices_without_lesions_are_what_they_always_were() -> None:
    volume = np.random.default_rng(0).random((70, 72, 74), np.float32)
    jitter = Jitter(gain=(0.7, 1.2), contrast=0.5, noise=(0, 0.1))
    crops = SliceCrops(volume, Data(jitter=jitter), 64, 5)
    for slot in range(4):
        rng = stream(5, 2, 1 + slot)
        normal, rows = PAIRINGS[int(rng.integers(6))]
        starts = [int(rng.integers(volume.shape[axis] - (0 if axis == normal else 63))) for axis in range(3)]
        part = tuple(at if axis == normal else slice(at, at + 64) for axis, at in enumerate(starts))
        crop = volume[part].T if rows > 3 - normal - rows else volume[part]
        crop = crop[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
        np.testing.assert_array_equal(crops[2, slot][0][0].numpy(), random_contrast(crop, jitter, rng))


def test_crops_of_images_are_the_same_but_for_their_lesions(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jitter = Jitter(gain=(0.9, 1.1))
    plain, other = (_images(image_folder, lesions, jitter) for lesions in (None, Lesions(kind="fundus")))
    _differ_in_lesions_alone(plain, other, monkeypatch)


def test_crops_of_slices_are_the_same_but_for_their_lesions(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jitter = Jitter(contrast=0.5, noise=(0, 0.05))
    for changes in (None, jitter):
        plain, other = (_slices(scans, lesions, jitter=changes) for lesions in (None, Lesions(kind="mri")))
        before = [plain[1, slot][0] for slot in range(8)]
        _differ_in_lesions_alone(plain, other, monkeypatch)
        assert all(torch.equal(plain[1, slot][0], before[slot]) for slot in range(8))


def _differ_in_lesions_alone(plain: Crops, other: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[RandomLesion]] = []
    draw = random_lesions.draw

    def watched(*arguments: object) -> list[RandomLesion]:
        drawn.append(draw(*arguments))  # type: ignore[arg-type]
        return drawn[-1]

    shares = []
    for slot in range(40):
        before = plain[3, slot][0].numpy()
        with monkeypatch.context() as patch:
            patch.setattr(random_lesions, "draw", watched)
            after = other[3, slot][0].numpy()
        free = np.ones(before.shape, bool)
        for lesion in drawn[-1]:
            place = (slice(None), *random_lesions.difference(before[0], lesion)[0])
            free[place] = False
            assert not np.array_equal(after[place], before[place])
        np.testing.assert_array_equal(after[free], before[free])
        shares.append(bool(drawn[-1]))
    assert 10 < sum(shares) < 30  # of 40, at a probability of one half


@pytest.mark.parametrize("kind", ["fundus", "mri"])
def test_lesions_are_the_same_with_workers_and_from_the_middle(kind: str, image_folder: Path, scans: Path) -> None:
    def run(workers: int, first: int) -> list[torch.Tensor]:
        lesions = Lesions(kind=kind, probability=0.8)  # type: ignore[arg-type]
        crops: Crops = _images(image_folder, lesions) if kind == "fundus" else _slices(scans, lesions)
        crops.data = crops.data.model_copy(update={"workers": workers})
        return [batch for [batch] in batches(crops, first, 6, range(2))]

    whole, parallel, resumed = run(0, 1), run(2, 1), run(0, 4)
    assert len(whole) == 6
    assert all(torch.equal(a, b) for a, b in zip(whole, parallel, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], resumed, strict=True))


@pytest.mark.parametrize("kind", ["fundus", "mri"])
def test_a_worker_that_is_not_forked_draws_the_same(kind: str, image_folder: Path, scans: Path) -> None:
    lesions = Lesions(kind=kind, probability=0.8)  # type: ignore[arg-type]
    crops: Crops = _images(image_folder, lesions) if kind == "fundus" else _slices(scans, lesions)
    other = pickle.loads(ForkingPickler.dumps(crops))
    assert all(torch.equal(a, b) for a, b in zip(crops[(5, 1)], other[(5, 1)], strict=True))


def test_another_seed_draws_other_lesions() -> None:
    data = Data(lesions=Lesions(kind="cxr", probability=1))
    tissue = np.full((96, 96, 1), 0.5, np.float32)
    first, same, other = (random_lesions.draw(tissue, data, 1.0, stream(seed, 1, 1)) for seed in (0, 0, 1))
    assert first == same
    assert first != other


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_sizes_and_contrasts_fill_the_ranges_and_keep_to_them(kind: kinds.Kind) -> None:
    lesions = [lesion for crop in _many(kind) for lesion in crop]
    for family in FAMILIES[kind]:
        own = [lesion for lesion in lesions if lesion.family == family.name]
        assert len(own) == pytest.approx(len(lesions) / len(FAMILIES[kind]), rel=0.3)
        for values, limits in (
            ([lesion.size for lesion in own], family.sizes),
            ([family.sign * lesion.contrast for lesion in own], family.contrasts),
        ):
            assert limits[0] <= min(values) < limits[0] * 1.1
            assert limits[1] / 1.25 < max(values) <= limits[1]  # a large one finds a place less often
            assert np.median(values) == pytest.approx(math.sqrt(limits[0] * limits[1]), rel=0.2)
            assert len(set(values)) == len(own)  # no steps


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_they_are_the_evaluations_families_in_wider_ranges_without_its_steps(kind: kinds.Kind) -> None:
    fixed = {family.name: family for family in kinds.FAMILIES[kind]}
    assert {family.name for family in FAMILIES[kind]} == set(fixed)
    for family in FAMILIES[kind]:
        contrasts = [abs(contrast) for contrast in fixed[family.name].contrasts]
        assert all(np.sign(contrast) == family.sign for contrast in fixed[family.name].contrasts)
        assert family.contrasts[0] < min(contrasts)
        assert max(contrasts) < family.contrasts[1]
        if kind != "cxr":  # whose sizes are in mm there, in pixels here
            assert family.sizes[0] < min(fixed[family.name].sizes)
            assert max(fixed[family.name].sizes) < family.sizes[1]
        assert family.elongation > max(fixed[family.name].ratios)
        assert family.colour == fixed[family.name].colour
    drawn = [lesion for crop in _many(kind, 100) for lesion in crop]
    steps = {(size, contrast) for family in fixed.values() for size in family.sizes for contrast in family.contrasts}
    assert not {(lesion.size, lesion.contrast) for lesion in drawn} & steps


def test_the_documents_name_the_ranges() -> None:
    text = (resource_dir("recipes").parent / "docs/recipes.md").read_text()
    for kind, families in FAMILIES.items():
        unit = "mm" if kind == "mri" else "pixels"
        for family in families:
            low, high = sorted(family.sign * contrast for contrast in family.contrasts)
            size = f"{family.sizes[0]:g} to {family.sizes[1]:g} {unit}"
            assert f"| `{kind}` | `{family.name}` | {size} | {low:g} to {high:g} |" in text


def test_as_many_crops_and_as_many_in_each_as_the_recipe_says() -> None:
    for probability, most in ((0.0, 3), (0.3, 1), (1.0, 4)):
        counts = [len(crop) for crop in _many("cxr", 300, probability=probability, most=most, sizes=(2, 4))]
        assert np.mean(np.array(counts) > 0) == pytest.approx(probability, abs=0.07)
        assert max(counts) == (most if probability else 0)
    for lesion in (lesion for crop in _many("fundus", 200, sizes=(5, 6), contrasts=(0.2, 0.25)) for lesion in crop):
        assert 5 <= lesion.size <= 6
        assert 0.2 <= abs(lesion.contrast) <= 0.25


def test_lesions_of_a_crop_lie_apart_in_its_middle() -> None:
    for crop in _many("mri", 200, probability=1, most=8):
        for index, lesion in enumerate(crop):
            assert all(16 <= place <= 79 for place in lesion.centre)
            for other in crop[:index]:
                assert math.dist(lesion.centre, other.centre) > lesion.size + other.size


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_no_lesion_lies_in_the_background(kind: kinds.Kind) -> None:
    tissue = np.zeros(SHAPES[kind], np.float32)
    data = Data(crop=96, lesions=Lesions(kind=kind, probability=1))
    assert not any(random_lesions.draw(tissue, data, 1.0, stream(0, n, 1)) for n in range(20))
    tissue[:, 40:, ...] = 0.4
    lesions = [lesion for n in range(100) for lesion in random_lesions.draw(tissue, data, 1.0, stream(0, n, 1))]
    assert len(lesions) > 60
    assert min(lesion.centre[1] - lesion.size / 2 for lesion in lesions) > 39
    assert min(lesion.centre[1] - lesion.size / 2 for lesion in lesions) < 45


@pytest.mark.parametrize(("flatness", "fall"), [(2.0, 1.0), (2.0, 2.5), (8.0, 0.75), (4.0, 1.5)])
@pytest.mark.parametrize("size", [4.0, 12.0])
def test_the_size_is_the_full_width_at_half_maximum(size: float, flatness: float, fall: float) -> None:
    """Of every shape, wherever between the pixels its centre lies, and however it is stretched and turned."""
    from scipy.ndimage import zoom

    for axis, turn, centre in ((1.0, 0.0, (24.0, 24.0)), (1.4, 0.7, (23.6, 24.3))):
        lesion = replace(
            PLAIN, size=size, flatness=flatness, fall=fall, axis=axis, turn=turn, centre=centre, contrast=0.6
        )
        crop = np.full((48, 48), 0.5, np.float32)
        random_lesions.apply(crop, [lesion])
        added = zoom(crop - 0.5, 8, order=1)
        assert added.max() == pytest.approx(0.3, rel=0.1)  # a pixel is the mean over itself
        width = 2 * math.sqrt((added > 0.15).sum() / 64 / math.pi)
        assert width == pytest.approx(size, rel=0.08)


def test_a_section_off_the_centre_is_smaller() -> None:
    areas = []
    for offset in (0.0, 0.5, 0.9):
        crop = np.full((48, 48), 0.5, np.float32)
        random_lesions.apply(crop, [replace(PLAIN, offset=offset, flatness=8.0)])
        areas.append(int((crop > 0.51).sum()))
    assert areas[0] > areas[1] > areas[2] > 0


def test_the_contrast_is_relative_to_each_channels_tissue() -> None:
    crop = np.broadcast_to(np.array([0.6, 0.3, 0.1], np.float32), (48, 48, 3)).copy()
    random_lesions.apply(crop, [replace(PLAIN, contrast=-0.4, colour=(0.5, 1.0, 0.7), flatness=8.0)])
    np.testing.assert_allclose(crop[24, 24], [0.6 * 0.8, 0.3 * 0.6, 0.1 * 0.72], rtol=1e-4)


def test_images_are_clipped_and_volumes_are_not() -> None:
    for shape, brightest in (((48, 48, 1), 1.0), ((48, 48), 1.35)):
        crop: Array = np.full(shape, 0.9, np.float32)
        random_lesions.apply(crop, [PLAIN])
        assert crop.max() == pytest.approx(brightest, rel=0.01)


def test_sizes_in_volumes_are_in_millimetres(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[list[float]] = []
    for name in ("sub-0*", "sub-1*"):
        crops = _slices(scans, Lesions(kind="mri", sizes=(4, 5), probability=1), name)
        found: list[RandomLesion] = []
        with monkeypatch.context() as patch:
            patch.setattr(random_lesions, "apply", lambda _crop, lesions, found=found: found.extend(lesions))
            for slot in range(20):
                crops[1, slot]
        sizes.append([lesion.size for lesion in found])
    assert 4 <= min(sizes[0]) < max(sizes[0]) <= 5
    assert 8 <= min(sizes[1]) < max(sizes[1]) <= 10
