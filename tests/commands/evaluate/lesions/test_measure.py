"""What is left of lesions: models whose answer is known are caught at it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from medsr.commands.evaluate.case import Case
from medsr.commands.evaluate.lesions.ground_truths import Choices, ground_truths
from medsr.commands.evaluate.lesions.measure import Subject, figures_of
from medsr.commands.evaluate.lesions.observe import observe
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, Cell, LesionEvaluation
from medsr.commands.evaluate.lesions.run import Truth
from medsr.core.types import Array
from medsr.degradation.slice_profile import matrix
from medsr.lesions import placement, places
from medsr.metrics.lesion_recovery import recovery
from tests.helpers.images import write_png
from tests.helpers.lesions import photograph

SIDE = 380
SPOTS = [Cell("microaneurysm", size) for size in (3, 5, 7)]


@dataclass(frozen=True)
class Fake:
    """A model that does something known to the ground truth."""

    does: Callable[[Array], Array]
    sha256: None = None
    note: str = ""

    def __call__(self, case: Case) -> Array:
        return self.does(case.ground_truth)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        write_png(folder / f"eye{number}.png", np.rint(photograph(number, SIDE) * 255).astype(np.uint8))
    return folder


def _evaluated(folder: Path, models: dict[str, Fake | Truth], rounds: int = 2) -> LesionEvaluation:
    truths = ground_truths("fundus", folder, Choices(scale=2))
    measured = []
    for item in truths.bench.items():
        subject = Subject(truths, truths.bench.load(item), 0, rounds)
        measured.append(subject.measure({GROUND_TRUTH: Truth(), **models}))
    scores = [score for subject in measured for score in subject.scores]
    scores += observe(measured, [GROUND_TRUTH, *models])
    about = {name: {} for name in (GROUND_TRUTH, *models)}
    return LesionEvaluation("fundus", "pixels", "megapixel", {}, GROUND_TRUTH, about, scores, [], {})


def _values(evaluation: LesionEvaluation, model: str, measure: str) -> dict[Cell, float]:
    return {
        cell: mean.mean
        for cell in evaluation.cells
        if cell.contrast is None and (mean := evaluation.mean(model, cell, measure))
    }


@pytest.fixture(scope="module")
def evaluation(photographs: Path) -> LesionEvaluation:
    rng = np.random.default_rng(0)

    def inventor(truth: Array) -> Array:
        """A dark blob as deep as the deepest lesion, wherever a grid has a node."""
        blobs = np.zeros(truth.shape[:2])
        blobs[20::40, 20::40] = 1
        blobs = gaussian_filter(blobs, 2.2)
        return (truth * (1 - 0.3 * blobs / blobs.max())[:, :, None]).astype(np.float32)

    def noisy(truth: Array) -> Array:
        return (truth + 5 * rng.normal(size=truth.shape)).astype(np.float32)

    return _evaluated(
        photographs,
        {
            "blur": Fake(lambda truth: gaussian_filter(truth, (2.5, 2.5, 0))),
            "eraser": Fake(lambda truth: median_filter(truth, (11, 11, 1))),
            "inventor": Fake(inventor),
            "noise": Fake(noisy),
        },
    )


@pytest.mark.slow
def test_the_ground_truth_loses_nothing(evaluation: LesionEvaluation) -> None:
    for measure, right in {"integrated": 1, "peak": 1, "width": 1, "erased_half": 0, "displacement": 0}.items():
        values = _values(evaluation, GROUND_TRUTH, measure)
        assert {*SPOTS, Cell("exudate", 5), Cell("haemorrhage", 8)} <= set(values)
        assert list(values.values()) == pytest.approx([right] * len(values), abs=1e-6), measure
    assert max(_values(evaluation, GROUND_TRUTH, "invented").values()) == 0


def test_a_blur_loses_more_of_smaller_lesions(evaluation: LesionEvaluation) -> None:
    kept, widths = _values(evaluation, "blur", "integrated"), _values(evaluation, "blur", "width")
    assert [kept[spot] for spot in SPOTS] == sorted(kept[spot] for spot in SPOTS)
    assert kept[SPOTS[0]] < 0.3 < 0.6 < kept[SPOTS[-1]]
    assert widths[SPOTS[0]] > 1.5
    erased = _values(evaluation, "blur", "erased_half")
    assert erased[SPOTS[0]] == 1
    assert erased[SPOTS[-1]] == 0


def test_an_eraser_is_caught(evaluation: LesionEvaluation) -> None:
    erased, seen = _values(evaluation, "eraser", "erased_quarter"), _values(evaluation, "eraser", "cho_auc")
    assert [erased[spot] for spot in SPOTS[:2]] == [1, 1]
    truly = _values(evaluation, GROUND_TRUTH, "cho_auc")
    assert seen[SPOTS[0]] < 0.8 < 0.95 < truly[SPOTS[0]]


def test_an_inventor_is_caught_and_loses_no_lesion(evaluation: LesionEvaluation) -> None:
    """It draws a blob at every node of a grid."""
    nodes = 1e6 / 40**2
    for spot in SPOTS[:2]:
        assert _values(evaluation, "inventor", "invented")[spot] == pytest.approx(nodes, rel=0.15), spot
        assert _values(evaluation, "blur", "invented")[spot] < nodes / 20
        assert _values(evaluation, "inventor", "integrated")[spot] == pytest.approx(1, abs=0.05)


def test_nothing_is_seen_in_noise(evaluation: LesionEvaluation) -> None:
    for measure in ("cho_auc", "npw_auc"):
        assert _values(evaluation, "noise", measure)[SPOTS[0]] == pytest.approx(0.5, abs=0.2), measure


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one ball of one tissue in air, hardly uneven, 1.1 mm."""
    folder = tmp_path_factory.mktemp("head")
    axis = np.arange(88) - 43.5
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    uneven = gaussian_filter(np.random.default_rng(0).normal(size=(88, 88, 88)), 6)
    tissue = 500 * (distance < 41) * (1 + 0.02 * uneven / uneven.std())
    nib.Nifti1Image(tissue.clip(0).astype(np.float32), np.diag([1.1, 1.1, 1.1, 1])).to_filename(folder / "head.nii.gz")
    return folder


