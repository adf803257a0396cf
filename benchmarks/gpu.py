"""What a GPU makes of medsr, beside Real-ESRGAN with the same weights: one call, offline, a table after 8 minutes.

    python benchmarks/gpu.py [--minutes 8] [--weights FILE.safetensors] [--json gpu.json] [--parts upscale,volume]
    python benchmarks/gpu.py --tiny      # small networks; on a CPU too: whether it runs, not how fast

It measures, each in a process of its own and never longer than its share of the minutes:

- `peak`: the fastest matrix product of each precision, which the others are held against;
- `upscale`: an RRDB x4 of full size on one image. RealESRGANer in fp16 at its best tile setting; `medsr upscale`'s own
  engine in fp16 and bf16, channels last, as it is and compiled. Reading and writing files is left out of both;
- `volume`: `medsr volume`'s code on a cube of 256 voxels a side, to 512, in memory;
- `training`: iterations of `realesrgan/train.py`'s model and of `medsr finetune`'s step, without reading files and
  without the perceptual loss.

`--weights`: an RRDB generator (.safetensors, .pth); without it, random weights, with the same times. TFLOP/s count what
the networks need for the pixels of the result; what tiles compute twice is not counted. The last output is a table for
docs/performance.md; exit code 5: some of its rows could not be measured, and say why.

It needs this checkout, and torch with torchvision, NumPy and Pillow as that comes. Where nothing can be downloaded,
carry these wheels (58 MB for Python 3.12 on x86-64):

    scipy scikit-image nibabel pydantic pydantic-core annotated-types typing-inspection pyyaml safetensors tifffile
    lightning-fabric lightning-utilities psutil threadpoolctl platformdirs packaging lazy-loader realesrgan==0.3.0
    basicsr==1.4.2 (no wheel is published; `pip wheel --no-deps --no-build-isolation basicsr==1.4.2` builds one)

With opencv-python-headless, tqdm and requests too (50 MB more) the peers are realesrgan's own classes. Without them
they are the same steps written out in `real_esrgan_steps.py`, and the rows say so. Training then has no degradation,
on either side, because basicsr's needs OpenCV.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SHARES = {"peak": 1, "upscale": 3, "volume": 2, "training": 3}
"""Of the minutes. A part that ends early leaves its rest to those after it."""
FULL = {
    "matrix": 8192,
    "blocks": 23,
    "features": 64,
    "side": 1024,
    "tile": 512,
    "cubes": [128, 256],
    "batches": [12, 4, 1],
    "crop": 256,
    "degrade_crop": 400,
}
TINY = {
    "matrix": 128,
    "blocks": 1,
    "features": 8,
    "side": 40,
    "tile": 24,
    "cubes": [12],
    "batches": [2],
    "crop": 64,
    "degrade_crop": 96,
}
TO_WRITE = 5.0
"""Seconds kept for the table."""
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--parts", default=",".join(SHARES))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("PART", "FOLDER", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        part, folder, seconds = arguments.child
        return _measure(part, Path(folder), float(seconds))
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(SHARES):
        parser.error(f"--parts: {', '.join(sorted(unknown))}; expected some of {', '.join(SHARES)}")
    if arguments.weights and not arguments.weights.is_file():
        parser.error(f"--weights {arguments.weights}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        weights = str(arguments.weights.resolve()) if arguments.weights else None
        settings = (TINY if arguments.tiny else FULL) | {"tiny": arguments.tiny, "weights": weights}
        (work / "settings.json").write_text(json.dumps(settings))
        deadline = time.monotonic() + 60 * arguments.minutes - TO_WRITE
        rows = []
        for index, part in enumerate(parts):
            share = SHARES[part] / sum(SHARES[other] for other in parts[index:])
            rows += _run(part, work, share * (deadline - time.monotonic()))
            if (work / "refused").is_file():
                print((work / "refused").read_text(), file=sys.stderr)
                return 2
        known = work / "machine.json"
        machine = json.loads(known.read_text()) if known.is_file() else {"device": "nothing was measured"}
    record = {"machine": machine, "settings": settings, "minutes": arguments.minutes, "rows": rows}
    arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))
    return 5 if any("error" in row for row in rows) else 0


def _run(part: str, work: Path, seconds: float) -> list[dict[str, Any]]:
    """One part in a process of its own, ended after `seconds`. Its rows, and one more where it did not end well."""
    print(f"{part}: at most {max(seconds, 0):.0f} s", file=sys.stderr, flush=True)
    command = [sys.executable, str(Path(__file__).resolve()), "--child", part, str(work), f"{seconds:.1f}"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths), "MEDSR_HOME": str(work / "home")}
    if json.loads((work / "settings.json").read_text())["tiny"]:
        environment.setdefault("OMP_NUM_THREADS", "1")  # several threads only wait for each other on so little
    began, problem = time.monotonic(), ""
    with (work / f"{part}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdout=log, stderr=log, start_new_session=True, close_fds=True
        )
        try:
            code = process.wait(max(seconds, 0.1))
            problem = f"ended with code {code}" if code else ""
        except subprocess.TimeoutExpired:
            problem = f"not finished within its {time.monotonic() - began:.0f} s"
        _end(process)
    written = work / f"{part}.jsonl"
    rows = [json.loads(line) for line in written.read_text().splitlines()] if written.is_file() else []
    if problem:
        last = (work / f"{part}.log").read_text(errors="replace").strip().splitlines()[-1:] or [""]
        error = problem if "finished" in problem else f"{problem}: {last[0][:200]}"
        rows.append({"part": part, "way": "the rest" if rows else "all", "error": error})
    return rows


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the part and whatever it started (torch's compiler works in processes of its own)."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _measure(part: str, work: Path, seconds: float) -> int:
    """In the process of one part: write a row as soon as it is measured."""
    import gpu_parts

    settings = json.loads((work / "settings.json").read_text())
    bench = gpu_parts.Bench(settings, work, part, time.monotonic() + seconds)
    if bench.device == "cpu" and not settings["tiny"]:
        (work / "refused").write_text("no CUDA device here: --tiny tries this benchmark on the CPU")
        return 2
    (work / "machine.json").write_text(json.dumps(gpu_parts.machine(bench.device)))
    gpu_parts.PARTS[part](bench)
    return 0


COLUMNS = ("what", "how", "time", "times as fast", "memory (GB)", "TFLOP/s", "of the matrix peak", "remark")


def table(record: dict[str, Any]) -> str:
    """The rows as Markdown. Real-ESRGAN's fastest row of a group is what the group is compared with."""
    machine, rows = record["machine"], record["rows"]
    peaks = {row["precision"]: row["tflops"] for row in rows if row["part"] == "peak" and "tflops" in row}
    versions = [f"{name} {machine[name]}" for name in ("torch", "cuda", "medsr") if name in machine]
    lines = [", ".join([machine["device"], *versions]), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    groups = [f"{row['part']} {row.get('what', '')}".strip() for row in rows]
    peers: dict[str, float] = {}
    for group, row in zip(groups, rows, strict=True):
        if row.get("peer") and "seconds" in row:
            peers[group] = min(row["seconds"], peers.get(group, row["seconds"]))
    for group, row in zip(groups, rows, strict=True):
        cells = dict.fromkeys(COLUMNS, "") | {"what": group, "how": row["way"]}
        cells["remark"] = row.get("error") or row.get("remark", "")
        if "seconds" in row:
            faster = f"{peers[group] / row['seconds']:.2f}" if group in peers else ""
            cells |= {"time": _time(row), "times as fast": faster}
        if "peak_bytes" in row:
            cells["memory (GB)"] = f"{row['peak_bytes'] / 1e9:.2f}"
        if "tflops" in row:
            cells["TFLOP/s"] = f"{row['tflops']:.3g}"
            peak = peaks.get(row.get("matrix"), peaks.get(row["precision"]))
            cells["of the matrix peak"] = f"{100 * row['tflops'] / peak:.0f} %" if peak else ""
        lines.append("| " + " | ".join(cells[name] for name in COLUMNS) + " |")
    return "\n".join(lines)


def _time(row: dict[str, Any]) -> str:
    return f"{1 / row['seconds']:.3g} it/s" if row["part"] == "training" else f"{row['seconds']:.3g} s"


if __name__ == "__main__":
    sys.exit(main())
