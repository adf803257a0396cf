"""Nothing that stands in a file reaches the terminal as an escape sequence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import medsr.cli
from medsr.cli.echo import echo, echo_lines

ESCAPE = "\x1b]0;owned\x07\x1b[31m\u202e"


def test_what_is_printed_holds_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    echo_lines(f"a\nb{ESCAPE}")
    echo(f"{ESCAPE}", err=True)
    told = capsys.readouterr()
    assert told.out == "a\nb\\x1b]0;owned\\x07\\x1b[31m\\u202e\n"
    assert not set(ESCAPE[:1] + "\x07\u202e") & set(told.err)


def test_a_name_with_line_ends_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb.png: the same bytes")
    assert capsys.readouterr().out == "a\\nb.png: the same bytes\n"


def test_commands_print_by_that_door_alone() -> None:
    for path in Path(medsr.cli.__file__).parent.glob("*.py"):
        if path.name != "echo.py":
            assert not re.search(r"typer\.(echo|secho)|click\.echo", path.read_text()), path


def test_a_sidecar_and_a_recipe_print_none(tmp_path: Path) -> None:
    sidecar = {"tool": "medsr", "version": ESCAPE, "command": "upscale", "results": {}}
    (tmp_path / "upscale.json").write_text(json.dumps(sidecar))
    (tmp_path / "recipe.yml").write_text(f"name: a\n{json.dumps('k' + ESCAPE)}: 1\n")
    for line in ("reproduce upscale.json", "finetune recipe.yml --out run"):
        call = [sys.executable, "-m", "medsr", *line.split()]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "owned" in done.stdout + done.stderr
        assert not set("\x1b\x07\u202e") & set(done.stdout + done.stderr)
