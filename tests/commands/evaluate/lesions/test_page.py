from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medsr.commands.evaluate.lesions import figures, page, tables
from medsr.commands.evaluate.lesions.real_section import real_section
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, Cell, LesionEvaluation, Strip
from medsr.commands.evaluate.lesions.verdict import verdict
from tests.helpers.lesions import lesion_evaluation


@pytest.fixture(scope="module")
def result() -> LesionEvaluation:
    return lesion_evaluation(families=["microaneurysm", "exudate"])


@pytest.fixture(scope="module")
def html(result: LesionEvaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    page.write(path, result, Path("scans"))
    return path.read_text()


def _written(result: LesionEvaluation, folder: Path) -> str:
    page.write(folder / "report.html", result, Path("scans"))
    return (folder / "report.html").read_text()


def _captions(html: str) -> list[str]:
    return [unescape(caption) for caption in re.findall(r"<figcaption>(.*?)</figcaption>", html)]


def _svg(html: str, caption: str) -> str:
    source = re.search(rf'src="data:image/svg\+xml;base64,([^"]+)" alt="{re.escape(caption)}"', html)
    assert source is not None
    return base64.b64decode(source[1]).decode()


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_begins_with_the_verdicts(html: str, result: LesionEvaluation) -> None:
    assert not re.search(r'(src|href)="(?!data:)', html)
    titles = [unescape(title) for title in re.findall(r"<h2>(.*?)</h2>", html)]
    assert titles[:3] == [f"{model}: the verdict" for model in ("medsr-retina-x2", "medsr-gan-x2", "bicubic")]
    assert {"What this does not show", "Where lesions were drawn", "Protocol", "Left out", "Versions"} < set(titles)
    text = unescape(html)
    assert all(verdict(result, model) in text for model in ("medsr-retina-x2", "medsr-gan-x2", "bicubic"))
    assert "With fewer than 10 subjects these intervals are too narrow." in text


def test_every_figure_of_the_page_is_one_of_the_evaluation(html: str, result: LesionEvaluation) -> None:
    cell = Cell("exudate", 8)
    mean = result.mean("medsr-gan-x2", cell, "false_finds")
    gain = result.difference("medsr-gan-x2", cell, "false_finds")
    assert mean is not None
    assert gain is not None
    assert f"<td>{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]</td>" in html
    assert f"<td>{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]</td>" in html


def test_each_family_has_curves_of_every_measure_that_matters(html: str, result: LesionEvaluation) -> None:
    captions = _captions(html)
    for family in ("microaneurysm", "exudate"):
        for measure in page.CURVES:
            assert f"{family}: {tables.label(result, measure)}" in captions


def test_a_curve_names_every_model_and_the_ground_truth(html: str) -> None:
    drawing = _svg(html, "exudate: contrast kept")
    assert all(f"<!-- {name} -->" in drawing for name in ("ground truth", "bicubic", "medsr-retina-x2", "medsr-gan-x2"))


def test_examples_begin_where_the_baseline_keeps_half(html: str) -> None:
    examples = [caption for caption in _captions(html) if "contrast +0.3" in caption]
    assert [caption.split(",")[1] for caption in examples] == [" 5 pixels", " 3 pixels", " 8 pixels"]
    assert "The smallest size of which bicubic keeps half of the contrast is 5 pixels." in html


def test_an_example_shows_pixels_as_they_are() -> None:
    """Rows: ground truth, input, model. Columns: with, without, difference."""
    dark, bright = np.full((8, 8, 1), 0.25, np.float32), np.full((8, 8, 1), 0.5, np.float32)
    half = np.full((8, 8, 1), 0.375, np.float32)
    present = {"bicubic": half, GROUND_TRUTH: bright, "input": half}
    example = Strip("s", Cell("nodule", 3, 0.12), present, dict.fromkeys(present, dark))
    html = figures.strip(lesion_evaluation(models=["bicubic"], pictures=False), example)
    drawing = base64.b64decode(html.data.split(",")[1]).decode()
    (content,) = re.findall(r"data:image/png;base64,\s*([^\"]+)\"", drawing)
    with Pillow.open(io.BytesIO(base64.b64decode(content))) as image:
        whole = np.asarray(image.convert("RGB"))
    side = (whole.shape[0] - 2 * figures.GAP) // 3
    middles = [side // 2 + index * (side + figures.GAP) for index in range(3)]
    levels = [tuple(int(value) for value in whole[row, column]) for row in middles for column in middles]
    assert levels[0] == (255, 255, 255)  # the brightest of the ground truth
    assert levels[1] == levels[4] == levels[7] == (0, 0, 0)
    assert levels[3] == levels[6]
    assert abs(levels[3][0] - 127.5) <= 1
    assert levels[2] == (103, 0, 31)  # the strongest red: all of the truth's difference
    assert levels[5] == levels[8] != levels[2]


@pytest.mark.slow
def test_hostile_names_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>$x_{$"
    hostile = lesion_evaluation([evil, "b"], ["bicubic", "_<b>$\\frac$"], families=["exudate"])
    html = _written(replace(hostile, strips=hostile.strips[-1:]), tmp_path)
    assert "<script>" not in html
    assert evil in unescape(html)
    assert "_&lt;b&gt;" in _svg(html, "exudate: contrast kept")  # matplotlib hides names that begin so
    assert "alice" not in html


def test_one_subject_one_model_and_no_pictures_make_a_page(tmp_path: Path) -> None:
    html = _written(lesion_evaluation(["only"], ["bicubic"], pictures=False, families=["exudate"]), tmp_path)
    assert "One subject has no interval" in html
    assert "minus bicubic" not in html
    assert not any(title in html for title in ("Examples", "Where lesions were drawn", "Real lesions"))


def test_figures_that_are_not_defined_are_dashes(result: LesionEvaluation, tmp_path: Path) -> None:
    missing = [
        replace(score, value=float("nan")) if score.model == "medsr-gan-x2" else score
        for score in result.scores
        if score.cell in (Cell("exudate", 5), Cell("exudate", 8))
    ]
    html = _written(replace(result, scores=missing, strips=(), places={}, real=()), tmp_path)
    assert "<td>-</td>" in html
    assert "nan" not in re.sub(r'"data:[^"]+"', "", html).lower()


def test_large_pictures_are_made_small() -> None:
    large = np.random.default_rng(0).random((900, 1300, 3)).astype(np.float32)
    (small,) = figures.places({"s": large})
    with Pillow.open(io.BytesIO(base64.b64decode(small.data.split(",")[1]))) as image:
        assert image.size == (640, 443)


def test_real_lesions_that_cannot_be_measured_are_counted_and_nothing_is_drawn(result: LesionEvaluation) -> None:
    faint = [replace(lesion, stands_out=False) for lesion in result.real]
    section = real_section(replace(result, real=faint))
    assert section.text.startswith("18 lesions in 2 subjects, of which 0 stand out")
    assert not section.tables
    assert not section.pictures
