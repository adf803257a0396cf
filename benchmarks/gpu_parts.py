"""The parts of `gpu.py`: each measures on the device that is there and writes its rows one by one."""

from __future__ import annotations

import copy
import json
import os
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from real_esrgan_steps import RealEsrganerSteps, TrainingSteps
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medsr.core.devices import choose, computes_bf16
from medsr.core.errors import DependencyError, MedsrError
from medsr.core.meter import Meter
from medsr.core.version import __version__
from medsr.images.tile_size import is_out_of_memory, release_memory
from medsr.networks import checkpoint, initialisation
from medsr.networks.rrdb import rrdb

ROUNDS = 20
"""At most so often is anything repeated; as often as its share of the time allows, and at least once."""
PROBE = 64
"""Side of what a network's operations are counted on."""


@dataclass
class Bench:
    """One part's settings, folder and time."""

    settings: dict[str, Any]
    work: Path
    part: str
    deadline: float

    def __post_init__(self) -> None:
        self.device = choose("auto") if torch.cuda.is_available() else "cpu"
        self.on_gpu = self.device.startswith("cuda")

    def left(self) -> float:
        """Seconds until this part is ended."""
        return self.deadline - time.monotonic()

    def row(self, way: str, measure: Callable[[], dict[str, Any]], **facts: Any) -> dict[str, Any]:
        """Measure one row and write it; what goes wrong becomes its `error`, so that the others are still measured."""
        row: dict[str, Any] = {"part": self.part, "way": way} | facts
        try:
            row |= measure()
        except Exception as error:
            memory = is_out_of_memory(error)
            row["error"] = "out of memory" if memory else f"{type(error).__name__}: {error}".splitlines()[0][:200]
        with (self.work / f"{self.part}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        release_memory()
        return row

    def timed(self, run: Callable[[], Any], share: float, warm: int = 1) -> dict[str, Any]:
        """The median of a few runs within `share` of what is left, and the most memory held meanwhile."""
        end = time.monotonic() + share * self.left()
        with Meter(self.device) as meter:
            for _ in range(warm):
                run()
                self.wait()
            seconds: list[float] = []
            while len(seconds) < ROUNDS and (not seconds or time.monotonic() < end):
                began = time.perf_counter()
                run()
                self.wait()
                seconds.append(time.perf_counter() - began)
        return {"seconds": float(np.median(seconds)), "rounds": len(seconds), "peak_bytes": meter.peak}

    def wait(self) -> None:
        """Until the GPU has done everything."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def halves(self) -> list[str]:
        """The half precisions to measure; on a CPU, where medsr has none, fp32."""
        return ["fp16", *(["bf16"] if computes_bf16(self.device) else [])] if self.on_gpu else ["fp32"]


def machine(device: str) -> dict[str, Any]:
    """What the figures belong to."""
    facts = {"device": "CPU", "cores": os.cpu_count(), "torch": torch.__version__, "medsr": __version__}
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(0)
        capability = f"{about.major}.{about.minor}"
        facts |= {"device": about.name, "memory_bytes": about.total_memory, "capability": capability}
        facts |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return facts


def operations(net: nn.Module, *shape: int) -> float:
    """Floating-point operations of one forward pass on `shape`; nothing is computed."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(net).to("meta")(torch.zeros(shape, device="meta"))
    return float(counter.get_total_flops())


def peak(bench: Bench) -> None:
    """The fastest product of two square matrices of random numbers, in each precision."""
    side = bench.settings["matrix"]
    kinds = {"fp32": torch.float32}
    if bench.on_gpu:
        kinds |= {"tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    for index, (name, dtype) in enumerate(kinds.items()):

        def measure(name: str = name, dtype: torch.dtype = dtype, share: float = 0.8 / (len(kinds) - index)) -> dict:
            torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            left, right = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
            result = bench.timed(lambda: left @ right, share, warm=3)
            return result | {"tflops": 2 * side**3 / result["seconds"] / 1e12}

        bench.row(f"matrix product {name}, {side} x {side}", measure, precision=name)


def _weights(bench: Bench) -> tuple[Path, nn.Module, int]:
    """A file that RealESRGANer and medsr open alike, the network in it, and its scale."""
    path = bench.work / "weights.pth"
    if bench.settings["weights"]:
        net, spec = checkpoint.load(Path(bench.settings["weights"]))
        if spec.architecture != "rrdb" or spec.channels != 3:
            raise MedsrError(f"{bench.settings['weights']}: is not an RRDB for colour images")
        scale = spec.scale
    else:
        scale, net = 4, random_generator(bench.settings)
    torch.save({"params_ema": net.state_dict()}, path)
    return path, net, scale


def random_generator(settings: dict[str, Any]) -> nn.Module:
    """An RRDB x4 whose result shows the image, and something of every layer: so results can be compared."""
    torch.manual_seed(0)
    net = rrdb(4, 3, settings["features"], settings["blocks"]).eval()
    trunk_end = {name: tensor.clone() for name, tensor in net.conv_body.state_dict().items()}
    initialisation.rrdb(net)
    net.conv_body.load_state_dict(trunk_end)
    return net


def upscale(bench: Bench) -> None:
    """RealESRGANer, then `medsr upscale`'s engine, on the same image with the same weights."""
    from medsr.engines.base import Compute
    from medsr.volumes.models import open_model

    path, net, scale = _weights(bench)
    side, half = bench.settings["side"], bench.on_gpu
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    unit = image.astype(np.float32) / 255
    work = operations(net, 1, 3, PROBE, PROBE) * side**2 / PROBE**2
    what, results = f"{side} x {side}, x{scale}", {}

    def measure(way: str, open_: Callable[[], Callable[[], Any]], share: float) -> Callable[[], dict[str, Any]]:
        def run() -> dict[str, Any]:
            enhance = open_()
            result = bench.timed(lambda: results.__setitem__(way, enhance()), share)
            row = result | {"tflops": work / result["seconds"] / 1e12}
            peers = [other for name, other in results.items() if "tile 0" in name and name != way]
            if peers:
                row["remark"] = f"differs by at most {_levels(results[way], peers[0])} of 255"
            return row

        return run

    name, build = _real_esrganer(path, net, scale, bench.device, half)
    precision = "fp16" if half else "fp32"
    for tile in (0, bench.settings["tile"]):
        way = f"{name}, {precision}, tile {tile}"

        def open_peer(tile: int = tile) -> Callable[[], np.ndarray]:
            enhance = build(tile)
            return lambda: enhance(np.ascontiguousarray(image[:, :, ::-1]))[:, :, ::-1]

        bench.row(way, measure(way, open_peer, 0.1), what=what, precision=precision, peer=True)

    ways = [(half, False, False) for half in bench.halves()] + [(bench.halves()[0], False, True)]
    if bench.on_gpu:
        ways += [(half, True, False) for half in bench.halves()]
    for precision, compiled, consistent in ways:
        way = f"medsr, {precision}{', compiled' if compiled else ''}{', consistent' if consistent else ''}"

        def open_ours(p: str = precision, compiled: bool = compiled, c: bool = consistent) -> Callable[[], np.ndarray]:
            model = open_model(path, Compute(bench.device, "torch", p, None, compiled), consistency=c)
            return lambda: np.rint(model(unit, scale).clip(0, 1) * 255).astype(np.uint8)

        bench.row(way, measure(way, open_ours, 0.2), what=what, precision=precision)


def _levels(result: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(result.astype(np.int16) - other).max())


def _real_esrganer(
    path: Path, net: nn.Module, scale: int, device: str, half: bool
) -> tuple[str, Callable[[int], Callable[[np.ndarray], np.ndarray]]]:
    """Its name, and what builds it for a tile size: realesrgan's own class, or its steps where that is not there."""
    from medsr.networks import upstream

    try:
        peer = upstream.real_esrganer()
    except (DependencyError, ImportError):
        return (
            "RealESRGANer's steps",
            lambda tile: RealEsrganerSteps(copy.deepcopy(net), scale, tile, device, half).enhance,
        )

    def build(tile: int) -> Callable[[np.ndarray], np.ndarray]:
        settings = {"model_path": str(path), "model": copy.deepcopy(net), "tile": tile, "half": half, "device": device}
        esrganer = peer(scale=scale, **settings)
        return lambda image: esrganer.enhance(image)[0]

    return "RealESRGANer", build


class CountingEngine:
    """An engine that adds up the pixels it is given."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.pixels = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.pixels += batch.shape[0] * batch.shape[2] * batch.shape[3]
        return self.engine(batch)


def volume(bench: Bench) -> None:
    """`medsr volume --scale 2` on cubes of noise, in memory: with medsr-mri, and by interpolation alone."""
    from medsr.engines.base import Compute
    from medsr.io.volumes.base import Volume
    from medsr.volumes.choose_model import ResolvedRequest
    from medsr.volumes.models import open_slice_model
    from medsr.volumes.refine_scan import refine_scan
    from medsr.volumes.request import Request

    def run(side: int, name: str, precision: str) -> dict[str, Any]:
        noise = np.random.default_rng(0).random((side,) * 3, np.float32) * 1000
        scan = Volume(noise.astype(np.int16), np.eye(4))
        compute = Compute(bench.device, "torch", precision)
        opened = open_slice_model(name, compute)
        counter = CountingEngine(getattr(opened.model, "engine", None))
        if counter.engine is not None:
            opened.model.engine = counter  # type: ignore[union-attr]
        request = ResolvedRequest(Request(model=name, scale=2.0, compute=compute), opened)
        with Meter(bench.device) as meter:
            refine_scan(scan, request)
        row = {"seconds": meter.seconds, "rounds": 1, "peak_bytes": meter.peak}
        if counter.engine is None:
            return row
        per_pixel = operations(counter.engine.net.float(), 1, 3, PROBE, PROBE) / PROBE**2
        return row | {"tflops": per_pixel * counter.pixels / meter.seconds / 1e12}

    for side in bench.settings["cubes"]:
        for name, precision in (*(("medsr-mri", half) for half in bench.halves()), ("back-projected", "fp32")):
            way = f"{name}, {precision}" if name == "medsr-mri" else "interpolation alone, on the CPU"
            what = f"{side} to {2 * side} cubed"
            bench.row(way, lambda s=side, n=name, p=precision: run(s, n, p), what=what, precision=precision)


def training(bench: Bench) -> None:
    """Iterations of Real-ESRGAN's step and of medsr's, with the largest batch that Real-ESRGAN has memory for."""
    from medsr.networks import discriminators

    settings = bench.settings
    generator = random_generator(settings)
    discriminator = discriminators.unet_sn(3, settings["features"])
    crop = settings["crop"]
    low, high = (1, 3, crop // 4, crop // 4), (1, 3, crop, crop)
    # Backwards costs twice what forwards does, once where only the images' gradients are asked for.
    work = 3 * operations(generator, *low) + 8 * operations(discriminator, *high)
    name, build = _real_training(bench, generator, discriminator)
    degraded = "without degradation" if build is None else "with degradation"
    for batch in settings["batches"]:
        what = f"crops of {crop}, batch {batch}, {degraded}"
        pairs = _crops(bench, batch, build is not None)

        def peer(batch: int = batch, pairs: list = pairs) -> dict[str, Any]:
            step = build(batch, pairs) if build else _steps(bench, generator, discriminator, pairs)
            return _rate(bench, step, work * batch, 0.25)

        row = bench.row(f"{name}, fp32", peer, what=what, precision="fp32", matrix="tf32", peer=True)
        if row.get("error") != "out of memory":
            break
    ways = [("fp32", False)] + ([(half, False) for half in bench.halves()] if bench.on_gpu else [])
    if bench.on_gpu:
        ways.append((bench.halves()[-1], True))
    for precision, compiled in ways:

        def ours(precision: str = precision, compiled: bool = compiled) -> dict[str, Any]:
            step = _our_step(bench, (generator, discriminator), pairs, precision, compiled)
            return _rate(bench, step, work * batch, 0.3)

        way = f"medsr, {precision}{', compiled' if compiled else ''}"
        matrix = "tf32" if precision == "fp32" else precision
        bench.row(way, ours, what=what, precision=precision, matrix=matrix)


def _rate(bench: Bench, step: Callable[[], Any], work: float, share: float) -> dict[str, Any]:
    result = bench.timed(step, share, warm=3)
    return result | {"tflops": work / result["seconds"] / 1e12}


def _crops(bench: Bench, batch: int, degraded: bool) -> list[torch.Tensor]:
    """Ground truth as it comes from the files, on the device; with its low resolution where nothing degrades it."""
    torch.manual_seed(1)
    side = bench.settings["degrade_crop" if degraded else "crop"]
    sides = [side] if degraded else [side, side // 4]
    return [torch.rand(batch, 3, length, length, device=bench.device) for length in sides]


def _steps(bench: Bench, generator: nn.Module, discriminator: nn.Module, pairs: list) -> Callable[[], Any]:
    nets = [copy.deepcopy(net) for net in (generator, discriminator, generator)]
    steps = TrainingSteps(*nets, bench.device)
    return lambda: steps.step(*pairs)


def _real_training(
    bench: Bench, generator: nn.Module, discriminator: nn.Module
) -> tuple[str, Callable[[int, list], Callable[[], Any]] | None]:
    """realesrgan's own model with the same weights, and what builds its step; None where it is not there."""
    from medsr.networks import upstream

    try:
        upstream.real_esrganer()
    except (DependencyError, ImportError):
        return "realesrgan/train.py's steps", None
    from realesrgan.models.realesrgan_model import RealESRGANModel
    from training import let_realesrgan_train_on_the_cpu, realesrgan_options

    settings = bench.settings
    if not bench.on_gpu:
        let_realesrgan_train_on_the_cpu()

    def build(batch: int, pairs: list) -> Callable[[], Any]:
        sizes = {key: settings[key] for key in ("blocks", "features", "crop")}
        asked = Namespace(folder="", workers=0, batch=batch, iterations=10**6, **sizes)
        options = realesrgan_options(asked, bench.work, bench.on_gpu)
        model = RealESRGANModel(options | {"is_train": True, "dist": False, "rank": 0})
        for net, source in ((model.net_g, generator), (model.net_g_ema, generator), (model.net_d, discriminator)):
            net.load_state_dict(source.state_dict())
        kernels = _kernels(batch)
        count = iter(range(1, 10**9))

        def step() -> None:
            model.feed_data({"gt": pairs[0]} | kernels)
            model.optimize_parameters(next(count))

        return step

    return "realesrgan/train.py's model", build


def _kernels(batch: int) -> dict[str, torch.Tensor]:
    """The blurs that realesrgan's data set draws beside each image."""
    from medsr.degradation import high_order
    from medsr.recipe.degradation import DegradationStage, HighOrder, SecondDegradationStage

    stages = {"first": DegradationStage(blur_probability=1.0), "second": SecondDegradationStage(blur_probability=1.0)}
    drawn = high_order.draw(HighOrder(**stages), np.random.default_rng(0), batch)
    kernels = {"kernel1": drawn.first.kernels, "kernel2": drawn.second.kernels, "sinc_kernel": drawn.sinc}
    return {name: torch.from_numpy(np.ascontiguousarray(kernel)) for name, kernel in kernels.items()}


def _our_step(
    bench: Bench, nets: tuple[nn.Module, nn.Module], pairs: list, precision: str, compiled: bool
) -> Callable[[], Any]:
    """`medsr finetune`'s step: `training.loop.step` on a recipe with Real-ESRGAN's losses and degradation."""
    from lightning_fabric import Fabric

    from medsr.recipe import Recipe
    from medsr.training import loop
    from medsr.training.losses import GeneratorLoss
    from medsr.training.training_state import build_training_state

    settings, batch, degraded = bench.settings, len(pairs[0]), len(pairs) == 1
    sizes = {"features": settings["features"], "blocks": settings["blocks"]}
    crop = {"crop": settings["crop"], "degrade_crop": settings["degrade_crop"]}
    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "scale": 4,
            "generator": {"name": "rrdb", **sizes},
            "discriminator": {"name": "unet-sn", "features": settings["features"]},
            "data": crop,
            "losses": {"l1": {"weight": 1.0, "sharpened": degraded}, "gan": {"weight": 0.1}},
            "degradation": {"name": "high-order", "pool": 180 // batch * batch if degraded else 0},
            "iterations": 10**6,
            "batch": batch,
            "precision": precision,
            "compile": compiled,
        }
    )
    places = {"accelerator": "cuda" if bench.on_gpu else "cpu", "devices": 1}
    fabric = Fabric(**places, precision=loop.PRECISIONS[precision])
    fabric.launch()
    state = build_training_state(recipe, *(copy.deepcopy(net) for net in nets), fabric)
    loss = GeneratorLoss(recipe.losses, {}, bench.device)

    def step() -> dict[str, float]:
        state.iteration += 1
        return loop.step(recipe, state, pairs, loss, fabric)

    return step


PARTS: dict[str, Callable[[Bench], None]] = {"peak": peak, "upscale": upscale, "volume": volume, "training": training}
