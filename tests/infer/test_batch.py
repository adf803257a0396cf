from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.errors import InputError, MedsrError, UsageError
from medsr.infer.batch import plan, upscale
from medsr.io import image as image_io
from tests.conftest import write_png
from tests.io.test_dicom import make_dicom


def test_one_bad_file_never_stops_the_others(tmp_path: Path, tiny_model: Path, fundus: np.ndarray) -> None:
    inputs = [write_png(tmp_path / "in" / f"{name}.png", fundus[:40, :50]) for name in "abc"]
    inputs[1].write_bytes(inputs[1].read_bytes()[:300])
    outcomes = upscale(inputs, tmp_path / "out", tiny_model)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, InputError)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.png",
        "c.png",
        "status.tsv",
        "upscale.json",
    ]
    assert image_io.read(tmp_path / "out" / "a.png").pixels.shape == (80, 100, 3)


def test_every_kind_comes_back_in_its_own_format_depth_and_brightness(tmp_path: Path, tiny_model: Path) -> None:
    import tifffile

    field = (np.add.outer(np.arange(40), np.arange(48)) * 20 + 500).astype(np.uint16)  # 500 to 2240
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "twelve.tif", field)
    write_png(folder / "sixteen.png", field * 20)
    write_png(folder / "eight.png", (field // 16).astype(np.uint8))
    make_dicom(folder / "plain.dcm", field)
    make_dicom(folder / "inverted.dcm", field, "MONOCHROME1")
    make_dicom(folder / "no_suffix", field)
    for model in ("bicubic", "lanczos", tiny_model):
        out = tmp_path / f"out-{Path(model).stem}"
        outcomes = upscale([folder], out, model)
        assert len(outcomes) == 6
        assert not [outcome.error for outcome in outcomes if outcome.error]
        for outcome in outcomes:
            before, after = image_io.read(outcome.input), image_io.read(outcome.output)
            assert after.pixels.dtype == before.pixels.dtype
            assert after.window == before.window
            assert after.pixels.shape == (80, 96, 1)
            difference = abs(after.to_unit().mean() - before.to_unit().mean())
            assert difference < (0.001 if isinstance(model, str) else 0.05)
            assert outcome.output.suffix == (outcome.input.suffix or ".dcm")


def test_an_inverted_radiograph_gives_the_same_picture_as_a_plain_one(tmp_path: Path, tiny_model: Path) -> None:
    field = np.random.default_rng(0).integers(0, 4096, (30, 30)).astype(np.uint16)
    plain = make_dicom(tmp_path / "plain.dcm", field)
    inverted = make_dicom(tmp_path / "inverted.dcm", 4095 - field, "MONOCHROME1")
    outcomes = upscale([plain, inverted], tmp_path / "out", tiny_model)
    first, second = (image_io.read(outcome.output).pixels.astype(int) for outcome in outcomes)
    assert np.abs(first - (4095 - second)).max() <= 1


def test_folders_keep_their_structure(tmp_path: Path, fundus: np.ndarray) -> None:
    for name in ("left/1.png", "right/1.png"):
        write_png(tmp_path / "in" / name, fundus[:8, :8])
    upscale([tmp_path / "in"], tmp_path / "out", "bicubic")
    assert (tmp_path / "out/left/1.png").is_file()
    assert (tmp_path / "out/right/1.png").is_file()


def test_two_results_in_one_file_and_overwriting_an_input_are_refused(tmp_path: Path, fundus: np.ndarray) -> None:
    one = write_png(tmp_path / "a" / "1.png", fundus[:8, :8])
    two = write_png(tmp_path / "b" / "1.png", fundus[:8, :8])
    with pytest.raises(UsageError, match="would both be written"):
        plan([one, two], tmp_path / "out")
    with pytest.raises(UsageError, match="overwrite the input"):
        plan([one], tmp_path / "a")
    assert len(plan([one, one], tmp_path / "out")) == 1


def test_an_unwritable_folder_is_an_outcome_not_a_crash(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "a.png", fundus[:8, :8])
    (tmp_path / "out").write_text("a file where the folder should be")
    outcome = upscale([source], tmp_path / "out", "bicubic")[0]
    assert isinstance(outcome.error, MedsrError)
    assert "cannot be written" in str(outcome.error)


def test_results_inside_the_input_folder_are_not_taken_for_inputs(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus[:8, :8])
    for _ in range(2):
        outcomes = upscale([tmp_path], tmp_path / "out", "bicubic")
        assert [outcome.input.name for outcome in outcomes] == ["a.png"]


def test_a_file_with_the_wrong_suffix_stays_what_it_is(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus[:8, :8]).rename(tmp_path / "a.jpg")
    outcome = upscale([tmp_path / "a.jpg"], tmp_path / "out", "bicubic")[0]
    assert outcome.output.name == "a.jpg.png"


def test_a_bug_on_one_file_does_not_cost_the_others(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.infer import batch

    inputs = [write_png(tmp_path / f"{name}.png", fundus[:8, :8]) for name in "ab"]
    enlarge = batch.image_io.enlarge

    def broken(image: image_io.Image, unit: np.ndarray) -> image_io.Image:
        if not (tmp_path / "out").exists():
            (tmp_path / "out").mkdir()
            raise ZeroDivisionError("oops")
        return enlarge(image, unit)

    monkeypatch.setattr(batch.image_io, "enlarge", broken)
    outcomes = upscale(inputs, tmp_path / "out", "bicubic")
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    assert "bug in medsr" in str(outcomes[0].error)


@pytest.mark.parametrize("factor", [0, -1, 17, float("nan")])
def test_impossible_factors_are_refused(tmp_path: Path, factor: float) -> None:
    with pytest.raises(UsageError, match="outscale"):
        upscale([tmp_path], tmp_path / "out", "bicubic", outscale=factor)
