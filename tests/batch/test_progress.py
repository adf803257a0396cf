from __future__ import annotations

import io
import re

import pytest

from medsr.batch.progress import clock, progress
from medsr.cli.echo import echo


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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_names_its_times_and_results_are_printed_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    for name, value in (("TERM", "xterm"), ("COLUMNS", "100")):
        monkeypatch.setenv(name, value)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", terminal)
    with progress("upscale", 2) as update:
        update(1, "[a].png")
        echo("out/[a].png  1.0 s")
        update(2)
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert re.search(r"\d:\d\d:\d\d elapsed, (\d:\d\d:\d\d|-:--:--) left", text)
    assert "\x1b[2Kout/[a].png  1.0 s\n" in text
    assert text.endswith("\x1b[2K")


def test_results_that_go_to_a_file_do_not_go_to_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with progress("upscale", 1) as update:
        echo("out/a.png  1.0 s")
        update(1)
    assert "a.png" not in terminal.getvalue()
    assert capsys.readouterr().out == "out/a.png  1.0 s\n"
