"""Blocks of volumes made thick and refined in both planes: what a fusion network learns from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from medsr.batch.workers import run_jobs, workers
from medsr.core.devices import choose
from medsr.core.errors import UsageError
from medsr.core.threads import threads
from medsr.core.types import Array
from medsr.data.augmentation import random_contrast, random_zoom
from medsr.data.streams import stream
from medsr.data.volumes import load
from medsr.degradation.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.engines.selection import as_stored
from medsr.recipe import Jitter
from medsr.volumes import fusion
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.learned_fusion import third_plane
from medsr.volumes.models import open_slice_model
from medsr.volumes.plane import PlaneRun
from medsr.volumes.refine import Method, planes_for
from medsr.volumes.slice_models import SliceRefiner

SIDE = 96
FACTORS = (2.0, 6.0)
JITTER = Jitter(gain=(0.7, 1.2), offset=(-0.05, 0.05), contrast=0.6)
ZOOM = (0.75, 1.25)
"""Of half of the blocks: sharper and softer than they were."""


@dataclass(frozen=True)
class Block:
    """`slices`: (n, 4, H, W) of the third plane: interpolated, first, second plane's result, ground truth."""

    slices: Array
    factor: float


def make_block(volume: Array, refiner: SliceRefiner, rng: np.random.Generator) -> Block:
    """A piece of a volume in unit values: another contrast, made thick along one axis, refined in both its planes."""
    fine = random_contrast(_piece(volume, rng), JITTER, rng)
    axis = int(rng.integers(3))
    factor = np.exp(rng.uniform(*np.log(FACTORS)))
    coarse = int(np.clip(round(SIDE / factor), SIDE / FACTORS[1], SIDE / FACTORS[0]))
    operator = matrix(SIDE, coarse).astype(np.float32)
    thick = np.ascontiguousarray(np.moveaxis(np.tensordot(operator, fine, (1, axis)), 0, axis))
    acquisition = Acquisition(thick.shape, fine.shape)
    operators = acquisition.consistent()
    volumes = []
    for plane in planes_for(acquisition, Method()):
        whole = fusion.Mean(acquisition.fine)
        for block in PlaneRun(plane, thick, acquisition, operators, refiner, None, False).run():
            whole.add(block.index, block.samples[0])
        volumes.append(whole.total)
    truth = np.moveaxis(fine, axis, 0)
    slices = [
        np.stack([plane_slices.interpolated, plane_slices.first, plane_slices.second, target])
        for plane_slices, target in zip(third_plane(thick, volumes[0], volumes[1], acquisition), truth, strict=True)
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
    flat = np.stack([random_zoom(slice_pixels, SIDE) for slice_pixels in piece])
    return (
        np.stack([random_zoom(pixels, SIDE) for pixels in flat.transpose(1, 0, 2)], axis=1) if side != SIDE else piece
    )


@dataclass(frozen=True)
class BlockMaker:
    """Makes the block of a number, in whatever process: what it draws hangs on seed, number and purpose alone.

    `alone`: whether no other process draws beside this one; else one core is for each.
    """

    paths: tuple[Path, ...]
    model: str | Path
    device: str
    seed: int
    purpose: int
    alone: bool = True

    def __call__(self, index: int) -> Block:
        import torch

        if not self.alone:
            os.environ["OMP_NUM_THREADS"] = "1"  # for engines that are not opened yet
            torch.set_num_threads(1)
        rng = stream(self.seed, index, self.purpose)
        with threadpool_limits(1, user_api="blas"):  # it adds in another order with every number of threads
            volume = _volume(self.paths[int(rng.integers(len(self.paths)))])
            return make_block(volume, refiner_of(self.model, self.device), rng)


def make_blocks(maker: BlockMaker, count: int) -> list[Block]:
    """So many blocks. On a CPU one on every core at a time: a slice alone is little for more than one."""
    at_once = min(count, threads()) if choose(maker.device) == "cpu" else 1
    maker = replace(maker, alone=at_once == 1)
    blocks: dict[str, Block] = {}
    with workers(at_once, "with OMP_NUM_THREADS=1") as pool:
        jobs = {str(index): partial(maker, index) for index in range(count)}
        run_jobs("refining blocks", jobs, pool, lambda key, block: blocks.update({key: block}))
    return [blocks[str(index)] for index in range(count)]


@lru_cache(8)
def _volume(path: Path) -> Array:
    return load(path, SIDE)


@lru_cache(1)
def refiner_of(model: str | Path, device: str) -> SliceRefiner:
    """A refiner by name or file. Raises UsageError for what refines no slices."""
    refiner = open_slice_model(model, as_stored(model, Compute(device))).model
    if not isinstance(refiner, SliceRefiner):
        raise UsageError(f"{model}: refines no slices of volumes")
    return refiner
