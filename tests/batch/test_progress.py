from __future__ import annotations

import pytest

from medsr.batch.progress import clock, progress


def test_piped_progress_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 10, done=4) as update:
        update(5, "l1 0.5")
        update(10, "l1 0.4")
        update(10, "l1 0.4")
    assert capsys.readouterr().err == "train: 10/10  l1 0.4  0:00:00 left\n"


def test_a_name_with_a_line_end_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("upscale", 1) as update:
        update(1, "eye\nleft.png")
    assert capsys.readouterr().err == "upscale: 1/1  eye\\nleft.png  0:00:00 left\n"


def test_clock() -> None:
    assert clock(3725.4) == "1:02:05"
