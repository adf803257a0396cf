"""Generators in files: ours (safetensors that say everything) and the official `.pth` form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import WeightsError
from medsr.core.text import reason
from medsr.core.version import __version__
from medsr.io.files import utf8_name, write_checked
from medsr.networks import spandrel_loader
from medsr.networks.architectures import ARCHITECTURES, kind_of
from medsr.networks.state_dicts import MOST_TENSORS, PLAIN_OBJECTS, Role, plain_names, read_pth, rrdb_names

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "medsr-1"
LARGEST = 4096
"""No network of ours has more channels, blocks or features: a file that says so is not built."""


@dataclass(frozen=True)
class Spec:
    """What rebuilds a generator. `hyperparameters` are the keyword arguments of its builder, all of them.

    Files written before a size could be set do not name it: it has its default.
    """

    architecture: str
    scale: int
    channels: int
    hyperparameters: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if entry := ARCHITECTURES.get(self.architecture):
            object.__setattr__(self, "hyperparameters", {**entry.sizes, **self.hyperparameters})

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {size}" for name, size in self.hyperparameters.items())
        words = f"{self.architecture} x{self.scale} of {self.channels} channel{'s' * (self.channels > 1)}"
        return f"{words} ({sizes})" if sizes else words

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        return ARCHITECTURES[self.architecture].build(self.scale, self.channels, **self.hyperparameters)


def save(path: Path, state: Mapping[str, Tensor], spec: Spec, training: Mapping[str, Any] | None = None) -> None:
    """Write weights with the metadata that rebuild the network: whole or not at all, read back.

    Key names stay those of the upstream network, so other programs load the file too.
    """
    _write(
        path, state, {"format": FORMAT, "spec": json.dumps(asdict(spec)), "training": json.dumps(dict(training or {}))}
    )


def save_discriminator(path: Path, state: Mapping[str, Tensor], name: str) -> None:
    """Write a discriminator's weights, for another run to start from: whole or not at all, read back."""
    _write(path, state, {"format": FORMAT, "discriminator": name})


