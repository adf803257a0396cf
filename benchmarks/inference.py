"""`medsr upscale` beside RealESRGANer: same weights, same images, same run; ratios, memory, and what int8 loses.

    python benchmarks/inference.py FOLDER [--weights FILE] [--limit 3] [--side 192] [--threads 2] [--json FILE]
                                   [--history benchmarks/history.csv]

FOLDER: ground-truth images (fundus photographs, X-rays), at least `limit` + 4: the first `limit` are measured, the
others calibrate int8. The middle `side` x `side` low-resolution pixels of each are super-resolved by every method in a
process of its own: RealESRGANer at its best tile setting, medsr in fp32 (torch and OpenVINO), in bf16 on a CPU that
computes in it, and in int8. Seconds are those of the computing alone, the best of three; memory is the process's peak.
FILE: an RRDB for colour images, as `.pth` or `.safetensors`. Without --weights: a full-size RRDB x4 of random weights,
which says nothing about what bf16 and int8 lose. --history adds the figures to a table of all versions.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.version import __version__
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.engines import bf16
from medsr.io.images import image as image_io
from medsr.metrics import psnr_ssim

TILES = (0, 128, 256)
"""RealESRGANer's tile settings that are tried; 0: in one piece."""
OURS = {
    "medsr torch": ("torch", "fp32"),
    "medsr openvino": ("openvino", "fp32"),
    **({"medsr bf16": ("openvino", "bf16")} if bf16.available() else {}),
    "medsr int8": ("openvino", "int8"),
}
"""Engine and precision."""
REFERENCE = "medsr torch"
ROUNDS = 3
TO_CALIBRATE = 4
"""Fewer images than that say too little about int8: half of them calibrate, half measure."""
HISTORY = ("date", "version", "processor", "threads", "images", "side", "weights", "method", "seconds", "ratio", "psnr")


@dataclass(frozen=True)
class Row:
    """What one method took, and how good and how far from fp32 in torch its results are (both of full range)."""

    seconds: float
    ratio: float
    peak_mb: float
    psnr: float
    worst_loss: float
    largest_difference: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--limit", type=int, default=3)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child, arguments.folder, arguments.weights)
        return
    paths = image_io.list_images(arguments.folder)
    if len(paths) < arguments.limit + TO_CALIBRATE:
        parser.error(
            f"{arguments.folder}: {len(paths)} images; {arguments.limit} are measured and at least {TO_CALIBRATE} more "
            "calibrate int8"
        )
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        weights, scale = _weights(arguments.weights, work)
        np.save(work / "scale.npy", scale)
        truths = _low_resolution(paths[: arguments.limit], work, scale, arguments.side)
        os.environ["MEDSR_HOME"] = str(work / "home")
        _calibrate(weights, paths[arguments.limit :], work)
        rows = _rows(work, weights, truths)
    print(f"{len(truths)} images of {arguments.side} x {arguments.side}, x{scale}, {arguments.threads} threads\n")
    print(_table(rows))
    record: dict[str, Any] = {"threads": arguments.threads, "side": arguments.side, "images": len(truths)}
    if arguments.json:
        ways = {way: asdict(row) for way, row in rows.items()}
        arguments.json.write_text(json.dumps(record | {"ways": ways}, indent=1) + "\n")
    if arguments.history:
        name = arguments.weights.name if arguments.weights else "random"
        _remember(arguments.history, record | {"weights": name}, rows)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _weights(path: Path | None, work: Path) -> tuple[Path, int]:
    """The weights as `.pth`, which the peer reads as well, and their scale."""
    import torch

    from medsr.networks import checkpoint
    from medsr.networks.rrdb import rrdb

    target = work / "weights.pth"
    if path is None:
        torch.manual_seed(0)
        torch.save({"params_ema": rrdb(4).state_dict()}, target)
        return target, 4
    net, spec = checkpoint.load(path)
    if spec.architecture != "rrdb" or spec.channels != 3:
        raise SystemExit(f"{path}: {spec.architecture} with {spec.channels} channels; RealESRGANer runs RRDB in colour")
    torch.save({"params_ema": net.state_dict()}, target)
    return target, spec.scale


