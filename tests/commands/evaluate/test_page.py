"""The page of an evaluation, with its drawings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import medsr


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_shows_best_median_and_worst(
    photographs: Path, tiny_model: Path, tmp_path: Path
) -> None:
    medsr.evaluate("folder", photographs, models=[tiny_model, "medsr-retina-x2"], out=tmp_path / "out", device="cpu")
    page = (tmp_path / "out/report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert all(word in page for word in ("worst", "median", "best", "What the numbers do not say", "Protocol"))
    assert page.count("data:image/svg+xml") >= 5  # a plot for every figure that is plotted
    assert page.count("data:image/png") >= 2 * 3 * 11  # two rows of five and the whole image, for three images
    assert "What was measured of medsr-retina-x2" in page
    assert "the worst image gains +2.98 dB" in page
