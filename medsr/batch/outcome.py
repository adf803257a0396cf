"""What became of one input of many: a bad one costs nobody else theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames

from medsr.core.errors import MedsrError, MemoryExhaustedError
from medsr.core.text import reason


@dataclass(frozen=True)
class Outcome:
    """`error` is None when `output` is there. `notes`: what the user should know. `skipped`: it was there before.

    `input_sha256`, `output_sha256`: of the bytes that were decoded, and of those that were written; empty where nobody
    has taken them.
    """

    input: Path
    output: Path
    seconds: float
    error: MedsrError | None = None
    notes: tuple[str, ...] = ()
    skipped: bool = False
    input_sha256: str = ""
    output_sha256: str = ""

    @property
    def warnings(self) -> list[str]:
        """Those of the notes that begin with the word."""
        return [note for note in self.notes if note.startswith("warning:")]


def run_safely(source: Path, target: Path, job: Callable[[], tuple[str, ...]]) -> Outcome:
    """Run `job`, which writes `target` and returns its notes; any failure becomes an outcome."""
    began = time.monotonic()
    try:
        notes = job()
    except OSError as error:
        failure = MedsrError(f"{target}: cannot be written: {error.strerror or error}")
        return Outcome(source, target, _since(began), failure)
    except Exception as error:
        return Outcome(source, target, _since(began), as_error(error, source))
    return Outcome(source, target, _since(began), None, notes)


def as_error(error: Exception, source: Path) -> MedsrError:
    """Any failure of one input as an error of ours that names it: a bug on one file must not cost the others."""
    clear_frames(error.__traceback__)  # else the arrays in them stay as long as the error
    if isinstance(error, MedsrError):
        return error
    if isinstance(error, MemoryError):
        return MemoryExhaustedError(f"{source}: out of memory; free some, or ask for a coarser result")
    words = f"{type(error).__name__}: {reason(error, source)}"
    failure = MedsrError(f"{source}: {words}; this is a bug in medsr, please report it")
    failure.__cause__ = error
    return failure


def _since(began: float) -> float:
    return time.monotonic() - began