@pytest.mark.slow
def test_thick_slices_keep_what_their_profile_says(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Averaged over 4 slices and repeated: what a lesion keeps follows from the box alone."""
    for module in (places, placement):
        monkeypatch.setattr(module, "allowed", lambda kind, truth, step: truth > 0.3)
    truths = ground_truths("mri", head, Choices(scale=4))
    subject = Subject(truths, truths.bench.load(truths.bench.items()[0]), 0, 4)
    box = matrix(88, 22)

    def thick(truth: Array) -> Array:
        return np.repeat(truth @ box.T, 4, axis=2).astype(np.float32)

    measured = subject.measure({GROUND_TRUTH: Truth(), "thick": Fake(thick)})
    figures = {(score.cell, score.measure): score.value for score in measured.scores if score.model == "thick"}
    kept = defaultdict(list)
    for drawn in subject.rounds:
        whole = drawn.case.ground_truth - subject.case.ground_truth
        thickened = thick(whole)
        for lesion in drawn.lesions:
            window = tuple(slice(centre - 6, centre + 7) for centre in lesion.centre)
            difference, result = whole[window], thickened[window]
            support = abs(difference) >= abs(difference).max() / 2
            kept[lesion.family, lesion.size].append(result[support].sum() / difference[support].sum())
    for (family, size), shares in kept.items():
        assert figures[Cell(family, size), "integrated"] == pytest.approx(np.mean(shares), abs=0.02)
    by_size = [figures[Cell("hyperintense", size), "integrated"] for size in (2, 4, 8)]
    assert by_size[0] < 0.6 < by_size[2]
    assert by_size == sorted(by_size)


def test_the_same_lesions_are_drawn_again(photographs: Path) -> None:
    truths = ground_truths("fundus", photographs, Choices(scale=2))
    first, second = truths.bench.items()[:2]
    lesions = [Subject(truths, truths.bench.load(item), 0, 1).rounds[0].lesions for item in (first, first, second)]
    assert lesions[0] == lesions[1] != lesions[2]


def test_of_a_result_only_patches_stay_in_memory(photographs: Path) -> None:
    truths = ground_truths("fundus", photographs, Choices(scale=2))
    measured = Subject(truths, truths.bench.load(truths.bench.items()[0]), 0, 1).measure({GROUND_TRUTH: Truth()})
    patches = [array for patch in measured.patches[GROUND_TRUTH] for array in (patch.present, patch.absent)]
    assert patches
    assert all(array.base is None for array in patches)


def test_a_lesion_that_no_file_can_hold_is_neither_kept_nor_erased() -> None:
    nothing, something = np.zeros((9, 9)), np.eye(9)
    assert np.isnan(list(figures_of(recovery(nothing, something, 1.0)).values())).all()
    assert figures_of(recovery(something, nothing, 1.0))["erased_half"] == 1


def test_a_name_that_is_not_utf8_draws_its_own_lesions(photographs: Path) -> None:
    truths = ground_truths("fundus", photographs, Choices(scale=2))
    case = truths.bench.load(truths.bench.items()[0])
    drawn = [Subject(truths, replace(case, id=name), 0, 1).rounds[0].lesions for name in ("M\udcfcller", "M\udce4ller")]
    assert drawn[0] != drawn[1]
