"""`medsr weights fusion`: train the network that fuses what a refiner made of two planes (see `networks.fuser`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.batch.progress import progress
from medsr.core.devices import choose
from medsr.core.errors import TrainingError, UsageError
from medsr.core.threads import bound_torch
from medsr.data.streams import stream
from medsr.data.volumes import split
from medsr.degradation.thick_slices import FACTOR_RANGE
from medsr.networks import checkpoint
from medsr.recipe import Data
from medsr.training.fusion_patches import SIDE, Block, BlockMaker, make_blocks, refiner_of
from medsr.volumes.learned_fusion import ARCHITECTURE
from medsr.volumes.models import weights_hash

if TYPE_CHECKING:
    from torch import Tensor, nn

CROP, BATCH = 64, 16
RATE, CLIP, EVERY = 1e-3, 0.5, 200
SHARES = (0.6, 0.7, 0.8, 0.9, 1.0)
KEPT = 0.97
"""Of the gain: the least share of the correction that keeps so much of it is taken. On scans of other scanners the
network is wrong more often, and a smaller correction is then less wrong."""
_BLOCKS, _HELD_OUT, _CROPS = 2_000_001, 2_000_002, 2_000_003


@dataclass(frozen=True)
class FusionSettings:
    """`blocks` of 96 voxels a side are refined in both planes, then learned from for `iterations` of 16 crops."""

    blocks: int = 80
    iterations: int = 3000
    features: int = 32
    depth: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.blocks, self.iterations, self.features, self.depth) < 1:
            raise UsageError("`blocks` and `iterations`: expected whole numbers from 1")


def train(
    model: str | Path, data: str | Path, validation: float | str, out: Path, how: FusionSettings, device: str
) -> float:
    """Train a fusion network for the refiner `model` on the isotropic volumes in `data`, and write it to `out`.

    Returns its gain over the plain mean, dB, on blocks of the volumes that `validation` sets apart (a fraction or a
    pattern). Raises UsageError for a model that refines no slices or a folder without volumes, TrainingError when a
    loss is not finite.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"`out={out}`: expected a name that ends in .safetensors")
    if not out.parent.is_dir():
        raise UsageError(f"`out={out}`: there is no folder {out.parent}")
    if not isinstance(validation, str) and not 0 < validation < 1:
        raise UsageError(f"`validation={validation:g}`: expected a fraction between 0 and 1, or a pattern of names")
    bound_torch()
    refiner_of(model, device)
    parts = split(Data(train=str(data), validation=validation), SIDE, how.seed)
    if not parts.held_out:
        raise UsageError("`validation`: sets no volume apart")
    paths = tuple(source.path for source in parts.train)
    blocks = make_blocks(BlockMaker(paths, model, device, how.seed, _BLOCKS), how.blocks)
    others = make_blocks(BlockMaker(parts.held_out, model, device, how.seed, _HELD_OUT), max(1, how.blocks // 8))
    spec = checkpoint.Spec(ARCHITECTURE, 1, 1, {"features": how.features, "blocks": how.depth})
    unseen = [_batch(others, stream(how.seed, index, _HELD_OUT + 10), choose(device)) for index in range(8)]
    net, curve = _learn(spec, blocks, unseen, how, choose(device))
    share, gain = _weaken(net, unseen)
    learned = {"curve": curve, "share": share, "gain": gain, "volumes": len(parts.train)}
    checkpoint.save(out, net.state_dict(), spec, {"fuses": weights_hash(model)} | learned | asdict(how))
    return gain


def _learn(
    spec: checkpoint.Spec, blocks: list[Block], unseen: list[tuple[Tensor, Tensor]], how: FusionSettings, device: str
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """The network, and (iteration, gain over the mean in dB on `unseen`) along its way."""
    import torch
    from torch.nn.functional import l1_loss

    torch.manual_seed(how.seed)
    net = spec.build().to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.iterations)
    curve: list[tuple[int, float]] = []
    with progress("learning to fuse", how.iterations) as update:
        for iteration in range(1, how.iterations + 1):
            inputs, truth = _batch(blocks, stream(how.seed, iteration, _CROPS), device)
            loss = l1_loss(net(inputs), truth)
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


def _weaken(net: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Leave of the correction the least share that keeps its gain; that share, and the gain with it (dB, 3 digits)."""
    import torch

    last: Any = net.conv_last
    whole = [parameter.detach().clone() for parameter in last.parameters()]

    def gain_with(share: float) -> float:
        with torch.no_grad():
            for parameter, value in zip(last.parameters(), whole, strict=True):
                parameter.copy_(share * value)
        return _gain(net, batches)

    gains = {share: gain_with(share) for share in SHARES}
    best = max(gains.values())
    share = next(share for share in SHARES if gains[share] >= min(best, KEPT * best))
    return share, round(gain_with(share), 3)


def _gain(net: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    import torch
    from torch.nn.functional import mse_loss

    with torch.no_grad():
        error = sum(float(mse_loss(net(inputs), truth)) for inputs, truth in batches)
        mean = sum(float(mse_loss((inputs[:, 1:2] + inputs[:, 2:3]) / 2, truth)) for inputs, truth in batches)
    return float(10 * np.log10(mean / error))


def _batch(blocks: list[Block], rng: np.random.Generator, device: str) -> tuple[Tensor, Tensor]:
    """(BATCH, 4, CROP, CROP), what the network sees, and (BATCH, 1, CROP, CROP), the truth; flipped, planes swapped."""
    import torch

    inputs, truth = [], []
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
        inputs.append(np.concatenate([crop[:3], coarse]))
        truth.append(crop[3:])
    return torch.from_numpy(np.stack(inputs)).to(device), torch.from_numpy(np.stack(truth).copy()).to(device)
