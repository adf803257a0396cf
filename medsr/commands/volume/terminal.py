"""What a scan's job prints on a terminal: grids, figures in words, progress."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from medsr.batch.progress import Update, progress
from medsr.core.geometry import Grid
from medsr.core.types import OnProgress


def describe_grid(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape))} at {' x '.join(f'{step:.4g}' for step in grid.spacing)} mm"


def summary_lines(summary: dict[str, Any]) -> tuple[str, ...]:
    """The figures in words, for the terminal."""
    figures = summary.get("consistency")
    if not figures:
        return ()
    before, after = figures["before"], figures["after"]
    error = f"RMS error {after['rms_percent_of_range']:.3f} % of the intensity range"
    lines = [f"consistency with the input: {error} ({after['rms']:.3g}; max {after['max']:.3g})"]
    if summary["parameters"]["consistency"]:
        lines[0] += f"; before correction {before['rms_percent_of_range']:.3f} %"
    if noise := figures.get("noise"):
        share = noise["rms_percent_of_range"]
        lines.append(
            f"the noise of the scan: about {share:.3f} % of the intensity range ({noise['rms']:.3g}){_short(figures)}"
        )
    if clipped := summary.get("clipped_voxels"):
        lines.append(f"{clipped} voxels were clipped to what {summary['output']['dtype']} can hold")
    if spread := summary.get("uncertainty"):
        lines.append(f"spread over planes and flips: {spread['mean']:.3g} on average, 99 % below {spread['p99']:.3g}")
    return tuple(lines)


def _short(figures: dict[str, Any]) -> str:
    """Why the result does not agree with the scan exactly, where noise is the reason."""
    eased, exact = figures["noise_gain"], figures["exact_noise_gain"]
    if exact <= eased * 1.001:
        return ""
    return f"; an exact agreement would make the noise {exact:.3g} times as strong, not {eased:.3g} times"


class TaskProgress:
    """A bar for each thing that is done: adapting, then slices."""

    def __init__(self, name: str) -> None:
        self.name, self.total = name, -1.0
        self.shown: AbstractContextManager[Update] | None = None
        self.update: Update

    def __enter__(self) -> OnProgress:
        return self._update

    def _update(self, done: float, total: float, text: str) -> None:
        if total != self.total:
            self.__exit__()
            self.shown, self.total = progress(self.name, total), total
            self.update = self.shown.__enter__()
        self.update(done, text)

    def __exit__(self, *_: object) -> None:
        if self.shown is not None:
            self.shown.__exit__(None, None, None)
            self.shown = None
