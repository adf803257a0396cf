"""`medsr.evaluate`: every model on every case of a benchmark, scored under one protocol."""

from __future__ import annotations

import json as json_
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from medsr.batch.outcome import Outcome, run_safely
from medsr.batch.progress import progress
from medsr.commands.evaluate import external
from medsr.commands.evaluate.benchmarks import entry_of
from medsr.commands.evaluate.case import Benchmark, Item, Runner
from medsr.commands.evaluate.choose import benchmark as choose
from medsr.commands.evaluate.choose import open_runners, wanted_models
from medsr.commands.evaluate.gallery import TRUTH, Gallery
from medsr.commands.evaluate.provenance import about_model, versions
from medsr.commands.evaluate.record import Record, digests
from medsr.commands.evaluate.result import Evaluation, ImageScores
from medsr.commands.evaluate.seen import seen_before
from medsr.core.devices import choose as choose_device
from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import parse_planes
from medsr.core.meter import Meter
from medsr.core.text import shown_lines
from medsr.core.types import Notify
from medsr.engines.base import Compute
from medsr.io.files import read_unchanged, write_text
from medsr.volumes.refine import Method


def evaluate(
    benchmark: str,
    data: str | Path,
    *,
    models: Sequence[str | Path] = (),
    out: str | Path | None = None,
    json: str | Path | None = None,
    scale: float | None = None,
    blur_sigma: float | None = None,
    track: str | None = None,
    planes: str = "auto",
    fuse: Any = "mean",
    consistency: bool = True,
    adapt: float | None = None,
    stacks: int | None = None,
    inputs: str | Path | None = None,
    results: Mapping[str, str | Path] | None = None,
    limit: int | None = None,
    device: str = "auto",
    tile: int | None = None,
    skip_done: bool = False,
    bits: int | None = None,
    notify: Notify = lambda _: None,
) -> Evaluation:
    """Measure models on a benchmark, beside its baseline.

    Args:
        benchmark: The name of a protocol, such as `drive` or `folder`. `medsr evaluate --help` lists all.
        data: The folder of its images or scans.
        models: Names or files. Empty: the bundled one made for such images.
        out: A folder for report.html, results.md, results.csv, images.csv and status.tsv.
        json: A file for everything in JSON.
        scale: The factor to measure. None: the benchmark's own.
        blur_sigma: Of the Gaussian blur in pixels of the low resolution. None: the benchmark's own.
        track: A part of the benchmark, where it has several.
        planes: Of `volume`, as in `medsr.volume`.
        fuse: Of `volume`, as in `medsr.volume`.
        consistency: Of `volume`, as in `medsr.volume`.
        adapt: Of `volume`, as in `medsr.volume`.
        stacks: Of `volume`: put so many moved stacks of each scan together, 2 or 3. None: one, not moved.
        inputs: A folder that gets every low resolution, for another program.
        results: Folders of what other programs made of them, by the name to show them under.
        limit: So many images, drawn at random with seed 0. None: all.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        tile: As in `medsr.upscale`.
        skip_done: Leave out what was measured into `out` before, by the same protocol, models and images.
        bits: Bits stored in 16-bit images that do not say. None: decided once for all, and said.
        notify: Called with each line that a user should read.

    Returns:
        Means with intervals for each model, the figures of every image, and the images that failed.

    Raises:
        UsageError: An argument is wrong.
        WeightsError: A model cannot be opened.
        InputError: The folder is not what the benchmark is about, or no image can be measured.

    Examples:
        >>> import medsr
        >>> evaluation = medsr.evaluate("folder", "photographs", models=["bicubic", "lanczos"], scale=2)
        >>> evaluation.failed
        []
    """
    if skip_done and out is None:
        raise UsageError("`skip_done`: needs `out`, the folder that remembers")
    if limit is not None and limit < 1:
        raise UsageError(f"`limit={limit}`: expected a number of images from 1")
    if entry_of(benchmark).kind == "volume" and tile is not None:
        raise UsageError(f"`tile`: {benchmark} runs whole slices")
    if (results or inputs is not None) and skip_done:
        raise UsageError("`skip_done`: leave it out with `inputs` and `results`, which may have changed since")
    if inputs is not None:
        external.check_inputs(Path(inputs), Path(data))
    check_writable(out, json, inputs)
    chosen_device = choose_device(device)
    method = Method(parse_planes(planes), fuse, consistency)
    bench = choose(benchmark, Path(data), scale, blur_sigma, track, chosen_device, method, adapt, bits, stacks)
    every = bench.items()  # those that --limit leaves out have names too, which no other may take
    items, names = sample(every, limit), external.names(every) if results or inputs is not None else {}
    bench.settle(every, notify)
    runners = open_runners(bench, models, results or {}, names, Compute(chosen_device), tile)
    notify(f"{benchmark}: {len(items)} image{'s' if len(items) > 1 else ''}, {', '.join(runners)}")
    if len(runners) == 1 and not models:
        notify(
            f"no bundled model is made for {benchmark}: only {bench.baseline} is measured; give others with `models`"
        )
    seen = seen_before(wanted_models(bench, models, results or {}), items)
    for line in seen:
        notify(f"warning: {line}")
    bench.calibrate(notify)
    gallery = Gallery(bench, {item.id: item for item in items}, runners)
    about = {name: about_model(runner) for name, runner in runners.items()}
    record = None if out is None else Record(Path(out), {"protocol": bench.protocol(), "models": about}, skip_done)
    with record or nullcontext():
        rows, failed = _measure(bench, items, runners, gallery, record, chosen_device, _stems(inputs, names))
    if not rows:
        error = failed[0].error
        assert error is not None
        raise error
    protocol = {**bench.protocol(), "drawn": f"{limit} at random, seed 0" if limit else "all"}
    result = Evaluation(benchmark, protocol, bench.baseline, about, rows, failed, versions(chosen_device), seen)
    if json is not None:
        write_text(Path(json), json_.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
    if out is not None:
        from medsr.commands.evaluate import page, tables

        folder = Path(out)
        write_text(folder / "results.md", shown_lines(tables.markdown(result)))
        write_text(folder / "results.csv", tables.csv_of_means(result))
        write_text(folder / "images.csv", tables.csv_of_images(result))
        page.write(folder / "report.html", result, gallery, Path(data))
    return result


def check_writable(out: str | Path | None, json: str | Path | None, inputs: str | Path | None) -> None:
    """Raise UsageError before anything is measured for nothing."""
    file = None if json is None else Path(json).parent
    for name, folder in (("out", out), ("json", file), ("inputs", inputs)):
        if folder is None:
            continue
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UsageError(f"`{name}={folder}`: cannot be written ({error.strerror or error})") from error
    if json is not None and Path(json).is_dir():
        raise UsageError(f"`json={json}`: is a folder; expected a file")


def _stems(inputs: str | Path | None, names: Mapping[str, str]) -> dict[str, Path]:
    """Where each case's input is written; nowhere without `inputs`."""
    return {} if inputs is None else {case: Path(inputs) / name for case, name in names.items()}


def sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """So many drawn at random, always the same ones; all where none is asked for."""
    if limit is None or limit >= len(items):
        return list(items)
    order = np.random.default_rng(0).permutation(len(items))[:limit]
    return [items[index] for index in sorted(order)]


def _measure(
    bench: Benchmark,
    items: Sequence[Item],
    runners: Mapping[str, Runner],
    gallery: Gallery,
    record: Record | None,
    device: str,
    stems: Mapping[str, Path],
) -> tuple[list[ImageScores], list[Outcome]]:
    rows: list[ImageScores] = []
    failed: list[Outcome] = []
    with progress("evaluate", len(items)) as update:
        for done, item in enumerate(items, 1):
            fingerprint = record.fingerprint(item) if record else None
            item_rows = record.measured(item, fingerprint) if record and fingerprint else []
            if not item_rows:
                outcome = run_safely(
                    item.image,
                    item.image,
                    partial(_measure_case, bench, item, runners, gallery, device, item_rows, stems.get(item.id)),
                )
                if outcome.error:
                    failed.append(outcome)
                    item_rows = []
                if record and fingerprint:
                    record.add(fingerprint, item_rows, outcome)
            rows += item_rows
            update(done, item.id)
    return rows, failed


def _measure_case(
    bench: Benchmark,
    item: Item,
    runners: Mapping[str, Runner],
    gallery: Gallery,
    device: str,
    rows: list[ImageScores],
    stem: Path | None,
) -> tuple[str, ...]:
    case, _ = read_unchanged(item.image, lambda _: digests(item), partial(bench.load, item))
    if np.ptp(case.ground_truth) == 0:
        raise InputError(f"{item.image}: one value throughout; nothing to measure")
    if stem is not None:
        bench.export_inputs(case, stem)
    pictures = {TRUTH: bench.show(case.ground_truth, case)}
    for name, runner in runners.items():
        with Meter(device) as meter:
            result = runner(case)
        cost = {"seconds": meter.seconds, "memory_mb": meter.peak / 1e6}
        scores = bench.score(result, case) | ({} if isinstance(runner, external.Results) else cost)
        rows.append(ImageScores(item.id, name, scores))
        pictures[name] = bench.show(result, case)
    gallery.keep(item.id, pictures)
    return ()
