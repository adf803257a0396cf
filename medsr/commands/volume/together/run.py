"""`medsr volume --together`: read, check, join and write, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medsr.batch import pipeline
from medsr.batch.outcome import Outcome
from medsr.commands.volume.arguments import open_for
from medsr.commands.volume.together.inputs import find_stacks, target_for
from medsr.commands.volume.together.job import JoinContext, JoinJob
from medsr.core.errors import InputError, UsageError


def join_files(
    scans: Any,
    out: str | Path | None,
    series: Sequence[str],
    context: JoinContext,
    on_outcome: Callable[[Outcome], None],
) -> list[Outcome]:
    """One result of several files or of the `series` of a DICOM folder. Raises UsageError before anything is read."""
    if out is None or not str(out):
        raise UsageError("`out`: expected a file or a folder")
    request, like = context.request, context.joining.like
    if like is not None and not like.exists():
        raise InputError(f"{like}: no such file or folder; `like` takes a scan whose grid the result gets")
    paths: list[str | Path] = [str(scans)] if isinstance(scans, str | os.PathLike) else list(scans)
    stacks = find_stacks(paths, Path(out), series, context.notify)
    target = target_for(stacks, Path(out), like, request.method.uncertainty)
    return pipeline.run([JoinJob(stacks, target, context, open_for(request))], on_outcome)
