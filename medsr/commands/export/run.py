"""`medsr.export`: a model in another format, with its card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.commands.export import openmodeldb
from medsr.commands.export.comparison import Comparison
from medsr.commands.export.cost import Cost
from medsr.core.errors import InputError, UsageError
from medsr.core.resources import home
from medsr.core.suggest import did_you_mean
from medsr.core.types import Notify
from medsr.engines import bf16, bf16_cost, conversion, openvino_engine, speed
from medsr.engines.base import loses_next_to_nothing
from medsr.engines.benchmark_engines import benchmark_engines
from medsr.engines.model_cache import cache_path, exported_hash, keep
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.engines.reach import measure_reach
from medsr.io.files import sha256, write_text
from medsr.networks import checkpoint, spandrel_loader, weight_store
from medsr.networks.architectures import condition_maps, kind_of

if TYPE_CHECKING:
    from torch import nn

    from medsr.engines.base import Engine

SUFFIXES = {"openvino": ".xml", "onnx": ".onnx", "openmodeldb": ".json"}


@dataclass(frozen=True)
class Exported:
    """A written model. `sha256`: of it (of `.xml` and `.bin` together). `card`: what it says of itself."""

    path: Path
    sha256: str
    card: dict[str, Any]


def export(
    model: str | Path,
    to: str,
    *,
    out: str | Path | None = None,
    int8: bool = False,
    calibrate: str | Path | Sequence[str | Path] | None = None,
    bits: int | None = None,
    notify: Notify = lambda _: None,
) -> Exported:
    """Write a model as OpenVINO (`.xml` and `.bin`), ONNX (`.onnx`) or as a card of OpenModelDB (`.json`).

    Args:
        model: A name from `medsr weights list`, or a weight file.
        to: `openvino`, `onnx` or `openmodeldb`.
        out: The file. None, for OpenVINO: where medsr looks for converted models.
        int8: Whether it is quantised. What that costs in PSNR is measured and written into its card.
        calibrate: The folder of images (of networks for volumes: scans) to measure on what int8 and bf16 lose, and to
            calibrate int8 on; several, one for each kind that the model serves, are measured each for itself. Without
            `int8` only bf16 is measured. `precision=auto` takes what loses next to nothing and is faster.
        bits: Bits stored in 16-bit images there that do not say. None: decided once for all, and said.
        notify: Called with each line that a user should read.

    Returns:
        The file, its hash and its card.

    Raises:
        UsageError: An argument is wrong, or int8 loses too much.
        WeightsError: The model cannot be opened.
        InputError: A folder to calibrate on has no two usable images.

    Examples:
        >>> import medsr
        >>> medsr.export("medsr-retina-x2", "openmodeldb", out="card.json").path.name
        'card.json'
    """
    if to not in SUFFIXES:
        raise UsageError(f"`to={to}`: expected one of {', '.join(SUFFIXES)}{did_you_mean(to, SUFFIXES)}")
    folders = [Path(folder) for folder in ([calibrate] if isinstance(calibrate, str | Path) else calibrate or ())]
    if to != "openvino" and folders and not int8:
        raise UsageError("`calibrate`: measures what fewer bits lose in OpenVINO; it needs `to=openvino`")
    if to != "openvino" and (int8 or out is None):
        raise UsageError(f"`to={to}`: is written in fp32, to `out=FILE{SUFFIXES[to]}`")
    if int8 and not folders:
        raise UsageError("`int8`: needs images of the kind the model serves; name their folder with `calibrate=FOLDER`")
    path = weight_store.locate(model)
    if path.suffix in SUFFIXES.values():
        raise UsageError(f"{path}: is exported already; give the weight file")
    digest = sha256(path)
    target = Path(out) if out is not None else cache_path(digest, "int8" if int8 else "fp32")
    if target.suffix != SUFFIXES[to]:
        raise UsageError(f"`out={target}`: expected a name that ends in {SUFFIXES[to]}")
    if to == "openmodeldb":
        published = openmodeldb.card(str(model))
        write_text(target, json.dumps(published, indent=4) + "\n")
        return Exported(target, sha256(target), published)
    conversion.check()
    if to == "openvino":
        openvino_engine.package()
        if int8:  # what is missing is said before minutes of computing
            from medsr.commands.export.quantise import nncf_package

            nncf_package()
        if folders and not int8 and not bf16.available():
            raise UsageError("`calibrate` without `int8`: measures bf16, which this CPU does not compute in")
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    net, spec = checkpoint.load(path)
    if spec.architecture.startswith(spandrel_loader.PREFIX):
        raise UsageError(f"{path}: {spec.architecture}, another project's architecture, which runs in torch only")
    if folders and kind_of(spec.architecture) == "fusion":
        raise UsageError(f"`calibrate`: {model} fuses planes, and stays in fp32")
    training = checkpoint.describe(path).get("training", {})
    card = conversion.card_of(str(model), digest, spec, training if isinstance(training, dict) else {})
    content = conversion.to_onnx(net, spec)
    if to == "onnx":
        if openvino_engine.available():
            card |= _measured(net, conversion.to_openvino(content), card)
        conversion.save_onnx(target, content, card)
        return Exported(target, exported_hash(target), card)
    converted = conversion.to_openvino(content)
    comparison = Comparison.of(converted, card, folders, bits, notify) if folders else None
    if comparison is not None:
        _measure_bf16(converted, comparison, digest, notify)
    if int8 and comparison is not None:
        from medsr.commands.export.quantise import quantise_trunk

        card |= _reach(OpenvinoEngine(converted, card), card)  # of fp32: rounding in int8 may differ at any distance
        converted, report = quantise_trunk(converted, comparison, notify)
        card |= {"precision": "int8", **report}
    else:
        card |= _measured(net, converted, card)
    if out is None:
        keep(target, converted, card)
        speed.forget(digest)
        if int8:
            unasked = loses_next_to_nothing(card["measured"])
            use = "taken from now on where it is faster" if unasked else "taken with `precision=int8` alone"
            notify(f"int8: {use}")
    else:
        conversion.save_openvino(target, converted, card)
    return Exported(target, exported_hash(target), card)


def _measure_bf16(model: Any, comparison: Comparison, digest: str, notify: Notify) -> None:
    """What the network loses in bf16, where this CPU computes in it: said, and kept for `precision=auto`."""
    if not bf16.available():
        return
    try:
        engine = bf16.bf16_engine(model, comparison.card)
    except UsageError as error:  # without a trunk that medsr knows
        notify(str(error))
        return
    worst = Cost.worst(comparison.costs(engine))
    use = "taken from now on where it is faster" if worst.good_unasked else "taken with `precision=bf16` alone"
    try:
        bf16_cost.record(digest, worst.loss_db, worst.largest_difference)
        speed.forget(digest)
    except OSError as error:
        use = f"not kept, so taken with `precision=bf16` alone ({home()}: {error.strerror})"
    notify(f"bf16: {worst}; {use}")


def _measured(net: nn.Module, model: Any, card: dict[str, Any]) -> dict[str, Any]:
    return benchmark_engines(net, model, card) | _reach(OpenvinoEngine(model, card), card)


def _reach(engine: Engine, card: dict[str, Any]) -> dict[str, Any]:
    spec = card["spec"]
    reach = measure_reach(engine, spec["channels"], condition_maps(spec["architecture"]), spec["scale"])
    return {} if reach is None else {"reach": reach}
