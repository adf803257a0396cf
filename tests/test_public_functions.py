"""The public functions as a newcomer meets them: found by Tab, explained, and with examples that run."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

import medsr
from tests.helpers.images import write_png
from tests.helpers.lesions import photograph
from tests.helpers.recipes import RECIPE

FUNCTIONS = [name for name in medsr.__all__ if name != "__version__"]
SLOW = dict.fromkeys(("models", "compare"), pytest.mark.slow)  # build every network, train twice
WITHOUT = {"demo", "serve"}
"""Examples that take minutes or never end; `tests/commands/test_demo.py` and `tests/commands/serve` run those two."""


def test_tab_shows_the_functions() -> None:
    assert dir(medsr) == sorted(medsr.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_explained_and_only_two_come_by_position(name: str) -> None:
    function = getattr(medsr, name)
    text = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters.values()
    explained = re.findall(r"^    (\w+): ", text.partition("Args:\n")[2].partition("\n\n")[0], re.M)
    assert explained == [parameter.name for parameter in parameters]
    assert sum(parameter.kind == parameter.POSITIONAL_OR_KEYWORD for parameter in parameters) <= 2
    assert "Examples:" in text
    assert "Returns:" in text or name == "serve"


@pytest.fixture
def folder(tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the examples read."""
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "eye.png", fundus[:96, :96])
    for number in range(4):
        write_png(tmp_path / "photographs" / f"eye{number}.png", fundus[40 * number : 40 * number + 96, :96])
        write_png(tmp_path / "whole_eyes" / f"{number}.png", np.rint(photograph(number, 120) * 255).astype(np.uint8))
    for recipe in ("recipe", "other"):
        data = RECIPE["data"] | {"validation": "eye[3].png"}
        (tmp_path / f"{recipe}.yml").write_text(yaml.safe_dump(RECIPE | {"name": recipe, "data": data}))
    (tmp_path / "card.yml").write_text(
        'name: mine\ntitle: my eyes\nlicence: mine\nfiles: {image: "eye{subject:[0-9]}.png"}\n'
        "split: {train: 0.5, validation: 0.25, test: 0.25}\nground_truth: {}\n"
    )
    (tmp_path / "scans").mkdir()
    values = np.random.default_rng(0).integers(0, 1000, (12, 12, 6), np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1, 1, 2, 1])), tmp_path / "scans" / "first.nii.gz")
    shutil.copy(tmp_path / "scans" / "first.nii.gz", tmp_path / "scans" / "second.nii.gz")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=SLOW.get(name, ())) for name in FUNCTIONS if name not in WITHOUT],
)
def test_the_example_runs(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function = getattr(medsr, name)
    examples = doctest.DocTestParser().get_doctest(inspect.getdoc(function) or "", {}, name, None, 0)
    assert examples.examples
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert results.failed == 0, capsys.readouterr().out
