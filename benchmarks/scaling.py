"""How time and peak memory grow with the size of an image, of a volume, and with the number of files.

    python benchmarks/scaling.py [--megapixels 0.25 1 4 16 64] [--cubes 64 128 256 512] [--files 1 4 16] [--out DIR]

Every point is a process of its own, from pressing return: noise, bundled models, CPU. Writes DIR/scaling.json and
DIR/scaling.svg: measured points, and the straight line through the first and the last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

Point = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 4, 16, 64])
    parser.add_argument("--cubes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--files", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    series: dict[str, list[Point]] = {
        "image (megapixels)": [_image(size) for size in arguments.megapixels],
        "volume (million voxels of the result)": [_volume(side) for side in arguments.cubes],
        "files (128 x 128 pixels each)": [_files(count) for count in arguments.files],
    }
    for name, points in series.items():
        print(f"{name}: seconds for one more: {_growth(points)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    told = {"threads": arguments.threads, "series": series}
    (arguments.out / "scaling.json").write_text(json.dumps(told, indent=1) + "\n")
    _plot(series, arguments.out / "scaling.svg")


def _growth(points: list[Point]) -> str:
    """What one more of the size costs, between the first two points and between the last two: 1 is linear."""
    steps = [
        (after["seconds"] - before["seconds"]) / (after["size"] - before["size"]) for before, after in pairwise(points)
    ]
    return " to ".join(f"{step:.3g}" for step in (steps[0], steps[-1])) if steps else "one point"


def _image(megapixels: float) -> Point:
    side = round((megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        _noise(Path(folder) / "in.png", side)
        return _timed("upscale", f"{folder}/in.png", "--out", f"{folder}/out") | {"size": megapixels}


def _files(count: int) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        for number in range(count):
            _noise(Path(folder) / "in" / f"{number}.png", 128)
        return _timed("upscale", f"{folder}/in", "--out", f"{folder}/out") | {"size": count}


def _volume(side: int) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        noise = (np.random.default_rng(0).random((side, side, side // 2)) * 1000).astype(np.int16)
        nibabel.Nifti1Image(noise, np.diag([1, 1, 2, 1.0])).to_filename(f"{folder}/in.nii.gz")
        return _timed("volume", f"{folder}/in.nii.gz", "--out", f"{folder}/out") | {"size": side**3 / 1e6}


def _noise(path: Path, side: int) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)).save(path)


def _timed(*command: str) -> Point:
    """Wall seconds and peak memory (MB) of a command."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'medsr', *sys.argv[1:]], check=True, capture_output=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    memory = int(done.stdout) * unit / 1e6
    print(f"  {' '.join(command[:1])} {seconds:.1f} s {memory:.0f} MB", flush=True)
    return {"seconds": seconds, "peak_mb": memory}


def _plot(series: dict[str, list[Point]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "medsr"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(series), figsize=(4 * len(series), 6), squeeze=False)
    for column, (name, points) in enumerate(series.items()):
        sizes = [point["size"] for point in points]
        for row, (key, label) in enumerate((("seconds", "seconds"), ("peak_mb", "peak memory (MB)"))):
            axis: Any = axes[row][column]
            values = [point[key] for point in points]
            axis.plot(sizes, values, "o")
            axis.plot([sizes[0], sizes[-1]], [values[0], values[-1]], ":", color="grey")
            axis.set(xlabel=name, ylabel=label, ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
