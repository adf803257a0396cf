"""`medsr upscale` beside RealESRGANer: same weights, same images, same run; ratios, memory, and what int8 loses.

    python benchmarks/inference.py FOLDER [--weights FILE.pth] [--limit 3] [--side 192] [--threads 2] [--json FILE]

FOLDER: ground-truth images (fundus photographs, X-rays). The middle `side` x `side` low-resolution pixels of each are
super-resolved by every method in a process of its own: RealESRGANer at its best tile setting, medsr in fp32 (torch and
OpenVINO) and in int8, calibrated on the other images of the folder. Seconds are those of the computing alone, the best
of three; memory is the process's peak. Without --weights: a full-size RRDB x4 with random weights, which says nothing
about what int8 loses.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.io.images import image as image_io
from medsr.metrics import psnr_ssim

TILES = (0, 128, 256)
"""RealESRGANer's tile settings that are tried; 0: in one piece."""
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--limit", type=int, default=3)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child, Path(arguments.folder), arguments.weights)
        return
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        weights = arguments.weights or _random_weights(work / "random.pth")
        truths = _pairs(arguments.folder, work, arguments.limit, arguments.side)
        ways = [*(f"RealESRGANer tile {tile}" for tile in TILES), "medsr torch", "medsr openvino", "medsr int8"]
        _calibrate(weights, work)
        found = {way: _measure(way, work, weights) for way in ways}
    best = min((way for way in ways if way.startswith("Real")), key=lambda way: found[way]["seconds"])
    rows = [best, *(way for way in ways if way.startswith("medsr"))]
    reference = found["medsr torch"]["results"]
    told: dict[str, Any] = {"threads": arguments.threads, "side": arguments.side, "images": len(truths), "ways": {}}
    print(f"{len(truths)} images of {arguments.side} x {arguments.side}, x4, {arguments.threads} threads")
    print("| | seconds | times as fast | peak MB | PSNR (dB) | largest difference to fp32 |\n|---|---|---|---|---|---|")
    for way in rows:
        one = found[way]
        psnr = float(np.mean([psnr_ssim.psnr(a, b) for a, b in zip(one["results"], truths, strict=True)]))
        largest = max(float(np.abs(a - b).max()) for a, b in zip(one["results"], reference, strict=True))
        ratio = found[best]["seconds"] / one["seconds"]
        told["ways"][way] = {"seconds": one["seconds"], "ratio": ratio, "peak_mb": one["peak_mb"], "psnr": psnr}
        told["ways"][way]["largest_difference"] = largest
        print(f"| {way} | {one['seconds']:.2f} | {ratio:.2f} | {one['peak_mb']:.0f} | {psnr:.2f} | {largest:.1e} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


def _pairs(source: Path, work: Path, limit: int, side: int) -> list[np.ndarray]:
    """Write the low resolution as .npy files; the first `limit` images are measured, the others calibrate."""
    (work / "calibrate").mkdir()
    truths: list[np.ndarray] = []
    for path in image_io.list_images(source):
        image = image_io.read(path)
        unit = crop_to_multiple(image.to_unit(), 8)
        if len(truths) == limit:
            (work / "calibrate" / path.name).write_bytes(path.read_bytes())
            continue
        top, left = (max(0, (length - 4 * side) // 2) for length in unit.shape[:2])
        truth = unit[top : top + 4 * side, left : left + 4 * side]
        truth = np.repeat(truth, 3, axis=2) if truth.shape[2] == 1 else truth
        np.save(work / f"low{len(truths)}.npy", bicubic_then_blur(truth, 4, 1.0))
        truths.append(truth)
    return truths


def _random_weights(path: Path) -> Path:
    import torch

    from medsr.networks.rrdb import rrdb

    torch.manual_seed(0)
    torch.save({"params_ema": rrdb(4).state_dict()}, path)
    return path


def _calibrate(weights: Path, work: Path) -> None:
    os.environ["MEDSR_HOME"] = str(work / "home")
    command = [sys.executable, "-m", "medsr", "export", str(weights), "--to", "openvino", "--int8"]
    subprocess.run([*command, "--calibrate", str(work / "calibrate"), "--out", str(work / "int8.xml")], check=True)
    subprocess.run([*command[:-1]], check=True)  # what the first use of `--engine openvino` does once


def _measure(way: str, work: Path, weights: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, str(work), "--weights", str(weights), "--child", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told | {"results": [np.load(path) for path in sorted(work.glob("made*.npy"))]}


def _child(way: str, work: Path, weights: Path) -> None:
    """One method over all images: prints seconds and peak memory, leaves the results (H, W, 3) in [0, 1]."""
    from medsr.core.platform import peak_memory

    run = _peer(int(way.split()[-1]), weights) if way.startswith("Real") else _ours(way.split()[-1], work, weights)
    lows = [np.load(path) for path in sorted(work.glob("low*.npy"))]
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        made = [run(low) for low in lows]
        rounds.append(time.perf_counter() - began)
    for number, one in enumerate(made):
        np.save(work / f"made{number}.npy", np.rint(np.clip(one, 0, 1) * 255).astype(np.float32) / 255)
    print(json.dumps({"seconds": min(rounds), "peak_mb": peak_memory() / 1e6}))


def _peer(tile: int, weights: Path) -> Any:
    import torch

    from medsr.networks import upstream
    from medsr.networks.rrdb import rrdb

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    peer = upstream.real_esrganer()(scale=4, model_path=str(weights), model=rrdb(4), tile=tile, half=False)
    return lambda low: peer.enhance(np.rint(low[:, :, ::-1] * 255).astype(np.uint8))[0][:, :, ::-1] / 255.0


def _ours(engine: str, work: Path, weights: Path) -> Any:
    from medsr.engines.base import Compute
    from medsr.volumes.models import open_model

    chosen = Compute("cpu") if engine == "int8" else Compute("cpu", engine)
    model = open_model(work / "int8.xml" if engine == "int8" else weights, chosen)
    return lambda low: model(low.astype(np.float32), 4)


if __name__ == "__main__":
    main()
