"""`medsr volume --adapt`: learn from the scan's own fine slices before refining it.

Self-supervised, as SMORE (Zhao et al. 2021) and ECLARE (Remedios et al. 2024) do it: slices whose axes are both fine
are made as thick along one of them as the scan is through its planes, and the network learns to undo that.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.devices import computes_bf16
from medsr.core.errors import TrainingError, UsageError
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.data.slices import SliceCrops
from medsr.data.streams import stream
from medsr.data.volumes import foreground
from medsr.degradation import thick_slices
from medsr.degradation.thick_slices import SliceSampling
from medsr.recipe import Data, SliceProfile
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.noise import eased, easing_of_input
from medsr.volumes.slice_models import SliceRefiner

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE, BATCH, HELD_OUT = 96, 16, 4
RATE = 5e-4
"""In 200 iterations 3e-4 to 1e-3 left 5 to 6 % less of the error on slices held out, 1e-4 left 4 % less."""
_DRAW = 1_000_001
Drawn = tuple[SliceSampling, SliceSampling | None]
Draw = Callable[[np.random.Generator, int], list[Drawn]]


@dataclass(frozen=True)
class Adapted:
    """`before` and `after`: mean absolute error on crops of the scan's slices not trained on, in unit values."""

    net: nn.Module
    iterations: int
    before: float
    after: float
    kept: bool


def adapt(
    net: nn.Module,
    normalised: Array,
    acquisition: Acquisition,
    minutes: float,
    device: str,
    on_progress: Callable[[float, str], None] = lambda _done, _text: None,
) -> Adapted:
    """Train a copy of the refiner `net` for `minutes` on the acquired volume `normalised`, (i, j, k) in unit values.

    The weights are an average over training (EMA), and kept only if they do better than those before on slices held
    out. Raises UsageError when the scan is too small to learn from, TrainingError when a loss is not finite.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    settings = _as_acquired(acquisition)
    crops, others = _crops(normalised, acquisition, settings)
    draw = partial(_drawn, acquisition, settings)
    student = copy.deepcopy(net).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    student.train().requires_grad_(True)
    average = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    average.n_averaged.fill_(1)
    optimizer = torch.optim.Adam(student.parameters(), RATE, betas=(0.9, 0.99))
    held_out = [_pairs(others, draw, 0, n, device) for n in range(HELD_OUT)]
    half = computes_bf16(device)
    before = _error(student, held_out)
    began, iteration = time.monotonic(), 0
    while (share := (time.monotonic() - began) / (60 * minutes)) < 1 or iteration == 0:
        iteration += 1
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, iteration / 20) * (0.5 + 0.5 * np.cos(np.pi * min(share, 1)))
        high, low = _pairs(crops, draw, iteration, 0, device)
        loss = _loss(student, high, low, half)
        if not torch.isfinite(loss):
            raise TrainingError(f"`adapt`: the loss is {float(loss)} after {iteration} iterations; run without it")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 0.5)
        optimizer.step()
        average.update_parameters(student)
        on_progress(min(share, 1.0), f"l1 {float(loss.detach()):.4f}")
    after = _error(average.module, held_out)
    kept = after < before
    best_net = average.module if kept else net
    return Adapted(best_net.eval().requires_grad_(False), iteration, before, after, kept)


def adapt_model(
    engine: LoadedSliceModel,
    scan: NDArray,
    acquisition: Acquisition,
    minutes: float,
    on_progress: Callable[[float, str], None] = lambda _done, _text: None,
    noise: float | None = None,
) -> tuple[LoadedSliceModel, Adapted]:
    """The engine after `minutes` of learning from `scan`, (i, j, k) in canonical order; and what came of it.

    `noise`: its standard deviation in stored values; None: measured.

    Raises as `adapt`, and UsageError for what cannot learn: other networks than refiners, exported models.
    """
    from medsr.engines.torch_engine import TorchEngine

    if not isinstance(engine.model, SliceRefiner):
        raise UsageError(f"`adapt`: {engine.name} is not a refiner; use medsr-mri or `model=scratch`")
    computes = engine.model.engine
    if not isinstance(computes, TorchEngine):
        raise UsageError(f"`adapt`: {engine.name} is an exported model; learning needs the weight file")
    window = Window.of_values(scan)
    normalised = window.to_unit(scan)
    acquisition, _ = eased(acquisition, normalised, scan, window.high - window.low, noise)
    result = adapt(computes.net, normalised, acquisition, minutes, computes.device, on_progress)
    model = replace(engine.model, engine=TorchEngine(result.net, computes.device))
    return replace(engine, model=model), result


def _as_acquired(acquisition: Acquisition) -> SliceProfile:
    """The scan's own factors, and a little around them."""
    factors = [acquisition.factor(axis) for axis in acquisition.refined]
    return SliceProfile(
        factors=(max(1.05, 0.95 * min(factors)), 1.05 * max(factors) + 0.1),
        both_axes=0.0 if len(factors) == 1 else 0.3,
    )


