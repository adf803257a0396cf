"""How commands over many inputs end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from medsr.batch.outcome import Outcome
from medsr.cli.echo import echo, echo_lines
from medsr.cli.failures import say
from medsr.core.errors import BatchError, UsageError

ENGINE = "auto (the fastest that differs by less than 1e-4 of full range), torch or openvino."
PRECISION = "auto (bf16 or int8 on a CPU, where faster and next to nothing is lost), fp32, bf16, int8; fp16 with CUDA."
COMPILE = "Let torch compile the network: minutes at first, then faster on a GPU with many tiles of one shape."
BITS = "Bits stored in 16-bit files that do not say so. [default: decided once for all of them]"
KEEP_METADATA = "Results also get the texts of their inputs (EXIF, descriptions), which may name a person or a place."
MAX_GPU_MEMORY = "Take no more of the GPU's memory. [default: what is free]"


FROM_ARCHIVE = Annotated[
    str | None,
    typer.Option("--from", metavar="URL", help="Take the series of --study from this archive (DICOMweb, https)."),
]
STUDY = Annotated[str | None, typer.Option("--study", metavar="UID", help="With --from: the StudyInstanceUID.")]
TO_ARCHIVE = Annotated[
    str | None,
    typer.Option("--to", metavar="URL", help="Send the derived DICOM to this archive (DICOMweb, https)."),
]
CA = Annotated[
    str | None,
    typer.Option("--ca", metavar="FILE", help="With an archive: certificates of the authority to trust (PEM)."),
]
OF_ARCHIVES = {"from_archive", "study", "to_archive", "ca"}
"""Options of what comes from or goes to an archive; a cohort works on files."""


def report_failure(outcome: Outcome) -> bool:
    """Print the one line of an input that failed; returns whether it failed."""
    if outcome.error:
        say(outcome.error, str(outcome.error))
    return outcome.error is not None


def end(outcomes: Sequence[Outcome]) -> None:
    """Leave with the code of what failed: a single input's own, or that of a batch."""
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if not failed:
        return
    if len(outcomes) == 1:
        raise typer.Exit(failed[0].exit_code)
    end_partly(len(failed), len(outcomes))


def end_partly(failed: int, total: int) -> None:
    """Leave with the code of a batch some of whose inputs failed, if any did."""
    if failed:
        echo(f"medsr: {failed} of {total} inputs failed", err=True)
        raise typer.Exit(BatchError.exit_code)


def parse_tile(tile: str) -> int | None:
    """`--tile` as a side in pixels, None for auto. Raises UsageError."""
    if tile == "auto":
        return None
    if not (tile.isascii() and tile.isdigit() and (int(tile) == 0 or int(tile) >= 32)):
        raise UsageError(f"--tile {tile}: expected auto, 0, or a number of pixels from 32")
    return int(tile)


def end_evaluation(text: str, out: Path | None, failed: Sequence[Outcome], measured: int) -> None:
    """Print figures, where their report lies and what failed; leave with the code of a batch some of which failed."""
    echo_lines(text)
    if out is not None:
        echo()
        echo(out / "report.html")
    for outcome in failed:
        report_failure(outcome)
    end_partly(len(failed), len(failed) + measured)
