"""`medsr weights fusion`: train the network that fuses what a refiner made of two planes (see `nets.fuser`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from medsr.data.slices import recoloured, zoomed
from medsr.data.streams import stream
from medsr.data.volumes import load, split
from medsr.degrade.slice_profile import matrix
from medsr.degrade.thick_slices import FACTOR_RANGE
from medsr.devices import choose
from medsr.engines.base import Compute
from medsr.engines.intel import threads
from medsr.errors import TrainingError, UsageError
from medsr.infer import fusion
from medsr.infer.acquisition import Acquisition
from medsr.infer.learned import ARCHITECTURE, third_plane
from medsr.infer.models import open_slice_model, weights_hash
from medsr.infer.plane import PlaneRun
from medsr.infer.slices import Refiner
from medsr.infer.volume import Method, planes_for
from medsr.nets import checkpoint
from medsr.progress import progress
from medsr.recipe import Data, Jitter
from medsr.workers import each, workers

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[np.float32]
SIDE, CROP, BATCH = 96, 64, 16
FACTORS = (2.0, 6.0)
JITTER = Jitter(gain=(0.7, 1.2), offset=(-0.05, 0.05), contrast=0.6)
ZOOM = (0.75, 1.25)
"""Of half of the blocks: sharper and softer than they were."""
RATE, CLIP, EVERY = 1e-3, 0.5, 200
_BLOCKS, _HELD_OUT, _CROPS = 2_000_001, 2_000_002, 2_000_003


@dataclass(frozen=True)
class Fusing:
    """`blocks` of 96 voxels a side are refined in both planes, then learned from for `iterations` of 16 crops."""

    blocks: int = 80
    iterations: int = 3000
    features: int = 32
    depth: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.blocks, self.iterations, self.features, self.depth) < 1:
            raise UsageError("--blocks and --iterations: expected whole numbers from 1")


@dataclass(frozen=True)
class Block:
    """`slices`: (n, 4, H, W) of the third plane: interpolated, first, second plane's result, ground truth."""

    slices: Array
    factor: float


