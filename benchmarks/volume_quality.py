"""What `medsr volume` gains over cubic B-spline on simulated thick slices of real isotropic volumes.

    python benchmarks/volume_quality.py VOLUME... [--model medsr-mri] [--factors 2 3 4] [--adapt MINUTES] [--json FILE]

Every volume is averaged through-plane along its third axis (mean downsampling, the box profile), refined back and
compared with itself: PSNR (peak: the range from the 0.5 to the 99.5 percentile) and SSIM (3D, Gaussian weights of
sigma 1.5) over the foreground (above 5 % of that range), on the values as they would be stored in float32.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap
from skimage.metrics import structural_similarity

from medsr.degrade.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.infer.models import SliceEngine, open_slice_model
from medsr.infer.volume import Method, refine
from medsr.intensity import Window
from medsr.io import volume as volume_io


def scores(result: np.ndarray, truth: np.ndarray, window: Window) -> tuple[float, float]:
    """PSNR (dB) and SSIM over the foreground of `truth`."""
    unit, reference = window.to_unit(result), window.to_unit(truth)
    inside = reference > 0.05
    error = float(((unit - reference)[inside] ** 2).mean())
    _, similarity = structural_similarity(
        reference, unit, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return -10 * float(np.log10(error)), float(similarity[inside].mean())


class Untouched:
    """Gives back the slices it is given: what remains is interpolation made consistent with the scan."""

    name = "cubic, back-projected"
    scale = 1
    reach = 0

    def batch(self, shape: tuple[int, int]) -> int:
        return 1

    def slices(self, stack: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
        return stack


def adapted(engine: SliceEngine, thick: np.ndarray, fine: tuple[int, int, int], minutes: float) -> SliceEngine:
    """The engine after learning from the thick scan's own slices."""
    from dataclasses import replace

    from medsr.engines.pytorch import TorchEngine
    from medsr.infer.acquisition import Acquisition
    from medsr.infer.slices import Refiner
    from medsr.train.adapt import adapt

    assert isinstance(engine.model, Refiner)
    unit = Window.of_values(thick).to_unit(thick)
    coarse: Any = thick.shape
    taught = engine.model.engine
    assert isinstance(taught, TorchEngine)
    result = adapt(taught.net, unit, Acquisition(coarse, fine), minutes, taught.device)
    print(f"  adapted: {result.before:.4f} to {result.after:.4f}, {result.iterations} iterations", flush=True)
    return replace(engine, model=Refiner(engine.name, TorchEngine(result.net, taught.device)))


def measure(path: Path, factor: int, engine: SliceEngine, minutes: float | None, every: bool) -> list[dict[str, Any]]:
    """All methods on one volume and factor."""
    stored = volume_io.read(path).stored
    truth = stored.reshape(*stored.shape[:3], -1)[..., 0].astype(np.float32)
    coarse = truth.shape[2] // factor
    truth = truth[:, :, : coarse * factor]
    thick = np.ascontiguousarray(truth @ matrix(coarse * factor, coarse).T.astype(np.float32))
    window, fine = Window.of_values(truth), truth.shape
    methods: dict[str, tuple[Any, Method]] = {"cubic": (None, Method()), engine.name: (engine.model, Method())}
    if every:
        methods[Untouched.name] = (Untouched(), Method(planes=("sagittal",)))
        methods |= {
            f"{engine.name}, {plane} only": (engine.model, Method(planes=(plane,))) for plane in ("sagittal", "coronal")
        }
        methods[f"{engine.name}, no consistency"] = (engine.model, Method(consistency=False))
        methods[f"{engine.name}, weighted"] = (engine.model, Method(fuse="weighted"))
    if minutes:
        own = adapted(engine, thick, fine, minutes).model
        methods[f"{engine.name}, adapted"] = (own, Method())
        if every:
            for plane in ("sagittal", "coronal"):
                methods[f"{engine.name}, adapted, {plane} only"] = (own, Method(planes=(plane,)))
            learnt = adapted(open_slice_model("scratch", Compute("auto", "torch")), thick, fine, minutes).model
            methods["adapted from scratch"] = (learnt, Method())
    rows = []
    for name, (model, method) in methods.items():
        began = time.monotonic()
        result = refine(thick, fine, model, method).stored
        seconds = time.monotonic() - began
        psnr, ssim = scores(result, truth, window)
        rows.append({"id": path.name, "factor": factor, "model": name, "psnr": psnr, "ssim": ssim, "seconds": seconds})
        gain = psnr - rows[0]["psnr"]
        print(f"{path.name:24} x{factor} {name:36} {psnr:6.2f} dB {gain:+.2f}  {ssim:.4f}  {seconds:.0f} s", flush=True)
    return rows


def gains(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """For each factor and model: the mean gain over cubic and its 95 % bootstrap interval over volumes."""
    table = {}
    cubic = {(row["id"], row["factor"]): row for row in rows if row["model"] == "cubic"}
    for factor, name in dict.fromkeys((row["factor"], row["model"]) for row in rows if row["model"] != "cubic"):
        own = [row for row in rows if (row["factor"], row["model"]) == (factor, name)]
        psnr = np.array([row["psnr"] - cubic[row["id"], factor]["psnr"] for row in own])
        ssim = np.mean([row["ssim"] - cubic[row["id"], factor]["ssim"] for row in own])
        entry = {"n": len(own), "psnr": float(psnr.mean()), "worst": float(psnr.min()), "ssim": float(ssim)}
        if len(own) > 1:
            interval = bootstrap((psnr,), np.mean, rng=0).confidence_interval
            entry |= {"low": float(interval.low), "high": float(interval.high)}
        table[f"x{factor} {name}"] = entry
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", nargs="+", type=Path)
    parser.add_argument("--model", default="medsr-mri")
    parser.add_argument("--factors", nargs="+", type=int, default=[2, 3, 4])
    parser.add_argument("--adapt", type=float, metavar="MINUTES")
    parser.add_argument("--every", action="store_true", help="single planes, weighted fusion and no consistency too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engine = open_slice_model(arguments.model, Compute(arguments.device, "torch"))
    rows = []
    for path in arguments.volumes:
        for factor in arguments.factors:
            rows += measure(path, factor, engine, arguments.adapt, arguments.every)
    table = gains(rows)
    print()
    for name, entry in table.items():
        interval = f" [{entry['low']:+.2f}, {entry['high']:+.2f}]" if "low" in entry else ""
        print(f"{name:44} {entry['psnr']:+.2f} dB{interval}, worst {entry['worst']:+.2f}, SSIM {entry['ssim']:+.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"protocol": __doc__, "gains": table, "volumes": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
