from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medsr.report.page import Section, Table, curves, folder_name, picture, smooth, today, write_page


def test_a_page_holds_everything_it_shows(tmp_path: Path) -> None:
    unit = np.random.default_rng(0).random((4, 6, 3)).astype(np.float32)
    pictures = [picture("a <b> crop", unit, enlarge=3), curves("losses", {"l1": ([1, 2], [0.5, 0.25])}, "loss")]
    table = Table(["model", "PSNR"], [["bicubic", "30.00"]], "protocol & all")
    write_page(tmp_path / "r.html", "Title", "Lead", [Section("One", "text", [table], pictures)])
    page = (tmp_path / "r.html").read_text()
    assert "a &lt;b&gt; crop" in page
    assert "protocol &amp; all" in page
    assert 'src="http' not in page
    png = page.split("data:image/png;base64,")[1].split('"')[0]
    with Pillow.open(io.BytesIO(base64.b64decode(png))) as image:
        assert image.size == (18, 12)


def test_smoothing_keeps_length_and_means() -> None:
    assert smooth([1, 3, 5, 7], 2) == [1, 2, 4, 6]
    assert smooth([1, 3], 10) == [1, 2]


def test_curves_are_the_same_bytes_every_time() -> None:
    pages = [curves("a", {"b": ([1, 2], [3.0, 4.0])}, "x", "y") for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_page_bears_its_name_and_the_date_in_title_and_first_line(tmp_path: Path) -> None:
    write_page(tmp_path / "r.html", "patients-2021: evaluation", "Lead", [])
    page, named = (tmp_path / "r.html").read_text(), f"patients-2021: evaluation, {today()}"
    assert f"<title>{named}</title>" in page
    assert f'<h1>patients-2021: evaluation, <span class="date">{today()}</span></h1>' in page  # never broken over lines
    assert ".date { white-space: nowrap; }" in page


def test_a_folder_is_called_by_its_own_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_name(Path(".")) == folder_name(tmp_path) == tmp_path.name


def test_remarks_go_over_several_lines_and_recipes_over_several_columns(tmp_path: Path) -> None:
    table = Table(["result", "remarks"], [["a", "a long remark"]], remarks=True)
    write_page(tmp_path / "r.html", "T", "L", [Section("Subjects", tables=[table]), Section("Recipe", code="scale: 4")])
    page = (tmp_path / "r.html").read_text()
    assert '<table class="remarks">' in page
    assert "table.remarks th:last-child { text-align: left; white-space: normal;" in page
    assert "section pre { columns: 18rem; }" in page


def test_nothing_is_folded_away_from_paper_and_rows_stay_rows(tmp_path: Path) -> None:
    pictures = [picture(name, np.zeros((4, 4, 1), np.float32), link="x_report.html") for name in "abc"]
    write_page(
        tmp_path / "r.html", "T", "L", [Section("Recipe", code="scale: 4"), Section("P", pictures=pictures, columns=3)]
    )
    page = (tmp_path / "r.html").read_text()
    assert "<details" not in page
    assert "<pre>scale: 4</pre>" in page
    assert '--columns: 3"' in page
    assert page.count('<a href="x_report.html"><img') == 3
    assert "@media print" in page
