"""`medsr volume`: what the command line adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsr.cli import volume as command
from medsr.cli.minutes import OptionalMinutes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--adapt"], 2.0),
        (["--adapt", "0.5"], 0.5),
        (["--adapt=3"], 3.0),
        ([], None),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_adapt_may_stand_alone(
    given: list[str], expected: float | None, last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    seen: dict[str, object] = {}

    def stand_in(scans: object, out: object, **options: object) -> list[object]:
        seen.update(options, scans=scans)
        return []

    monkeypatch.setattr("medsr.commands.volume.run.volume", stand_in)
    app = typer.Typer()
    app.command(cls=OptionalMinutes)(command.volume)
    rest = ["a.nii.gz", "--out", str(tmp_path)]
    app([*rest, *given] if last else [*given, *rest], standalone_mode=False)
    assert seen["adapt"] == expected
    assert seen["scans"] == ["a.nii.gz"]