def _drawn(acquisition: Acquisition, settings: SliceProfile, rng: np.random.Generator, side: int) -> list[Drawn]:
    """Thick rows as the scan is thick across its slices, columns as within them, brought back as the scan will be."""
    through = acquisition.across
    others = [axis for axis in acquisition.refined if axis != through]
    within = SliceSampling(side, easing=max((easing_of_input(acquisition, axis) for axis in others), default=0.0))
    across = within
    if through in acquisition.refined:
        across = SliceSampling(side, acquisition.profile, acquisition.width, easing_of_input(acquisition, through))
    return [
        (replace(across, coarse=rows.coarse), columns and replace(within, coarse=columns.coarse))
        for rows, columns in thick_slices.draw(settings, rng, BATCH, side)
    ]


def _crops(normalised: Array, acquisition: Acquisition, settings: SliceProfile) -> tuple[SliceCrops, SliceCrops]:
    """Crops to train on and crops held out: slices perpendicular to a thick axis, a band in the middle held out.

    Their rows, which are made thick, run along an axis that is fine; along either where every axis is refined.
    """
    normal = acquisition.refined[-1]
    within = [axis for axis in range(3) if axis != normal]
    rows = [axis for axis in within if axis not in acquisition.refined] or within
    part = foreground(normalised, SIDE)
    shortest = min(part.shape[axis] for axis in within)
    side = min(SIDE, shortest - shortest % 4)
    count = part.shape[normal]
    if side < max(32, 4 * settings.factors[1]) or count < 4:
        dims = " x ".join(map(str, normalised.shape))
        raise UsageError(f"`adapt`: a scan of {dims} voxels is too small to learn from; run without it")
    band = np.arange(count // 2 - max(1, count // 12), count // 2 + max(1, count // 12))
    data = Data(crop=side, darkest_crop=0.1)
    pairings = tuple((normal, axis) for axis in rows)
    train, held_out = np.delete(part, band, axis=normal), part.take(band, axis=normal)
    return SliceCrops(train, data, side, 0, pairings), SliceCrops(held_out, data, side, 0, pairings)


def _pairs(crops: SliceCrops, draw: Draw, iteration: int, part: int, device: str) -> tuple[Tensor, Tensor]:
    """One batch: (ground truth, low resolution with factor maps), the border cut off both."""
    import torch

    high = torch.stack([crops[iteration, part * BATCH + slot][0] for slot in range(BATCH)])
    rng = stream(crops.seed, iteration, _DRAW + part)
    low = thick_slices.apply(high, draw(rng, crops.side))
    border = crops.side // 6 // 2 * 2
    inner = (..., slice(border, crops.side - border), slice(border, crops.side - border))
    layout: Any = {"memory_format": torch.channels_last}
    return high[inner].to(device).contiguous(**layout), low[inner].to(device).contiguous(**layout)


def _loss(net: nn.Module, high: Tensor, low: Tensor, half: bool) -> Tensor:
    import torch

    with torch.autocast(high.device.type, torch.bfloat16, enabled=half):
        output = net(low)
    return torch.nn.functional.l1_loss(output.float(), high)


def _error(net: Any, held_out: list[tuple[Tensor, Tensor]]) -> float:
    import torch

    with torch.inference_mode():
        return float(np.mean([float(torch.nn.functional.l1_loss(net(low), high)) for high, low in held_out]))