def _low_resolution(paths: list[Path], work: Path, scale: int, side: int) -> list[np.ndarray]:
    """Write the low resolution as .npy files; the ground truth (H, W, 3) in [0, 1]."""
    truths: list[np.ndarray] = []
    for number, path in enumerate(paths):
        unit = crop_to_multiple(image_io.read(path).to_unit(), 2 * scale)
        top, left = (max(0, (length - scale * side) // 2) for length in unit.shape[:2])
        truth = unit[top : top + scale * side, left : left + scale * side]
        truth = np.repeat(truth, 3, axis=2) if truth.shape[2] == 1 else truth
        np.save(work / f"low{number}.npy", bicubic_then_blur(truth, scale, 1.0))
        truths.append(truth)
    return truths


def _calibrate(weights: Path, paths: list[Path], work: Path) -> None:
    folder = work / "calibrate"
    folder.mkdir()
    for path in paths:
        (folder / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "medsr", "export", str(weights), "--to", "openvino"]
    for options in ([], ["--int8", "--calibrate", str(folder)]):
        _say(f"converting for OpenVINO in {'int8' if options else 'fp32'} ...")
        subprocess.run([*command, *options], check=True, stdout=sys.stderr)


def _rows(work: Path, weights: Path, truths: list[np.ndarray]) -> dict[str, Row]:
    """Every method of ours, after the best setting of the peer."""
    ways = [*(f"RealESRGANer tile {tile}" for tile in TILES), *OURS]
    runs = {}
    for number, way in enumerate(ways, 1):
        _say(f"{number}/{len(ways)} {way} ...")
        runs[way] = _measure(way, work, weights)
        _say(f"{number}/{len(ways)} {way}: {runs[way]['seconds']:.2f} s")
    best = min((way for way in ways if way not in OURS), key=lambda way: runs[way]["seconds"])
    psnrs = {way: _psnrs(run["results"], truths) for way, run in runs.items()}
    rows = {}
    for way in (best, *OURS):
        run = runs[way]
        pairs = zip(run["results"], runs[REFERENCE]["results"], strict=True)
        rows[way] = Row(
            run["seconds"],
            runs[best]["seconds"] / run["seconds"],
            run["peak_mb"],
            float(np.mean(psnrs[way])),
            float(np.max(np.subtract(psnrs[REFERENCE], psnrs[way]))),
            max(float(np.abs(result - reference).max()) for result, reference in pairs),
        )
    return rows


def _psnrs(results: list[np.ndarray], truths: list[np.ndarray]) -> list[float]:
    return [psnr_ssim.psnr(result, truth) for result, truth in zip(results, truths, strict=True)]


def _table(rows: dict[str, Row]) -> str:
    lines = [
        "| | seconds | times as fast | peak MB | PSNR (dB) | worst loss (dB) | largest difference to torch |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, row in rows.items():
        lines.append(
            f"| {way} | {row.seconds:.2f} | {row.ratio:.2f} | {row.peak_mb:.0f} | {row.psnr:.2f} | "
            f"{row.worst_loss:.2f} | {row.largest_difference:.1%} |"
        )
    return "\n".join(lines)


def _remember(path: Path, record: dict[str, Any], rows: dict[str, Row]) -> None:
    """Add a line for each method to the table of all versions."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, HISTORY, lineterminator="\n")
        if new:
            table.writeheader()
        for way, row in rows.items():
            figures = {"seconds": f"{row.seconds:.2f}", "ratio": f"{row.ratio:.2f}", "psnr": f"{row.psnr:.2f}"}
            at = {"date": datetime.now(UTC).date(), "version": __version__, "processor": _processor(), "method": way}
            table.writerow(record | at | figures)


def _processor() -> str:
    """Its name and the widest instructions that matter here."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        import platform

        return platform.processor()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    widest = next((flag for flag in ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2") if flag in text), "")
    return f"{name} {widest}".strip()


def _measure(way: str, work: Path, weights: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, str(work), "--weights", str(weights), "--child", way]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    run: dict[str, Any] = json.loads(output.splitlines()[-1])
    return run | {"results": [np.load(path) for path in sorted(work.glob("result*.npy"))]}


def _child(way: str, work: Path, weights: Path) -> None:
    """One method over all images: prints seconds and peak memory, leaves the results (H, W, 3) in [0, 1]."""
    from medsr.core.platform import peak_memory

    upscale = _ours(*OURS[way], work, weights) if way in OURS else _peer(int(way.split()[-1]), weights)
    lows = [np.load(path) for path in sorted(work.glob("low*.npy"))]
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        results = [upscale(low) for low in lows]
        rounds.append(time.perf_counter() - began)
    for number, result in enumerate(results):
        np.save(work / f"result{number}.npy", np.rint(np.clip(result, 0, 1) * 255).astype(np.float32) / 255)
    print(json.dumps({"seconds": min(rounds), "peak_mb": (peak_memory() or 0) / 1e6}))


def _peer(tile: int, weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    from medsr.networks import checkpoint, upstream

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    net, spec = checkpoint.load(weights)
    peer = upstream.real_esrganer()(scale=spec.scale, model_path=str(weights), model=net, tile=tile, half=False)
    return lambda low: peer.enhance(np.rint(low[:, :, ::-1] * 255).astype(np.uint8))[0][:, :, ::-1] / 255.0


def _ours(engine: str, precision: str, work: Path, weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    from medsr.engines.base import Compute
    from medsr.volumes.models import open_model

    model = open_model(weights, Compute("cpu", engine, precision))
    return lambda low: model(low.astype(np.float32), np.load(work / "scale.npy").item())


if __name__ == "__main__":
    main()
