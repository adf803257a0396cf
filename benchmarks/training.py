"""`medsr finetune` beside `realesrgan/train.py`: same images, networks, batch, crop and losses, one after the other.

    python benchmarks/training.py FOLDER [--blocks 23] [--features 64] [--batch 12] [--crop 256] [--iterations 200]
                                  [--device auto] [--precision bf16] [--compile] [--rounds 3] [--json FILE]

FOLDER: PNG or JPEG images of at least 400 x 400 pixels. Both train an RRDB x4 and the U-Net discriminator from scratch
with L1 and the vanilla GAN loss on the published high-order degradation; the perceptual loss is left out of both, its
weights are half a gigabyte. Iterations per second leave out the first fifth. Without a GPU give small networks, for
example --blocks 2 --features 16 --batch 2 --crop 64 --iterations 20 --precision fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

WARM = 5
"""One in so many iterations, the first ones, are not counted."""
POOL = 180
KERNELS = ["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
SHARES = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", default="*")
    for name, default in (("blocks", 23), ("features", 64), ("batch", 12), ("crop", 256), ("iterations", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        {"realesrgan": _realesrgan, "medsr": _medsr}[asked.child](asked, Path.cwd())
        return
    ways = ("realesrgan", "medsr")
    rounds: list[dict[str, Any]] = []
    for _ in range(asked.rounds):  # in turn, so that a busy moment of the machine falls on both
        rounds.append({way: _measured(way, sys.argv[1:]) for way in ways})
    speed = {way: median(one[way]["per_second"] for one in rounds) for way in ways}
    print(f"batch {asked.batch}, crop {asked.crop}, RRDB of {asked.blocks} blocks and {asked.features} features")
    for way in ways:
        losses = rounds[-1][way]["losses"]
        shown = ", ".join(f"{name} {_course(values)}" for name, values in losses.items())
        print(f"{way:12} {speed[way]:8.3f} it/s  {speed[way] / speed['realesrgan']:5.2f}x  {shown}")
    if asked.json:
        told = {"settings": {key: str(value) for key, value in vars(asked).items()}, "rounds": rounds}
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


def _course(values: Sequence[float]) -> str:
    """The mean of the first and of the last quarter."""
    part = max(1, len(values) // 4)
    return f"{sum(values[:part]) / part:.4f} to {sum(values[-part:]) / part:.4f}"


def _measured(way: str, arguments: Sequence[str]) -> dict[str, Any]:
    folder = str(Path(arguments[0]).resolve())
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, str(Path(__file__).resolve()), folder, *arguments[1:], "--child", way]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{way}: {done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads((Path(work) / "result.json").read_text())
        return result


def _write(work: Path, stamps: Sequence[float], losses: dict[str, list[float]]) -> None:
    """`stamps`: when each iteration ended."""
    first = max(1, len(stamps) // WARM)
    per_second = (len(stamps) - first) / (stamps[-1] - stamps[first - 1])
    (work / "result.json").write_text(json.dumps({"per_second": per_second, "losses": losses}))


def _medsr(asked: argparse.Namespace, work: Path) -> None:
    from medsr.commands.finetune import finetune
    from medsr.training import loop

    generator = {"features": asked.features, "blocks": asked.blocks}
    recipe = {
        "name": "benchmark",
        "scale": 4,
        "generator": {"name": "rrdb", **generator},
        "discriminator": {"name": "unet-sn", "features": asked.features},
        "data": {"crop": asked.crop, "degrade_crop": 400, "validation": 0, "workers": asked.workers},
        "losses": {"l1": {"weight": 1.0, "sharpened": True}, "gan": {"weight": 0.1}},
        "degradation": {"name": "high-order", "pool": _pool(asked)},
        "iterations": asked.iterations,
        "batch": asked.batch,
        "precision": asked.precision,
        "compile": asked.compile,
        "save_every": 10**6,
        "guard": {"won": 0},
    }
    recipe["data"] |= {"pattern": asked.pattern}  # type: ignore[operator]
    (work / "recipe.yml").write_text(yaml.safe_dump(recipe))
    stamps: list[float] = []
    original = loop.step

    def timed(*arguments: Any) -> dict[str, float]:
        losses = original(*arguments)
        stamps.append(time.perf_counter())
        return losses

    loop.step = timed
    run = finetune(work / "recipe.yml", asked.folder, out=work / "run", device=asked.device).run
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    _write(work, stamps, {"l1": [one["l1"] for one in records], "gan": [one["gan"] for one in records]})


def _pool(asked: argparse.Namespace) -> int:
    return POOL // asked.batch * asked.batch


def _realesrgan(asked: argparse.Namespace, work: Path) -> None:
    """realesrgan/train.py as it is: its dataset, model and loop, and a file of options."""
    import torch

    from medsr.core.devices import choose
    from medsr.io.images.image import list_images
    from medsr.networks import upstream

    upstream.real_esrganer()  # puts back what torchvision dropped, and registers realesrgan's classes
    on_gpu = choose(asked.device) != "cpu"
    if not on_gpu:
        let_realesrgan_train_on_the_cpu()
    names = [str(path.relative_to(asked.folder)) for path in list_images(asked.folder, asked.pattern)]
    (work / "names.txt").write_text("\n".join(names * max(1, 1000 // len(names))) + "\n")
    (work / "options.yml").write_text(yaml.safe_dump(realesrgan_options(asked, work, on_gpu), sort_keys=False))
    sys.argv = ["train.py", "-opt", str(work / "options.yml")]
    from basicsr.models import base_model, lr_scheduler  # noqa: F401 - its registry
    from basicsr.train import train_pipeline

    stamps: list[float] = []
    from realesrgan.models.realesrgan_model import RealESRGANModel

    original = RealESRGANModel.optimize_parameters

    def timed(self: Any, iteration: int) -> None:
        original(self, iteration)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        stamps.append(time.perf_counter())

    RealESRGANModel.optimize_parameters = timed
    train_pipeline(str(work))
    log = next((work / "experiments").rglob("*.log")).read_text()
    keys = (("l1", "l_g_pix"), ("gan", "l_g_gan"))
    found = {name: [float(one) for one in re.findall(rf"{key}: (\S+)", log)] for name, key in keys}
    _write(work, stamps, found)


def let_realesrgan_train_on_the_cpu() -> None:
    """Its model says .cuda() whatever the options say, and its blur wants what only a GPU gives it."""
    import torch
    from realesrgan.models import realesrgan_model

    torch.nn.Module.cuda = lambda self, *_: self  # type: ignore[assignment, method-assign]
    torch.Tensor.cuda = lambda self, *_: self  # type: ignore[assignment, method-assign]
    blur = realesrgan_model.filter2D
    realesrgan_model.filter2D = lambda images, kernels: blur(images.contiguous(), kernels)


def realesrgan_options(asked: argparse.Namespace, work: Path, gpu: bool) -> dict[str, Any]:
    """realesrgan's options/train_realesrgan_x4plus.yml, less the perceptual loss and the validation."""
    second = {f"{key}2": value for key, value in (("kernel_list", KERNELS), ("kernel_prob", SHARES))}
    blur = {
        "blur_kernel_size": 21,
        "blur_kernel_size2": 21,
        "sinc_prob": 0.1,
        "sinc_prob2": 0.1,
        "final_sinc_prob": 0.8,
    }
    ranges = {"blur_sigma": [0.2, 3], "blur_sigma2": [0.2, 1.5]}
    for suffix in ("", "2"):
        ranges |= {f"betag_range{suffix}": [0.5, 4], f"betap_range{suffix}": [1, 2]}
    data = {
        "name": "benchmark",
        "type": "RealESRGANDataset",
        "dataroot_gt": str(asked.folder),
        "meta_info": str(work / "names.txt"),
        "io_backend": {"type": "disk"},
        "kernel_list": KERNELS,
        "kernel_prob": SHARES,
        **second,
        **blur,
        **ranges,
        "gt_size": asked.crop,
        "use_hflip": True,
        "use_rot": False,
        "use_shuffle": True,
        "num_worker_per_gpu": asked.workers,
        "batch_size_per_gpu": asked.batch,
        "dataset_enlarge_ratio": 1,
        "prefetch_mode": None,
    }
    return {
        "name": "benchmark",
        "model_type": "RealESRGANModel",
        "scale": 4,
        "num_gpu": 1 if gpu else 0,
        "manual_seed": 0,
        "l1_gt_usm": True,
        "percep_gt_usm": True,
        "gan_gt_usm": False,
        "resize_prob": [0.2, 0.7, 0.1],
        "resize_range": [0.15, 1.5],
        "gaussian_noise_prob": 0.5,
        "noise_range": [1, 30],
        "poisson_scale_range": [0.05, 3],
        "gray_noise_prob": 0.4,
        "jpeg_range": [30, 95],
        "second_blur_prob": 0.8,
        "resize_prob2": [0.3, 0.4, 0.3],
        "resize_range2": [0.3, 1.2],
        "gaussian_noise_prob2": 0.5,
        "noise_range2": [1, 25],
        "poisson_scale_range2": [0.05, 2.5],
        "gray_noise_prob2": 0.4,
        "jpeg_range2": [30, 95],
        "gt_size": asked.crop,
        "queue_size": _pool(asked),
        "datasets": {"train": data},
        "network_g": {
            "type": "RRDBNet",
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": asked.features,
            "num_block": asked.blocks,
            "num_grow_ch": 32,
        },
        "network_d": {
            "type": "UNetDiscriminatorSN",
            "num_in_ch": 3,
            "num_feat": asked.features,
            "skip_connection": True,
        },
        "path": {"strict_load_g": True},
        "train": {
            "ema_decay": 0.999,
            "optim_g": {"type": "Adam", "lr": 1e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "optim_d": {"type": "Adam", "lr": 1e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {"type": "MultiStepLR", "milestones": [10**6], "gamma": 0.5},
            "total_iter": asked.iterations,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
            "gan_opt": {
                "type": "GANLoss",
                "gan_type": "vanilla",
                "real_label_val": 1.0,
                "fake_label_val": 0.0,
                "loss_weight": 0.1,
            },
            "net_d_iters": 1,
            "net_d_init_iters": 0,
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 10**9, "use_tb_logger": False, "wandb": {"project": None}},
    }


if __name__ == "__main__":
    main()
