from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from medsr.commands.evaluate.lesions import tables
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, MEASURES, Cell, LesionEvaluation, Score
from tests.helpers.lesions import lesion_evaluation

NAN = float("nan")


@pytest.fixture(scope="module")
def result() -> LesionEvaluation:
    return lesion_evaluation()


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]


def _small(values: dict[str, list[float]], measure: str = "integrated") -> LesionEvaluation:
    """One family, one size: by model a value a subject."""
    cell = Cell("nodule", 3)
    scores = [
        Score(f"s{index}", model, cell, measure, value)
        for model, of_model in values.items()
        for index, value in enumerate(of_model)
    ]
    return LesionEvaluation("cxr", "mm", "megapixel", {}, "bicubic", {name: {} for name in values}, scores, [], {})


def test_the_figures_of_the_terminal_are_the_means_of_the_scores(result: LesionEvaluation) -> None:
    rows = _rows(tables.text(result))
    header = next(row for row in rows if row[0] == "haemorrhage")
    row = next(row for row in rows[rows.index(header) :] if row[0] == "contrast kept, 8 pixels")
    for model, figure in zip(header[1:], row[1:], strict=True):
        own = [
            score.value
            for score in result.scores
            if (score.model, score.measure, score.cell) == (model, "integrated", Cell("haemorrhage", 8))
        ]
        assert len(own) == 4
        assert figure.startswith(f"{np.mean(own):.3f} [")


def test_every_measure_of_every_family_is_in_the_markdown(result: LesionEvaluation) -> None:
    rows = _rows(tables.markdown(result))
    for measure in MEASURES:
        assert len([row for row in rows if row[0].startswith(f"{tables.label(result, measure)}, ")]) == 12, measure


def test_lines_of_the_csv_are_the_means_and_differences(result: LesionEvaluation) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.csv_of_figures(result))))
    assert {line["contrast"] for line in lines} == {"all", "0.15", "0.3", "-0.15", "-0.3"}
    wanted = {"family": "exudate", "size": "5", "contrast": "0.3", "model": "medsr-retina-x2", "measure": "peak"}
    (line,) = [line for line in lines if wanted.items() <= line.items()]
    cell = Cell("exudate", 5, 0.3)
    gains = result.difference("medsr-retina-x2", cell, "peak")
    assert gains is not None
    assert float(line["mean"]) == np.mean(list(result.values("medsr-retina-x2", cell, "peak").values()))
    assert float(line["difference_low"]) == gains.low
    assert line["lesions"] == "12"
    base = next(line for line in lines if line["model"] == "bicubic")
    assert base["difference"] == ""


def test_every_score_is_a_line_and_one_without_a_value_says_so(result: LesionEvaluation) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.csv_of_scores(result))))
    assert len(lines) == len(result.scores)
    undefined = [score for score in result.scores if not np.isfinite(score.value)]
    assert undefined
    assert len([line for line in lines if line["value"] == ""]) == len(undefined)
    assert float(lines[0]["value"]) == result.scores[0].value


def test_what_was_not_measured_is_a_dash_and_what_nobody_measured_is_left_out() -> None:
    result = _small({GROUND_TRUTH: [1.0, 1.0], "bicubic": [0.4, 0.6], "net": [NAN, NAN]})
    (_, figures) = [row for row in _rows(tables.text(result)) if not set(row[0]) <= set("-:")]
    assert figures == ["contrast kept, 3 mm", "1.000 [1.000, 1.000]", "0.500 [0.400, 0.600]", "-"]
    assert "nan" not in (tables.text(result) + tables.markdown(result) + tables.csv_of_figures(result)).lower()
    assert "Hotelling" not in tables.markdown(result)


def test_one_subject_has_no_interval_and_the_tables_say_that_it_cannot_tell() -> None:
    result = _small({GROUND_TRUTH: [1.0], "bicubic": [0.4], "net": [0.6]})
    assert _rows(tables.text(result))[-1][1:] == ["1.000", "0.400", "0.600"]
    assert "one subject has no interval" in tables.text(result)
    assert "one subject cannot tell: nodule at every size" in tables.text(result)


def test_few_subjects_are_remarked_on_and_so_are_sizes_that_only_some_have() -> None:
    result = _small({GROUND_TRUTH: [1.0] * 3, "bicubic": [0.4, NAN, 0.5]})
    assert tables.remarks(result) == [
        "with fewer than 10 subjects these intervals are too narrow",
        "nodule, 3 mm: in 2 of 3 subjects",
    ]
    assert tables.remarks(_small({GROUND_TRUTH: [1.0] * 10, "bicubic": list(np.linspace(0.4, 0.5, 10))})) == []


def test_a_baseline_alone_needs_no_differences() -> None:
    result = lesion_evaluation(models=["bicubic"], families=["exudate"])
    assert "difference" not in tables.markdown(replace(result, real=()))
    assert "minus" not in tables.markdown(result)
    assert "bicubic:" in tables.text(result)


def test_names_from_elsewhere_stay_text() -> None:
    result = lesion_evaluation(subjects=["=HYPERLINK(1)", "b"], models=["bicubic", "a|b\nnext"], families=["exudate"])
    assert "a\\|b\\nnext" in tables.markdown(result)
    assert "'=HYPERLINK(1)" in tables.csv_of_scores(result)
    assert "alice" not in tables.markdown(result)  # folders of this machine
    assert {len(row) for row in _rows(tables.text(replace(result, real=())))} == {4}


def test_real_lesions_stand_in_their_own_tables(result: LesionEvaluation) -> None:
    lesions = [lesion for lesion in result.real if lesion.model == "bicubic" and lesion.stands_out]
    kept = np.mean([lesion.contrast / lesion.true_contrast for lesion in lesions])
    text = tables.markdown(result)
    header, *rows = _rows(text[text.index("Real lesions: contrast kept, mean") :])
    overall = next(row for row in rows if row[0] == "all sizes")
    assert header == ["size, pixels", "lesions", "bicubic", "medsr-retina-x2", "medsr-gan-x2"]
    assert overall[1] == str(len(lesions)) == "16"
    assert overall[2].startswith(f"{kept:.3f} [")
    assert "18 lesions in 2 subjects, of which 16 stand out" in text
    assert "Real lesions" not in tables.markdown(replace(result, real=()))


def test_volumes_and_areas_are_not_put_together(result: LesionEvaluation) -> None:
    mixed = [replace(lesion, unit="ml" if lesion.subject == "sub-01" else "pixels") for lesion in result.real]
    text = tables.markdown(replace(result, real=mixed))
    totals = [row for row in _rows(text) if row[0] == "all sizes"]
    assert {row[1] for row in totals} == {"8"}
    assert "size, ml" in text
    assert "size, pixels" in text


def test_lesions_of_which_none_stands_out_are_still_counted(result: LesionEvaluation) -> None:
    faint = [replace(lesion, stands_out=False) for lesion in result.real]
    text = tables.text(replace(result, real=faint))
    assert re.search(r"^real lesions: \d+ lesions in \d subjects?, of which 0 stand out from the tissue$", text, re.M)
    assert "real lesions" not in tables.text(replace(result, real=()))
