"""Tensors by name, out of whatever a training program wrapped them in."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medsr.core.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

Role = Literal["generator", "discriminator"]
DEEPEST = 6
"""Dictionaries within dictionaries that are opened."""
AVERAGED: tuple[str, ...] = (
    "params_ema",
    "params-ema",
    "ema_model",
    "model_ema",
    "net_g_ema",
    "netG_ema",
    "g_ema",
    "generator_ema",
)
AVERAGED += ("ema_state_dict", "state_dict_ema", "ema", "shadow")
WHOLE = ("params", "state_dict", "model_state_dict", "model", "net", "network", "weights", "module")
GENERATORS = ("net_g", "netG", "generator", "generator_state_dict", "gen", "G", "g")
DISCRIMINATORS = ("net_d", "netD", "discriminator", "discriminator_state_dict", "disc", "D", "d")
MOST_TENSORS = 50_000
MOST_SHARED = 4
"""Times the numbers in the file that its tensors may hold: some networks use one tensor twice."""
PLAIN_OBJECTS = "medsr opens only what is safe to open"


def read_pth(path: Path, role: Role = "generator") -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote: of the generator (averaged ones first) or of the discriminator.

    Read as tensors alone (`weights_only`), and NumPy's numbers; nothing that could run code is opened. Raises
    WeightsError that says what else the file is.
    """
    import torch

    _refuse_programs(path)
    try:
        with torch.serialization.safe_globals(_numbers()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if (match := re.search(r"(?:GLOBAL|global:?|class) ([\w.]+)", str(error))) is not None:
            raise WeightsError(
                f"{path}: holds more than weights ({match[1][:80]}); {PLAIN_OBJECTS}. Save the tensors alone: "
                "torch.save(model.state_dict(), FILE)"
            ) from error
        raise
    state = _tensors(content, role)
    if state is None:
        raise WeightsError(f"{path}: holds no network weights (expected 'params_ema', 'params' or bare tensors)")
    if len(state) > MOST_TENSORS:
        raise WeightsError(f"{path}: holds {len(state)} tensors, more than any network has")
    for tensor in state.values():  # one number with a stride of 0 would stand for gigabytes
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path}: one of its tensors claims more numbers than the file holds")
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in state.values()}
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > MOST_SHARED * sum(storages.values()) + (1 << 20):  # a copy of each would fill the memory
        raise WeightsError(f"{path}: its tensors claim more numbers than the file holds, as most of them are shared")
    return plain_names(state, role)


def plain_names(state: Mapping[str, Tensor], role: Role = "generator") -> dict[str, Tensor]:
    """The network's own names: without what wrappers (DataParallel, torch.compile, Lightning) put before them.

    Where networks lie side by side under such prefixes, the one of that role is taken, averaged ones first.
    """
    names = {str(name).replace("_orig_mod.", ""): tensor for name, tensor in state.items()}
    for _ in range(DEEPEST):
        inner = _below_prefix(names, role)
        if inner is None:
            break
        names = inner
    return names


def _below_prefix(state: Mapping[str, Tensor], role: Role) -> dict[str, Tensor] | None:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = tensor
    for prefix in _preferred(role):
        inner = groups.get(prefix)
        # `model.0.weight` is a name of ESRGAN's own; LitEma writes names without points
        if inner and not any(name[0].isdigit() for name in inner) and any("." in name for name in inner):
            return inner
    return None


def _preferred(role: Role) -> tuple[str, ...]:
    if role == "discriminator":
        return (*DISCRIMINATORS, *WHOLE)
    return (*AVERAGED, *GENERATORS, *WHOLE)


def _tensors(content: Any, role: Role, depth: int = 0) -> dict[str, Tensor] | None:
    """The dictionary of tensors within dictionaries; None where there is none."""
    import torch

    if not isinstance(content, Mapping) or not content or depth > DEEPEST:
        return None
    for key in _preferred(role):
        if isinstance(content.get(key), Mapping) and (state := _tensors(content[key], role, depth + 1)):
            return state
    if all(torch.is_tensor(value) for value in content.values()):
        return {str(name): tensor for name, tensor in content.items()}
    inner = [value for value in content.values() if isinstance(value, Mapping)]
    return _tensors(inner[0], role, depth + 1) if len(content) == 1 and inner else None


def _refuse_programs(path: Path) -> None:
    """Raise WeightsError for TorchScript: a program, of which only its own loader knows the tensors.

    And for a zip that unpacks to much more than itself: PyTorch packs nothing, and weights pack badly.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        inside = [name.partition("/")[2] for name in archive.namelist()]
        whole = sum(member.file_size for member in archive.infolist())
    if whole > 4 * path.stat().st_size + (1 << 20) or len(inside) > 2 * MOST_TENSORS:
        raise WeightsError(f"{path}: would unpack to {whole / 1e6:.0f} MB in {len(inside)} parts; not opened")
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        raise WeightsError(
            f"{path}: a TorchScript program, not weights; {PLAIN_OBJECTS}. Save its tensors where you trust it: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )


def _numbers() -> list[Any]:
    """What a pickled NumPy number is made of, under the names of NumPy 1 and 2. Arrays are not among them."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    types = [type(np.dtype(code)) for code in ("?", *np.typecodes["AllInteger"], *np.typecodes["Float"])]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *dict.fromkeys(types)]


_LAYERS = ("conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")
_OLD_LAYERS = {name: name for name in _LAYERS}
_OLD_LAYERS |= {"trunk_conv": "conv_body", "upconv1": "conv_up1", "upconv2": "conv_up2", "HRconv": "conv_hr"}
_OLD_LAYERS |= dict(
    zip(("model.0", "model.3", "model.6", "model.8", "model.10"), (_LAYERS[0], *_LAYERS[2:]), strict=True)
)
_OLD_BLOCK = re.compile(r"(?:model\.1\.sub|RRDB_trunk)\.(\d+)\.(?:RDB|rdb)(\d)\.conv(\d)(?:\.0)?")


def rrdb_names(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """ESRGAN's weights under RRDBNet's names; None where they are no such network, or not one RRDBNet computes.

    Known are the names of ESRGAN's first code (`model.0.weight`) and of BSRGAN's (`RRDB_trunk`, `HRconv`). RRDBNet
    enlarges twice, and folds pixels before for smaller scales; ESRGAN's networks that enlarge once are not RRDBNets.
    """
    blocks = {int(m[1]) for name in state if (m := re.match(r"model\.1\.sub\.(\d+)\.RDB", name))}
    trunk_end = f"model.1.sub.{len(blocks)}"
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if block := _OLD_BLOCK.fullmatch(layer):
            layer = "body.{}.rdb{}.conv{}".format(*block.groups())
        elif blocks and layer == trunk_end:
            layer = "conv_body"
        else:
            layer = _OLD_LAYERS.get(layer, "")
        new = f"{layer}.{kind}"
        if not layer or new in renamed:
            return None
        renamed[new] = tensor
    layers = {name.rpartition(".")[0] for name in renamed}
    return renamed if layers.issuperset(_OLD_LAYERS.values()) and "body.0.rdb1.conv1" in layers else None