def _write(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    from safetensors.torch import save as pack

    tensors = {name: tensor.detach().float().contiguous().cpu().clone() for name, tensor in state.items()}
    write_checked(path, _in_order(pack(tensors, {"medsr_version": __version__, **metadata})))


def _in_order(packed: bytes) -> bytes:
    """The same file with its metadata in alphabetical order: safetensors writes it in another one every time."""
    length = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format's alignment
    return len(text).to_bytes(8, "little") + text + packed[8 + length :]


def load(path: Path) -> tuple[nn.Module, Spec]:
    """Read a generator, ready for inference, with what it is.

    Takes our safetensors, and files of `torch.save` however their tensors are wrapped, the latter only ever as tensors
    (`weights_only`): a pickle that wants to run code is refused. ESRGAN's old names become RRDBNet's; architectures
    that are not ours load through spandrel. Raises WeightsError naming the file.
    """
    state, metadata = read_state(path)
    if _is_foreign(metadata, state):
        net, name, scale, channels = spandrel_loader.load(state, path)
        return net.eval().requires_grad_(False), Spec(spandrel_loader.PREFIX + name, scale, channels)
    spec = _spec_from(metadata, state, path)
    try:
        _check_shapes(spec, state, path)
        net = spec.build()
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise WeightsError(f"{path}: its metadata names no network that can be built: {reason(error)}") from error
    try:
        net.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        message = reason(error, *net.state_dict())
        raise WeightsError(f"{path}: the weights do not fit a {spec.architecture} generator: {message}") from error
    return net.eval().requires_grad_(False), spec


def _check_shapes(spec: Spec, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise WeightsError before any memory is taken for a network that the file cannot fill."""
    import torch

    layers = math.prod(spec.hyperparameters.get(name, 1) for name in ("blocks", "units", "dense", "convs"))
    if layers > len(state):
        raise WeightsError(f"{path}: holds {len(state)} tensors, too few for {layers} layers")
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in spec.build().state_dict().items()}
    for name, shape in expected.items():
        if name not in state or state[name].shape != shape:
            stored_shape = tuple(state[name].shape) if name in state else "no such tensor"
            raise WeightsError(
                f"{path}: the weights do not fit a {spec.architecture} generator: {name} should be {tuple(shape)}, "
                f"found {stored_shape}"
            )


def read_state(path: Path, role: Role = "generator") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a weight file under the network's own names, and its metadata (empty for `.pth`).

    `role`: which network, of a file that holds both. Raises WeightsError.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file")
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
        if head[8:9] == b"{":
            from safetensors import safe_open

            with utf8_name(path) as link, safe_open(link, framework="pt") as file:
                if (count := len(file.keys())) > MOST_TENSORS:
                    raise WeightsError(f"{path}: holds {count} tensors, more than any network has")
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = dict(file.metadata() or {})
        else:
            state, metadata = read_pth(path, role), {}
    except WeightsError:
        raise
    except Exception as error:  # the two readers raise a dozen types on damaged files
        raise WeightsError(f"{path}: damaged, or holds more than weights; {PLAIN_OBJECTS}") from error
    if metadata.get("format") != FORMAT:
        state = plain_names(state, role)
        state = rrdb_names(state) or state
    return state, metadata


def describe(path: Path) -> dict[str, Any]:
    """The metadata of one of our files without loading its weights; empty for other files."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > 1 << 20:
            return {}
        try:
            metadata = json.loads(stream.read(length)).get("__metadata__", {})
            return {key: json.loads(text) if text.startswith("{") else text for key, text in metadata.items()}
        except (ValueError, UnicodeDecodeError, AttributeError, RecursionError):
            return {}


def spec_of(described: Any, path: Path) -> Spec:
    """What the metadata of one of our files say, as text or as `describe` gives it. Raises WeightsError."""
    try:
        spec = Spec(**(json.loads(described) if isinstance(described, str) else described))
        sizes = [spec.scale, spec.channels, *spec.hyperparameters.values()]
        if not all(isinstance(size, int) and 0 < size <= LARGEST for size in sizes):
            raise ValueError(f"sizes {sizes}")
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata is damaged: {reason(error)}") from error
    if kind_of(spec.architecture) in (None, "discriminator"):
        raise WeightsError(f"{path}: made for an architecture that this medsr does not know; try a newer medsr")
    return spec


def is_foreign(path: Path) -> bool:
    """Whether a weight file holds another architecture than ours. Raises WeightsError."""
    if describe(path).get("format") == FORMAT:
        return False
    state, metadata = read_state(path)
    return _is_foreign(metadata, state)


def _is_foreign(metadata: Mapping[str, str], state: Mapping[str, Tensor]) -> bool:
    return metadata.get("format") != FORMAT and "body.0.rdb1.conv1.weight" not in state


def _spec_from(metadata: Mapping[str, str], state: Mapping[str, Tensor], path: Path) -> Spec:
    if metadata.get("format") == FORMAT:
        if "discriminator" in metadata:
            name = metadata["discriminator"]
            prefix = f"{name} " if kind_of(name) == "discriminator" else ""
            raise WeightsError(f"{path}: holds a {prefix}discriminator, not a generator")
        return spec_of(metadata.get("spec"), path)
    return rrdb_spec(state, path)


def rrdb_spec(state: Mapping[str, Tensor], path: Path) -> Spec:
    """Read an RRDBNet's hyper-parameters from the shapes of its weights."""
    try:
        features, inputs = state["conv_first.weight"].shape[:2]
        channels = state["conv_last.weight"].shape[0]
        growth = state["body.0.rdb1.conv1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"{path}: not an RRDB generator (no {error})") from error
    folds = {1: 4, 4: 2, 16: 1}
    if inputs % channels or inputs // channels not in folds:
        raise WeightsError(f"{path}: {inputs} inputs for {channels} outputs fit no RRDB generator of scale 1, 2 or 4")
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    hyperparameters = {"features": int(features), "blocks": blocks, "growth": int(growth)}
    return Spec("rrdb", folds[inputs // channels], int(channels), hyperparameters)
