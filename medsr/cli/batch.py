"""How commands over many inputs end."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from medsr.errors import BatchError
from medsr.outcome import Outcome


def told_failure(outcome: Outcome) -> bool:
    """Print the one line of a failed input, if it failed."""
    if outcome.error:
        typer.echo(f"medsr: {' '.join(str(outcome.error).split())}", err=True)
    return outcome.error is not None


def end(outcomes: Sequence[Outcome]) -> None:
    """Leave with the code of what failed: a single input's own, or that of a batch."""
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if not failed:
        return
    if len(outcomes) == 1:
        raise typer.Exit(failed[0].exit_code)
    typer.echo(f"medsr: {len(failed)} of {len(outcomes)} inputs failed", err=True)
    raise typer.Exit(BatchError.exit_code)
