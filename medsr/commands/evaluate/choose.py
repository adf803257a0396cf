"""A benchmark by its name and the options it knows, and what is measured on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsr.commands.evaluate import external
from medsr.commands.evaluate.benchmarks import entry_of, listing
from medsr.commands.evaluate.case import Benchmark, Runner
from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean
from medsr.engines.base import Compute
from medsr.engines.selection import as_stored
from medsr.networks import weight_store
from medsr.networks.bundled import model_for
from medsr.volumes.refine import Method


def benchmark(
    name: str,
    data: Path,
    scale: float | None = None,
    blur_sigma: float | None = None,
    track: str | None = None,
    device: str = "cpu",
    method: Method = Method(),
    adapt: float | None = None,
    bits: int | None = None,
    stacks: int | None = None,
) -> Benchmark:
    """None: the benchmark's own. Raises UsageError for an unknown name and for an option that would do nothing."""
    entry = entry_of(name)
    if track is not None and not entry.tracks:
        raise UsageError(f"`track`: {name} has none; {listing(lambda other: other.tracks)} has")
    if blur_sigma is not None and not entry.blur:
        raise UsageError(f"`blur_sigma`: {name} has no blur of P1")
    if entry.kind != "volume" and (replace(method, consistency=True) != Method() or adapt is not None):
        volumes = listing(lambda other: other.kind == "volume")
        raise UsageError(f"`planes`, `fuse` and `adapt`: {name} has none; {volumes} has")
    if bits is not None and entry.kind != "image":
        raise UsageError(f"`bits`: {name} has none; scans say how many they hold")
    factor = entry.check_scale(entry.default_scale if scale is None else scale)
    several = {} if stacks is None else {"stacks": entry.check_stacks(stacks)}
    if entry.kind == "volume":
        return entry.build(data, factor, method=method, adapt=adapt, **several)
    options: dict[str, Any] = {"device": device, "consistency": method.consistency, "bits": bits}
    if blur_sigma is not None:
        options["blur_sigma"] = blur_sigma
    if entry.tracks:
        options["track"] = entry.tracks[0] if track is None else track
        if options["track"] not in entry.tracks:
            raise UsageError(
                f"`track={track}`: expected {' or '.join(entry.tracks)}{did_you_mean(track, entry.tracks)}"
            )
    return entry.build(data, factor, **options)


def bundled(bench: Benchmark) -> list[str]:
    """The bundled model that was made for a benchmark's images and its factor; none for images of any kind."""
    suits = entry_of(bench.name).suits
    return [model_for(suits, bench.scale)] if suits else []


def wanted_models(bench: Benchmark, models: Sequence[str | Path], results: Mapping[str, str | Path]) -> list[str]:
    """The models to measure beside the baseline: those asked for, else the bundled one."""
    return [str(model) for model in models] or ([] if results else bundled(bench))


def open_runners(
    bench: Benchmark,
    models: Sequence[str | Path],
    results: Mapping[str, str | Path],
    names: Mapping[str, str],
    compute: Compute,
    tile: int | None,
) -> dict[str, Runner]:
    """The baseline first, then the models, each once, by the name it is shown under; then what others made.

    Raises UsageError or WeightsError.
    """
    wanted = wanted_models(bench, models, results)
    if bench.customised() and not set(wanted) - set(weight_store.BASELINES):
        raise UsageError("`planes`, `fuse`, `consistency=False` and `adapt` are of networks, and none is measured")
    runners: dict[str, Runner] = {}
    for model in dict.fromkeys([bench.baseline, *wanted]):
        runner = bench.open(model, as_stored(model, compute), tile)
        rows = bench.rows(Path(model).name if Path(model).is_file() else model, runner)
        runners |= bench.rows(model, runner) if rows.keys() & runners.keys() else rows
    for name, folder in results.items():
        if name in runners:
            raise UsageError(f"`results={name}={folder}`: a model of that name is measured too; choose another")
        runners[name] = external.results(name, Path(folder), bench, names)
    return runners
