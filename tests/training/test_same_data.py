"""A resumed run has the data it began with: the same files, moved or not, and the same ones held out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml

from medsr.commands.compare.run import compare
from medsr.commands.finetune import finetune
from medsr.core.errors import UsageError
from medsr.data import file_list
from medsr.io.images import image as image_io
from medsr.recipe import load
from medsr.training.trainer import find_files
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

RECIPE: dict[str, Any] = {
    "name": "same",
    "scale": 2,
    "generator": {"name": "rrdn", "features": 8, "growth": 4, "convs": 2, "dense": 1, "blocks": 1},
    "data": {"validation": 0.34, "crop": 32, "workers": 0},
    "degradation": {"name": "bicubic"},
    "losses": {"l1": {"sharpened": False}},
    "iterations": 2,
    "batch": 1,
    "validate_every": 2,
    "save_every": 2,
}
STAGES = [{"name": "first", "iterations": 2}, {"name": "second", "iterations": 2}]

pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture
def photographs(tmp_path: Path, fundus: np.ndarray) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        _picture(folder / f"eye{index}.png", fundus, index)
    return folder


def _picture(path: Path, fundus: np.ndarray, index: int) -> None:
    write_png(path, np.roll(fundus[:64, :64], 5 * index, 0))


def _begin(tmp_path: Path, folder: Path, /, **changes: Any) -> Path:
    (tmp_path / "r.yml").write_text(yaml.safe_dump({**RECIPE, **changes}))
    finetune(tmp_path / "r.yml", folder, out=tmp_path / "run", device="cpu")
    return tmp_path / "run"


def _resume(run: Path, **options: Any) -> list[str]:
    lines: list[str] = []
    iterations = json.loads((run / "result.json").read_text())["iterations"] + 2
    finetune("", overrides=[f"iterations={iterations}"], resume=run, device="cpu", notify=lines.append, **options)
    return lines


def _parts(run: Path) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    entries = file_list.read(run)
    assert entries is not None
    for entry in entries.files:
        parts.setdefault(entry.part, []).append(entry.path)
    return parts


def test_the_list_names_every_file_with_its_hash(tmp_path: Path, photographs: Path) -> None:
    run = _begin(tmp_path, photographs)
    parts = _parts(run)
    assert sorted(parts["train"] + parts["validation"]) == [f"eye{index}.png" for index in range(6)]
    assert len(parts["validation"]) == 2
    entries = file_list.read(run)
    assert entries is not None
    import hashlib

    for entry in entries.files:
        content = (photographs / entry.path).read_bytes()
        assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    for name in ("0", "2"):
        os.utime(photographs / f"eye{name}.png")
    before = _parts(run)
    _resume(run)
    assert _parts(run) == before


def test_added_files_are_refused_or_only_trained_on(tmp_path: Path, photographs: Path, fundus: np.ndarray) -> None:
    run = _begin(tmp_path, photographs)
    before = _parts(run)
    for index in range(6):
        _picture(photographs / f"a{index}.png", fundus, 20 + index)
    with pytest.raises(UsageError, match=r"6 added \(a0.png, a1.png, a2.png, a3.png and 2 more\)") as refused:
        _resume(run)
    assert "`accept_new_data`" in str(refused.value)
    assert _parts(run) == before
    lines = _resume(run, accept_new_data=True)
    assert any(line.startswith("10 images to train on, 2 held out") for line in lines)
    after = _parts(run)
    assert after["validation"] == before["validation"]
    assert set(after["train"]) == {*before["train"], *(f"a{index}.png" for index in range(6))}
    assert any(line.startswith("10 images to train on, 2 held out") for line in _resume(run))


def test_removed_and_changed_training_files(tmp_path: Path, photographs: Path, fundus: np.ndarray) -> None:
    run = _begin(tmp_path, photographs)
    first, second, *_ = _parts(run)["train"]
    (photographs / first).unlink()
    _picture(photographs / second, fundus, 30)
    with pytest.raises(UsageError, match=rf"1 missing \({first}\), 1 changed \({second}\)"):
        _resume(run)
    held_out = _parts(run)["validation"]
    assert "3 images to train on, 2 held out, on cpu" in _resume(run, accept_new_data=True)
    assert _parts(run)["validation"] == held_out


def test_what_was_held_out_must_be_there(tmp_path: Path, photographs: Path, fundus: np.ndarray) -> None:
    run = _begin(tmp_path, photographs)
    name = _parts(run)["validation"][0]
    content = (photographs / name).read_bytes()
    _picture(photographs / name, fundus, 30)
    with pytest.raises(UsageError, match=f"held-out files are missing or changed: {name}"):
        _resume(run, accept_new_data=True)
    (photographs / name).unlink()
    with pytest.raises(UsageError, match=f"held-out files are missing or changed: {name}"):
        _resume(run, accept_new_data=True)
    (photographs / "renamed.png").write_bytes(content)
    _resume(run, accept_new_data=True)
    assert "renamed.png" in _parts(run)["validation"]
    assert "renamed.png" not in _parts(run)["train"]


def test_a_copy_of_what_is_held_out_is_never_trained_on(tmp_path: Path, photographs: Path) -> None:
    run = _begin(tmp_path, photographs)
    shutil.copy(photographs / _parts(run)["validation"][0], photographs / "copy.png")
    _resume(run, accept_new_data=True)
    parts = _parts(run)
    assert parts["never"] == ["copy.png"]
    assert "copy.png" not in parts["train"] + parts["validation"]
    _resume(run)
    assert "copy.png" not in _parts(run)["train"]


def test_new_files_that_match_the_pattern_of_validation_are_not_used(
    tmp_path: Path, photographs: Path, fundus: np.ndarray
) -> None:
    run = _begin(tmp_path, photographs, data={**RECIPE["data"], "validation": "EYE[01].png"})
    (photographs / "more").mkdir()
    _picture(photographs / "more" / "eye1.png", fundus, 40)
    _resume(run, accept_new_data=True)
    assert _parts(run)["validation"] == ["eye0.png", "eye1.png"]
    assert "more/eye1.png" not in _parts(run)["train"]


def test_moved_data_is_the_same_where_its_hashes_are(tmp_path: Path, photographs: Path, fundus: np.ndarray) -> None:
    run = _begin(tmp_path, photographs)
    before = _parts(run)
    moved = tmp_path / "moved"
    shutil.copytree(photographs, moved, copy_function=shutil.copyfile)
    shutil.rmtree(photographs)
    with pytest.raises(UsageError, match="`data=NEW_FOLDER`"):
        _resume(run)
    _resume(run, data=moved)
    assert _parts(run) == before
    assert load(run / "recipe.yml").data.train == str(moved)
    _resume(run)
    other = tmp_path / "other"
    shutil.copytree(moved, other)
    _picture(other / before["train"][0], fundus, 50)
    with pytest.raises(UsageError, match=rf"1 changed \({before['train'][0]}\)"):
        _resume(run, data=other)


def test_a_run_without_a_list_still_resumes_and_says_so(tmp_path: Path, photographs: Path) -> None:
    run = _begin(tmp_path, photographs)
    before = _parts(run)
    (run / file_list.NAME).unlink()
    moved = tmp_path / "moved"
    shutil.copytree(photographs, moved)
    with pytest.raises(UsageError, match="not known"):
        _resume(run, data=moved)
    assert any("without a list of its files" in line for line in _resume(run))
    assert _parts(run) == before


def test_stages_hold_out_the_same_files(tmp_path: Path, photographs: Path, fundus: np.ndarray) -> None:
    run = _begin(tmp_path, photographs, stages=STAGES)
    before = _parts(run / "1-first")
    assert _parts(run / "2-second") == before
    shutil.rmtree(run / "2-second")  # as if it had been stopped between the two
    _picture(photographs / "added.png", fundus, 20)
    with pytest.raises(UsageError, match=r"1 added \(added.png\)"):
        finetune("", resume=run, device="cpu")
    finetune("", resume=run, device="cpu", accept_new_data=True)
    after = _parts(run / "2-second")
    assert after["validation"] == before["validation"]
    assert "added.png" in after["train"]


def test_pairs_are_known_with_their_low_resolution(tmp_path: Path, photographs: Path) -> None:
    low = tmp_path / "low"
    low.mkdir()
    for path in image_io.list_images(photographs):
        write_png(low / path.name, image_io.read(path).pixels[::2, ::2])
    run = _begin(tmp_path, photographs, degradation={"name": "pairs", "low_resolution": str(low)})
    parts = _parts(run)
    assert sorted(parts["low resolution"]) == sorted(parts["train"])
    write_png(low / parts["train"][0], np.zeros((32, 32), np.uint8) + np.arange(32, dtype=np.uint8))
    with pytest.raises(UsageError, match="1 changed"):
        _resume(run)
    write_png(low / parts["validation"][0], np.zeros((32, 32), np.uint8) + np.arange(32, dtype=np.uint8))
    with pytest.raises(UsageError, match="held-out files are missing or changed"):
        _resume(run, accept_new_data=True)


def test_volumes_keep_what_is_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for index in range(4):
        nib.Nifti1Image(smooth_volume((40, 40, 40), index), np.eye(4)).to_filename(folder / f"s{index}.nii")
    run = _begin(
        tmp_path,
        folder,
        scale=1,
        channels=1,
        generator={"name": "refiner", "features": 8, "blocks": 1},
        degradation={"name": "slice-profile"},
        protocol={"factors": [2]},
    )
    before = _parts(run)
    for index in range(4, 8):
        nib.Nifti1Image(smooth_volume((40, 40, 40), index), np.eye(4)).to_filename(folder / f"a{index}.nii")
    with pytest.raises(UsageError, match="4 added"):
        _resume(run)
    _resume(run, accept_new_data=True)
    assert _parts(run)["validation"] == before["validation"]
    assert len(_parts(run)["train"]) == len(before["train"]) + 4


@pytest.mark.slow
def test_a_comparison_goes_on_with_the_same_held_out_files(
    tmp_path: Path, photographs: Path, fundus: np.ndarray
) -> None:
    names = []
    for name in ("one", "two"):
        names.append(tmp_path / f"{name}.yml")
        names[-1].write_text(yaml.safe_dump({**RECIPE, "name": name}))
    out = tmp_path / "out"
    compare(names, photographs, out=out, minutes=None, device="cpu")
    before = _parts(out)["validation"]
    shutil.rmtree(out / "two")
    for index in range(4):
        _picture(photographs / f"a{index}.png", fundus, 20 + index)
    with pytest.raises(UsageError, match="4 added"):
        compare(names, photographs, out=out, minutes=None, device="cpu")
    compare(names, photographs, out=out, minutes=None, device="cpu", accept_new_data=True)
    assert _parts(out / "two")["validation"] == _parts(out / "one")["validation"] == before
    assert "a0.png" in _parts(out / "two")["train"]
    moved = photographs.rename(tmp_path / "moved")
    shutil.rmtree(out / "two")
    compare(names, moved, out=out, minutes=None, device="cpu")
    assert _parts(out / "two")["validation"] == before


def test_prepared_subjects_that_are_held_out_are_never_trained_on(tmp_path: Path, photographs: Path) -> None:
    from medsr.data import manifest

    rows = [
        manifest.ManifestRow(f"eye{i}.png", f"{i}", f"s{i // 2}", "train", "image", "c", "64x64", True, "s", "h", "h")
        for i in range(6)
    ]
    (photographs / manifest.NAME).write_text(manifest.render(rows))
    (tmp_path / "r.yml").write_text(yaml.safe_dump(RECIPE))
    recipe = load(tmp_path / "r.yml", [f"data.train={photographs}"])
    first = find_files(recipe)
    again = find_files(recipe, file_list.of_split(recipe, first, None))
    assert (first.train, first.held_out) == (again.train, again.held_out)
    subjects = {path.name: index // 2 for index, path in enumerate(sorted(photographs.glob("*.png")))}
    held_out = {subjects[path.name] for path in again.held_out}
    assert again.train
    assert held_out.isdisjoint(subjects[source.path.name] for source in again.train)
