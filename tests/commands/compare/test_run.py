from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from medsr.cli.app import app
from medsr.commands.compare import run as comparing
from medsr.commands.compare.run import compare
from medsr.core.errors import BatchError, UsageError
from tests.helpers.recipes import PLAIN, write_recipe
from tests.helpers.scans import smooth_volume
from tests.helpers.training import tick

RECIPE = PLAIN | {
    "data": PLAIN["data"] | {"validation": "eye_[45].png"},
    "protocol": {"blur_sigma": 0},
}
STAGED = {
    "name": "two",
    "generator": {"name": "srresnet", "features": 6, "blocks": 1},
    "stages": [
        {"name": "mse", "losses": {"l1": {"weight": 0}, "mse": {"weight": 1}}},
        {
            "name": "gan",
            "losses": {"gan": {"weight": 0.01}},
            "discriminator": {"name": "vgg", "features": 4, "pooled": True},
        },
    ],
}


pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [_write(tmp_path / "one.yml"), _write(tmp_path / "two.yml", **STAGED)]


def _write(path: Path, **changes: Any) -> Path:
    return write_recipe(path, RECIPE, **changes)


@pytest.mark.slow
def test_recipes_and_their_stages_stand_beside_interpolation(
    pair: list[Path], image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    result = compare(pair, image_folder, out=out, minutes=None, device="cpu")
    assert [entry.leaf.name for entry in result.entries] == ["one", "two: mse", "two: gan"]
    assert not result.failed
    for entry in result.entries:
        assert entry.scores.psnr == pytest.approx(entry.leaf.result.end["psnr"], abs=1e-6)  # measured as while training
        assert entry.gain.n == 2
        assert entry.gain.mean == pytest.approx(entry.scores.psnr - result.bicubic.psnr)
    first, second = result.entries[1:]
    assert second.start_psnr == first.start_psnr == first.leaf.result.start["psnr"]
    assert second.course()[0][0] == pytest.approx(first.course()[0][-1])  # a stage begins where the last one ended
    record = json.loads((out / "compare.json").read_text())
    assert list(record["models"]) == ["bicubic", "one", "two: mse", "two: gan"]
    assert record["models"]["one"]["psnr"]["mean"] == pytest.approx(result.entries[0].scores.psnr)
    assert len(record["images"]) == 4 * record["n"] == 8
    assert record["runs"]["two: gan"]["iterations"] == 6
    page = result.page.read_text()
    assert page.count("data:image/png") == 2 * (3 + 3)
    for text in ("two: gan", "bicubic", "each as long as its recipe says", "ground truth"):
        assert text in page

    monkeypatch.setattr(comparing, "finetune", lambda *_, **__: pytest.fail("trained again"))
    again = compare(pair, image_folder, out=out, minutes=None, device="cpu")
    assert [entry.scores for entry in again.entries] == [entry.scores for entry in result.entries]
    monkeypatch.undo()
    with pytest.raises(UsageError, match="holds the run of another recipe"):
        compare(pair, image_folder, out=out, minutes=None, device="cpu", seed=4)


@pytest.mark.slow
def test_the_budget_is_the_same_for_all(
    pair: list[Path], image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    result = compare(pair, image_folder, out=tmp_path / "out", minutes=0.0199, device="cpu")
    single, first, second = (entry.leaf.result for entry in result.entries)
    assert single.seconds == pytest.approx(1.2)
    assert first.seconds + second.seconds == pytest.approx(1.2)


def test_a_recipe_that_fails_costs_no_other_its_place(
    pair: list[Path], image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _write(tmp_path / "three.yml", name="three", optimizer={"learning_rate": 1e30})
    arguments = ["compare", str(pair[0]), str(broken), "--data", str(image_folder), "--minutes", "0", "--device", "cpu"]
    more = ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "all.json")]
    done = CliRunner().invoke(app, [*arguments, *more])
    assert done.exit_code == BatchError.exit_code
    assert "three: iteration" in done.output
    assert [failure["name"] for failure in json.loads((tmp_path / "all.json").read_text())["failed"]] == ["three"]
    assert "one " in done.output
    assert "interpolation" in done.output
    assert "Did not come to their end" in (tmp_path / "out" / "compare.html").read_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scale": 4}, "differ in scale"),
        ({"protocol": {"blur_sigma": 1}}, "differ in protocol"),
        ({"name": "one"}, "every recipe once"),
        ({"degradation": {"name": "unknown"}}, "differ in protocol"),
        ({"stages": [{"name": "a", "scale": 4}]}, "differ in scale"),
        (
            {"data": {"validation": "eye_[45].png", "crop": 32, "workers": 0, "pattern": "*.tif"}},
            "differ in data.pattern",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    change: dict[str, Any], expected: str, image_folder: Path, tmp_path: Path
) -> None:
    recipes = [
        _write(tmp_path / "one.yml"),
        _write(tmp_path / "other.yml", **{"name": "other", **change}),
    ]
    with pytest.raises(UsageError, match=expected):
        compare(recipes, image_folder, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_recipe_is_no_comparison(pair: list[Path]) -> None:
    with pytest.raises(UsageError, match="two recipes or more"):
        compare(pair[:1])


def test_other_held_out_images_are_found_out(image_folder: Path, tmp_path: Path) -> None:
    data = {"validation": 0.3, "workers": 0}
    recipes = [
        _write(tmp_path / "a.yml", name="a", data={**data, "crop": 16}),
        _write(tmp_path / "b.yml", name="b", data={**data, "crop": 64}),  # too_small.png is none of its images
    ]
    with pytest.raises(UsageError, match="holds out other images"):
        compare(recipes, image_folder, out=tmp_path / "out", minutes=None)


@pytest.mark.slow
def test_volumes_are_compared_too(tmp_path: Path) -> None:
    import nibabel
    import numpy as np

    (tmp_path / "scans").mkdir()
    for index in range(2):
        image = nibabel.Nifti1Image(smooth_volume((48, 44, 40), index).astype(np.int16), np.eye(4))
        image.to_filename(tmp_path / "scans" / f"scan{index}.nii.gz")
    base = {
        "scale": 1,
        "channels": 1,
        "data": {"validation": "scan1*", "crop": 32, "workers": 0},
        "degradation": {"name": "slice-profile", "factors": [2, 2]},
        "iterations": 2,
    }
    refiner = _write(tmp_path / "a.yml", **base, name="a", generator={"name": "refiner", "features": 8, "blocks": 1})
    plain = {"name": "rrdb", "features": 8, "blocks": 1, "growth": 4}
    image = _write(tmp_path / "b.yml", **base, name="b", generator=plain)
    result = compare([refiner, image], tmp_path / "scans", out=tmp_path / "out", minutes=None, device="cpu")
    assert "cubic B-spline" in result.page.read_text()
    assert len(result.entries) == 2
