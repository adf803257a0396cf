"""A benchmark by its name and the options it knows, and what is measured on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsr.commands.evaluate import external
from medsr.commands.evaluate.case import Benchmark, Runner
from medsr.commands.evaluate.volume import VolumeBenchmark
from medsr.core.errors import UsageError
from medsr.engines.base import Compute
from medsr.networks import weight_store
from medsr.networks.bundled import CHEST, FUNDUS, MRI, model_for
from medsr.volumes.refine import Method

BUNDLED = {"drive": FUNDUS, "nih-cxr": CHEST, "classic": None, "volume": MRI, "folder": None}
"""Every benchmark, and what bundled models for its images are for."""
LARGEST_SCALE = 16


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
) -> Benchmark:
    """None: the benchmark's own. Raises UsageError for an unknown name and for an option that would do nothing."""
    if name not in BUNDLED:
        raise UsageError(f"{name}: no such benchmark (there are: {', '.join(BUNDLED)})")
    if track is not None and name != "classic":
        raise UsageError(f"--track: {name} has none; classic has")
    if blur_sigma is not None and name in ("classic", "volume"):
        raise UsageError(f"--blur-sigma: {name} has no blur of P1")
    if blur_sigma is not None and not 0 <= blur_sigma <= 20:
        raise UsageError(f"--blur-sigma {blur_sigma:g}: expected low-resolution pixels from 0 to 20")
    if name != "volume" and (replace(method, consistency=True) != Method() or adapt is not None):
        raise UsageError(f"--planes, --fuse and --adapt: {name} has none; volume has")
    if bits is not None and (name == "volume" or not 8 <= bits <= 16):
        raise UsageError(f"bits={bits}: expected 8 to 16, and a benchmark of images")
    if name == "volume":
        if scale is not None and not 1 < scale <= LARGEST_SCALE:
            raise UsageError(f"--scale {scale:g}: expected a through-plane factor above 1, at most {LARGEST_SCALE}")
        return VolumeBenchmark(data, 2 if scale is None else scale, method, adapt)
    given: dict[str, Any] = {"device": device, "consistency": method.consistency, "bits": bits}
    if scale is not None:
        given["scale"] = _whole(scale, name)
    if blur_sigma is not None:
        given["blur_sigma"] = blur_sigma
    if name == "classic":
        from medsr.commands.evaluate.classic import TRACKS, Classic

        if track is not None and track not in TRACKS:
            raise UsageError(f"--track {track}: expected {' or '.join(TRACKS)}")
        return Classic(data, track=track or "bicubic", **given)  # type: ignore[arg-type]
    if name == "drive":
        from medsr.commands.evaluate.drive import Drive

        return Drive(data, **given)
    if name == "nih-cxr":
        from medsr.commands.evaluate.chest import NihCxr

        return NihCxr(data, **given)
    from medsr.commands.evaluate.folder import Folder

    return Folder(data, **given)


def bundled(bench: Benchmark) -> list[str]:
    """The bundled model that was made for a benchmark's images and its factor; none for images of any kind."""
    kind = BUNDLED[bench.name]
    return [model_for(kind, bench.scale)] if kind else []


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
    wanted = [str(model) for model in models] or ([] if results else bundled(bench))
    if bench.customised() and not set(wanted) - set(weight_store.BASELINES):
        raise UsageError("--planes, --fuse, --no-consistency and --adapt are of networks, and none is measured")
    runners: dict[str, Runner] = {}
    for model in dict.fromkeys([bench.baseline, *wanted]):
        name = Path(model).name if Path(model).is_file() else model
        runners[model if name in runners else name] = bench.open(model, compute, tile)
    for name, folder in results.items():
        if name in runners:
            raise UsageError(f"--results {name}={folder}: a model of that name is measured too; choose another")
        runners[name] = external.results(name, Path(folder), bench, names)
    return runners


def _whole(scale: float, name: str) -> int:
    """The factor as a whole number that this benchmark's images can be divided by."""
    fits = {
        "classic": (2, 3, 4),
        "drive": (2, 4, 8),
        "nih-cxr": (2, 4, 8),
        "folder": tuple(range(2, LARGEST_SCALE + 1)),
    }
    if scale not in fits[name]:
        expected = ", ".join(map(str, fits[name])) if len(fits[name]) < 5 else f"2 to {LARGEST_SCALE}"
        raise UsageError(f"--scale {scale:g}: {name} takes {expected}")
    return int(scale)
