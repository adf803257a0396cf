"""How long `medsr volume` takes and how much memory, from pressing return to the sidecar written.

    python benchmarks/volume_speed.py [--threads N] [--model medsr-mri] [--json FILE]

Scans of noise, int16, in a temporary folder; each in a process of its own. The memory is the process's peak, libraries
included.
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

import nibabel as nib
import numpy as np

SCANS = {
    "T1, 1 x 1 x 2 mm to isotropic": ((188, 256, 95), (1, 1, 2), []),
    "FLAIR, 0.9 x 0.9 x 4.5 mm to isotropic": ((256, 256, 36), (0.9, 0.9, 4.5), []),
    "T1, 1 mm to 0.5 mm (--scale 2)": ((160, 192, 160), (1, 1, 1), ["--scale", "2"]),
}


def run(shape: tuple[int, ...], spacing: tuple[float, ...], options: list[str], model: str) -> dict[str, object]:
    """One scan: the shape it comes to, wall seconds, peak resident memory of the process."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "scan.nii.gz"
        noise = (np.random.default_rng(0).random(shape, dtype=np.float32) * 1000).astype(np.int16)
        nib.Nifti1Image(noise, np.diag([*spacing, 1.0])).to_filename(source)
        command = [sys.executable, "-m", "medsr", "volume", str(source), "--out", f"{folder}/out", "--model", model]
        began = time.monotonic()
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        sidecar = json.loads((Path(folder) / "out" / "scan.json").read_text())
    result = sidecar["output"]["shape"]
    return {"input": shape, "output": result, "seconds": seconds, "peak_bytes": sidecar["peak_memory_bytes"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", default="medsr-mri")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    rows = {}
    for name, (shape, spacing, options) in SCANS.items():
        rows[name] = run(shape, spacing, options, arguments.model)
        row = rows[name]
        print(
            f"{name:42} {'x'.join(map(str, shape)):>12} to {'x'.join(map(str, row['output'])):>12}"  # type: ignore[call-overload]
            f"  {row['seconds']:6.1f} s  {row['peak_bytes'] / 1e9:.2f} GB",  # type: ignore[operator]
            flush=True,
        )
    if arguments.json:
        record = {"threads": arguments.threads, "model": arguments.model, "scans": rows}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
