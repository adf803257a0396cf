"""`medsr evaluate lesions`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsr.cli.batch import end_evaluation
from medsr.cli.echo import echo
from medsr.core.errors import UsageError
from medsr.lesions.kinds import KINDS


def refuse(options: Mapping[str, object], why: str) -> None:
    """Raise UsageError for the first option that was asked for, be it 0. `options`: None or False where it was not."""
    asked = next((name for name, value in options.items() if value is not None and value is not False), None)
    if asked:
        raise UsageError(f"`{asked}`: {why}")


def evaluate_lesions(chosen: Mapping[str, Any], *, out: Path | None, **options: Any) -> None:
    """Measure what models leave of lesions. `chosen`: the options of lesions alone, None where not asked for."""
    from medsr.commands.evaluate.lesions import tables
    from medsr.commands.evaluate.lesions.run import evaluate_lesions as run

    asked = {name: value for name, value in chosen.items() if value is not None}
    if "kind" not in asked:
        raise UsageError(f"`kind`: say what the images show: {', '.join(KINDS)}")
    result = run(**asked, out=out, notify=lambda line: echo(line, err=True), **options)
    end_evaluation(tables.text(result), out, result.failed, len(result.subjects))
