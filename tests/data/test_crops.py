from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch

from medsr.core.errors import UsageError
from medsr.data import augmentation, batches, crops, sources
from medsr.data.streams import stream
from medsr.recipe import Data, MultiScale


def _data(folder: Path, **more: object) -> Data:
    return Data(train=str(folder), **({"validation": 0.0, "workers": 0} | more))


def test_small_and_broken_images_are_reported_not_lost(image_folder: Path) -> None:
    (image_folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    files = sources.split(_data(image_folder), 64, 0)
    assert len(files.train) == 6
    reasons = {path.name: reason for path, reason in files.skipped}
    assert set(reasons) == {"too_small.png", "broken.png"}
    assert "20x20 is smaller than the 64-pixel crop" in reasons["too_small.png"]


def test_held_out_images_are_never_trained_on(image_folder: Path) -> None:
    for validation, count in ((0.34, 2), ("eye_[01].png", 2), (0.0, 0)):
        files = sources.split(_data(image_folder, validation=validation), 64, 0)
        assert len(files.held_out) == count
        assert not {source.path for source in files.train} & set(files.held_out)
        assert len({source.path for source in files.train}) == 6 - count


def test_the_split_depends_on_the_seed_alone(image_folder: Path) -> None:
    splits = [sources.split(_data(image_folder, validation=0.34), 64, seed).held_out for seed in (0, 0, 1, 2, 3)]
    assert splits[0] == splits[1]
    assert len(set(splits)) > 1


def test_multiscale_lists_every_image_at_every_size_that_holds_a_crop(image_folder: Path) -> None:
    multiscale = MultiScale(scales=(0.75, 0.5), shortest_edge=None)
    files = sources.split(_data(image_folder, multiscale=multiscale), 64, 0)
    assert sorted({source.size for source in files.train}) == [(72, 72), (96, 96)]
    assert len(files.train) == 12


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": None}, "`data=DIR`"),
        ({"train": "/nowhere"}, "is not a folder"),
        ({"pattern": "*.tif"}, "no image to train on"),
        ({"validation": "*.tif"}, "no image in"),
        ({"validation": "/nowhere"}, "is not a folder"),
    ],
)
def test_wrong_folders_say_what_is_wrong(image_folder: Path, changes: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        sources.split(_data(image_folder).model_copy(update=changes), 64, 0)


def test_a_crop_is_a_function_of_seed_iteration_and_slot(image_folder: Path) -> None:
    data = _data(image_folder)
    files = sources.split(data, 64, 0)
    first, second = (crops.GroundTruthCrops(files.train, data, 64, 3, 7) for _ in range(2))
    second[(99, 3)]  # another order of reading changes nothing
    assert torch.equal(first[(5, 1)][0], second[(5, 1)][0])
    assert not torch.equal(first[(5, 1)][0], first[(5, 2)][0])
    assert not torch.equal(first[(5, 1)][0], first[(6, 1)][0])
    assert first[(5, 1)][0].shape == (3, 64, 64)


def test_batches_are_the_same_with_and_without_workers_and_from_the_middle(image_folder: Path) -> None:
    data = _data(image_folder)
    files = sources.split(data, 64, 0)

    def run(workers: int, start: int) -> list[torch.Tensor]:
        drawn = crops.GroundTruthCrops(files.train, data.model_copy(update={"workers": workers}), 64, 3, 7)
        return [batch for [batch] in batches.batches(drawn, start, 6, range(2))]

    whole, parallel, resumed = run(0, 1), run(2, 1), run(0, 4)
    assert len(whole) == 6
    assert all(torch.equal(a, b) for a, b in zip(whole, parallel, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], resumed, strict=True))


def test_a_worker_that_is_not_forked_draws_the_same(image_folder: Path) -> None:
    """Windows and macOS start workers anew: what they draw from is pickled."""
    data = _data(image_folder)
    drawn = crops.GroundTruthCrops(sources.split(data, 64, 0).train, data, 64, 3, 7)
    other = pickle.loads(ForkingPickler.dumps(drawn))
    assert torch.equal(drawn[(5, 1)][0], other[(5, 1)][0])


def test_dark_crops_are_drawn_again(tmp_path: Path) -> None:
    from tests.helpers.images import write_png

    picture = np.zeros((64, 256), np.uint8)
    picture[:, 128:] = 200
    write_png(tmp_path / "a.png", picture)
    for threshold, expect_dark in ((0.0, True), (0.4, False)):
        data = _data(tmp_path, darkest_crop=threshold, keep_masks=True)
        files = sources.split(data, 32, 0)
        drawn = crops.GroundTruthCrops(files.train, data, 32, 1, 0)
        darkest = min(float(drawn[(iteration, 0)][0].mean()) for iteration in range(40))
        assert (darkest < 0.1) == expect_dark


def test_grey_and_colour_fit_any_number_of_channels() -> None:
    grey, colour = np.full((2, 2, 1), 0.5, np.float32), np.full((2, 2, 3), 0.5, np.float32)
    assert crops.as_channels(grey, 3).shape == (2, 2, 3)
    assert crops.as_channels(colour, 1).shape == (2, 2, 1)
    assert crops.as_channels(colour, 3) is colour


def test_a_small_cache_gives_the_same_crops(image_folder: Path) -> None:
    data = _data(image_folder)
    files = sources.split(data, 64, 0)
    large = crops.GroundTruthCrops(files.train, data, 64, 3, 0)
    small = crops.GroundTruthCrops(files.train, data.model_copy(update={"cache_gb": 1e-9}), 64, 3, 0)
    for iteration in range(12):
        assert torch.equal(large[(iteration, 0)][0], small[(iteration, 0)][0])
    assert len(small._cache) == 1


def test_jitter_changes_intensities_within_its_ranges_and_nothing_else() -> None:
    from medsr.recipe import Jitter

    crop = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32) * 0.5 + 0.2
    for seed in range(20):
        changed = augmentation.intensity_jitter(
            crop, Jitter(gain=(0.5, 1.2), offset=(-0.05, 0.05)), np.random.default_rng(seed)
        )
        for channel in range(3):
            gain, offset = np.polyfit(crop[:, :, channel].ravel(), changed[:, :, channel].ravel(), 1)
            assert 0.5 <= gain <= 1.2
            assert -0.05 <= offset <= 0.05
    same = augmentation.intensity_jitter(crop, Jitter(), np.random.default_rng(0))
    np.testing.assert_array_equal(same, crop)
    shuffled = augmentation.intensity_jitter(crop, Jitter(shuffle_channels=True), np.random.default_rng(1))
    assert sorted(shuffled[0, 0].tolist()) == sorted(crop[0, 0].tolist())


@pytest.mark.parametrize(("flips", "expected"), [(True, 1 / 8), (False, 1.0), (0.0, 1.0), (0.2, 0.8**3), (1.0, 0.0)])
def test_crops_lie_as_often_as_the_recipe_says(flips: bool | float, expected: float) -> None:
    crop = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    draws = [augmentation.flip_rotate(crop, flips, stream(0, n, 0)) for n in range(1000)]
    assert np.mean([np.array_equal(one, crop) for one in draws]) == pytest.approx(expected, abs=0.04)
