"""Models by name or file, ready to super-resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from medsr.core.devices import choose
from medsr.core.errors import UsageError
from medsr.core.resample import Kernel
from medsr.engines.base import Compute, Engine
from medsr.engines.guarded import GuardedEngine
from medsr.engines.model_cache import exported_hash
from medsr.engines.selection import open_engine, reach_of
from medsr.images.network import Interpolation, Model, Network
from medsr.images.strength import Strength
from medsr.networks import checkpoint, weight_store
from medsr.networks.architectures import kind_of
from medsr.networks.bundled import AUTO, MRI, candidates_hash, model_for
from medsr.volumes.slice_models import (
    DEVICE_BATCH_BYTES,
    InterpolatedSlices,
    SliceModel,
    SliceRefiner,
    SliceUpscaler,
    slice_refiner,
)

GB = 1e9


def open_model(
    model: str | Path, compute: Compute = Compute(), tile: int | None = None, consistency: bool = True
) -> Model:
    """`bicubic`, `lanczos`, a name from `medsr weights list`, a weight file (.safetensors, .pth) or an exported model.

    `tile`: side in low-resolution pixels, 0 for one piece, None to fit the memory. `consistency`: of networks, keep the
    input's local means. Raises UsageError or WeightsError.
    """
    for kernel in get_args(Kernel):
        if str(model) == kernel:
            return Interpolation(kernel)
    if str(model) == AUTO:
        raise UsageError("`model=auto`: chooses for `medsr upscale` and `medsr volume`; here, name a model")
    if str(model) in weight_store.RESERVED:
        raise UsageError(f"`model={model}`: is for volumes; for images: {', '.join(get_args(Kernel))}")
    path = _generator(model)
    engine, spec = _open(path, str(model), compute)
    if kind_of(spec.architecture) == "slice" or (spec.scale == 1 and _domain(engine, path)):
        raise UsageError(f"{model}: refines slices of volumes; use medsr volume, or another model")
    return Network(
        str(model) if str(model) in weight_store.entries() else path.name,
        engine,
        spec.scale,
        spec.channels,
        tile,
        _most(compute),
        consistency,
        reach_of(str(model), engine),
        _strength(engine, path),
    )


@dataclass(frozen=True)
class LoadedSliceModel:
    """What refines a scan's slices, and what is known of it. `model` None: plain cubic B-spline.

    `domain`: what the weights were trained for (modality, spacing in mm, factors); empty where the file does not say.
    """

    name: str
    model: SliceModel | None
    sha256: str | None = None
    domain: Mapping[str, Any] = field(default_factory=dict)

    def computed(self) -> dict[str, Any]:
        """Engine and precision, for sidecars; nothing where no network computes."""
        return computed(self.model)

    def take_computed(self) -> dict[str, Any]:
        """As `computed`, with what int8 left to fp32 since it was last taken."""
        return computed(self.model) | take_fp32_share(self.model)


def open_slice_model(model: str | Path, compute: Compute = Compute()) -> LoadedSliceModel:
    """A known name, a weight file, an exported model, `scratch` (an untrained refiner), or a baseline.

    Baselines: `cubic` (B-spline), `back-projected` (the same, made to agree with what was acquired).
    `auto`: the bundled one, which may still turn out not to be for a certain scan (`choice.for_volume`).
    Raises UsageError or WeightsError.
    """
    name = str(model)
    if name == "cubic":
        return LoadedSliceModel(name, None)
    if name == InterpolatedSlices.name:
        return LoadedSliceModel(name, InterpolatedSlices())
    if name in get_args(Kernel):
        raise UsageError(f"`model={name}`: is for images; for volumes: {', '.join(weight_store.VOLUME_BASELINES)}")
    if name == "scratch":
        return LoadedSliceModel(name, untrained(compute.device))
    if name == AUTO:
        model = name = model_for(MRI)
    path = _generator(model)
    engine, spec = _open(path, name, compute)
    domain = _domain(engine, path)
    name = path.name if name not in weight_store.entries() else name
    most = _most(compute)
    if kind_of(spec.architecture) == "slice":
        refiner = slice_refiner(name, engine, spec.architecture, spec.hyperparameters, most or DEVICE_BATCH_BYTES)
        refiner.receptive_radius = reach_of(name, engine) or refiner.receptive_radius
        return LoadedSliceModel(name, refiner, weights_hash(model), domain)
    # Volumes are made consistent as a whole, or asked not to be.
    if getattr(engine, "clips", False):
        raise UsageError(f"{name}: clips at full range, which the brightest voxels exceed; use another model")
    network = Network(name, engine, spec.scale, spec.channels, None, most, False, reach_of(name, engine))
    return LoadedSliceModel(name, SliceUpscaler(network), weights_hash(model), domain)


def _domain(engine: Engine, path: Path) -> Mapping[str, Any]:
    """What scans the weights were trained for, where the file or the exported model says so."""
    domain = _training(engine, path).get("domain", {})
    return domain if isinstance(domain, Mapping) else {}


def _strength(engine: Engine, path: Path) -> Strength | None:
    """What the file says of it, or the manifest of the weights that are in it, whatever their name and form."""
    if (own := _training(engine, path).get("strength")) is not None:
        return Strength.read(own)
    digest = (getattr(engine, "card", None) or {}).get("sha256") or weights_hash(path)
    strengths = [entry.strength for entry in weight_store.entries().values() if entry.sha256 == digest]
    return Strength.read(strengths[0]) if strengths else None


def _training(engine: Engine, path: Path) -> Mapping[str, Any]:
    """What the file or the exported model says of how it was trained."""
    training = (getattr(engine, "card", None) or checkpoint.describe(path)).get("training", {})
    return training if isinstance(training, Mapping) else {}


def untrained(device: str = "auto") -> SliceRefiner:
    """A refiner that returns what it is given: where learning from a scan alone begins."""
    from medsr.engines.torch_engine import TorchEngine

    return SliceRefiner("scratch", TorchEngine(checkpoint.Spec("refiner", 1, 1).build(), choose(device)))


def computed(model: Model | SliceModel | None) -> dict[str, Any]:
    """What computes a model, for sidecars; nothing for interpolation."""
    network = model.network if isinstance(model, SliceUpscaler) else model
    if not isinstance(network, Network | SliceRefiner):
        return {}
    used = network.engine
    compiled = {"compiled": True} if getattr(used, "compiled", False) else {}
    digest = getattr(used, "card", {}).get("int8_sha256")
    calibration = {"int8_sha256": digest} if digest else {}
    return {"engine": used.name, "precision": used.precision} | calibration | compiled


def take_fp32_share(model: Model | SliceModel | None) -> dict[str, float]:
    """The share of the pixels that int8 left to fp32 since it was last taken (`engines.guarded`); empty without any."""
    network = model.network if isinstance(model, SliceUpscaler) else model
    engine = getattr(network, "engine", None)
    share = engine.take_fp32_share() if isinstance(engine, GuardedEngine) else None
    return {} if share is None else {"fp32_share": round(share, 4)}


def weights_hash(model: str | Path) -> str | None:
    """SHA-256 of a model's weight file; None for one without (a baseline); of `auto`, of all it may choose."""
    if str(model) == AUTO:
        return candidates_hash()
    if str(model) in weight_store.RESERVED:
        return None
    return exported_hash(weight_store.locate(model))


def weights_form(model: str | Path) -> dict[str, str]:
    """Where a known name's weights were converted from another form than their publisher's: which, for sidecars."""
    entry = weight_store.entries().get(str(model))
    return {"form": entry.form} if entry is not None and entry.form else {}


def _open(path: Path, name: str, compute: Compute) -> tuple[Engine, checkpoint.Spec]:
    engine, spec = open_engine(path, name, compute)
    if kind_of(spec.architecture) == "fusion":
        raise UsageError(f"{name}: fuses what a model made of two planes; use it with `fuse`")
    return engine, spec


def _generator(model: str | Path) -> Path:
    path = weight_store.locate(model)
    if kind := checkpoint.describe(path).get("discriminator"):
        raise UsageError(f"{model}: holds a {kind} discriminator, not a generator")
    entry = weight_store.entries().get(str(model))
    if entry is not None and entry.role not in ("generator", "fusion"):  # of that, `_open` says what it is for
        raise UsageError(f"{model}: holds a {entry.role}, not a generator")
    return path


def _most(compute: Compute) -> float | None:
    return None if compute.max_gpu_memory is None else compute.max_gpu_memory * GB