def train(model: str | Path, data: str | Path, validation: float | str, out: Path, how: Fusing, device: str) -> float:
    """Train a fusion network for the refiner `model` on the isotropic volumes in `data`, and write it to `out`.

    Returns its gain over the plain mean, dB, on blocks of the volumes that `validation` sets apart (a fraction or a
    pattern). Raises UsageError for a model that refines no slices or a folder without volumes, TrainingError when a
    loss is not finite.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"--out {out}: expected a name that ends in .safetensors")
    _refiner(model, device)
    parts = split(Data(train=str(data), validation=validation), SIDE, how.seed)
    if not parts.held_out:
        raise UsageError("--validation: sets no volume apart")
    blocks = _refined([source.path for source in parts.train], model, device, how, _BLOCKS)
    others = _refined(parts.held_out, model, device, how, _HELD_OUT)
    spec = checkpoint.Spec(ARCHITECTURE, 1, 1, {"features": how.features, "blocks": how.depth})
    net, curve = _learn(spec, blocks, others, how, choose(device))
    training = {"fuses": weights_hash(model), "curve": curve, "volumes": len(parts.train)} | asdict(how)
    checkpoint.save(out, net.state_dict(), spec, training)
    return curve[-1][1]


def block_of(volume: Array, refiner: Refiner, rng: np.random.Generator) -> Block:
    """A piece of a volume in unit values: another contrast, made thick along one axis, refined in both its planes."""
    fine = recoloured(_piece(volume, rng), JITTER, rng)
    axis = int(rng.integers(3))
    drawn = np.exp(rng.uniform(*np.log(FACTORS)))
    coarse = int(np.clip(round(SIDE / drawn), SIDE / FACTORS[1], SIDE / FACTORS[0]))
    operator = matrix(SIDE, coarse).astype(np.float32)
    thick = np.ascontiguousarray(np.moveaxis(np.tensordot(operator, fine, (1, axis)), 0, axis))
    acquisition = Acquisition(thick.shape, fine.shape)
    operators = acquisition.consistent()
    made = []
    for plane in planes_for(acquisition, Method()):
        whole = fusion.Mean(acquisition.fine)
        for done in PlaneRun(plane, thick, acquisition, operators, refiner, None, False).run():
            whole.add(done.place, done.samples[0])
        made.append(whole.total)
    truth = np.moveaxis(fine, axis, 0)
    slices = [
        np.stack([one.interpolated, one.first, one.second, target])
        for one, target in zip(third_plane(thick, made[0], made[1], acquisition), truth, strict=True)
    ]
    return Block(np.stack(slices), SIDE / coarse)


def _piece(volume: Array, rng: np.random.Generator) -> Array:
    """(SIDE, SIDE, SIDE) from anywhere, of half of them the voxels made larger or smaller; not of air alone."""
    zoom = np.exp(rng.uniform(*np.log(ZOOM))) if rng.random() < 0.5 else 1.0
    side = min(round(SIDE / zoom), *volume.shape)
    piece = volume
    for _ in range(20):
        starts = [int(rng.integers(length - side + 1)) for length in volume.shape]
        piece = volume[tuple(slice(start, start + side) for start in starts)]
        if piece.mean() > 0.2:
            break
    flat = np.stack([zoomed(one, SIDE) for one in piece])
    return np.stack([zoomed(one, SIDE) for one in flat.transpose(1, 0, 2)], axis=1) if side != SIDE else piece


@dataclass(frozen=True)
class _Draw:
    """Makes the block of a number, in whatever process: what it draws hangs on seed, number and purpose alone."""

    paths: tuple[Path, ...]
    model: str | Path
    device: str
    seed: int
    purpose: int
    alone: bool
    """Whether no other process draws beside this one; else one core is for each."""

    def __call__(self, index: int) -> Block:
        import torch

        if self.alone:
            rng = stream(self.seed, index, self.purpose)
            volume = _volume(self.paths[int(rng.integers(len(self.paths)))])
            return block_of(volume, _refiner(self.model, self.device), rng)
        os.environ["OMP_NUM_THREADS"] = "1"  # for engines that are not opened yet
        torch.set_num_threads(1)
        with threadpool_limits(1):
            return replace(self, alone=True)(index)


def _refined(paths: Sequence[Path], model: str | Path, device: str, how: Fusing, purpose: int) -> list[Block]:
    """Blocks, each of a volume drawn. On a CPU one on every core: a slice alone is little for more than one."""
    count = how.blocks if purpose == _BLOCKS else max(1, how.blocks // 8)
    at_once = min(count, threads()) if choose(device) == "cpu" else 1
    draw = _Draw(tuple(paths), model, device, how.seed, purpose, alone=at_once == 1)
    made: dict[str, Block] = {}
    with workers(at_once) as pool:
        jobs = {str(index): partial(draw, index) for index in range(count)}
        each("refining blocks", jobs, pool, lambda key, block: made.update({key: block}))
    return [made[str(index)] for index in range(count)]


@lru_cache(8)
def _volume(path: Path) -> Array:
    return load(path, SIDE)


@lru_cache(1)
def _refiner(model: str | Path, device: str) -> Refiner:
    refiner = open_slice_model(model, Compute(device)).model
    if not isinstance(refiner, Refiner):
        raise UsageError(f"{model}: refines no slices of volumes")
    return refiner


def _learn(
    spec: checkpoint.Spec, blocks: list[Block], others: list[Block], how: Fusing, device: str
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """The network, and (iteration, gain over the mean in dB on `others`) along its way."""
    import torch
    from torch.nn.functional import l1_loss

    torch.manual_seed(how.seed)
    net = spec.build().to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.iterations)
    unseen = [_batch(others, stream(how.seed, index, _HELD_OUT + 10), device) for index in range(8)]
    curve: list[tuple[int, float]] = []
    with progress("learning to fuse", how.iterations) as update:
        for iteration in range(1, how.iterations + 1):
            given, truth = _batch(blocks, stream(how.seed, iteration, _CROPS), device)
            loss = l1_loss(net(given), truth)
            if not torch.isfinite(loss):
                raise TrainingError(f"the loss of iteration {iteration} is not finite: damaged volumes?")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            if iteration % EVERY == 0 or iteration == how.iterations:
                curve.append((iteration, round(_gain(net, unseen), 3)))
            update(iteration, f"{curve[-1][1]:+.3f} dB over the mean" if curve else "")
    return net, curve


def _gain(net: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    import torch
    from torch.nn.functional import mse_loss

    with torch.no_grad():
        left = sum(float(mse_loss(net(given), truth)) for given, truth in batches)
        mean = sum(float(mse_loss((given[:, 1:2] + given[:, 2:3]) / 2, truth)) for given, truth in batches)
    return float(10 * np.log10(mean / left))


def _batch(blocks: list[Block], rng: np.random.Generator, device: str) -> tuple[Tensor, Tensor]:
    """(BATCH, 4, CROP, CROP), what the network sees, and (BATCH, 1, CROP, CROP), the truth; flipped, planes swapped."""
    import torch

    given, truth = [], []
    for _ in range(BATCH):
        block = blocks[int(rng.integers(len(blocks)))]
        crop = block.slices[0]
        for _ in range(5):
            row, column = rng.integers(SIDE - CROP + 1, size=2)
            crop = block.slices[rng.integers(len(block.slices)), :, row : row + CROP, column : column + CROP]
            if crop[0].std() > 0.03:
                break
        if rng.random() < 0.5:
            crop = crop[[0, 2, 1, 3]].transpose(0, 2, 1)
        crop = crop[:, :: rng.choice([1, -1]), :: rng.choice([1, -1])]
        coarse: Any = np.full((1, CROP, CROP), (block.factor - 1) / FACTOR_RANGE, np.float32)
        given.append(np.concatenate([crop[:3], coarse]))
        truth.append(crop[3:])
    return torch.from_numpy(np.stack(given)).to(device), torch.from_numpy(np.stack(truth).copy()).to(device)
