"""The bundled models in bf16 and int8, measured; int8 is kept where it loses so little that nobody need ask for it.

    python benchmarks/quantise_bundled.py --kind fundus FOLDER [FOLDER ...] --kind chest FOLDER [FOLDER ...]
    python benchmarks/quantise_bundled.py --precision bf16 --kind mri FOLDER [FOLDER ...]

FOLDER: images or scans of one kind that the models serve. Half of each calibrates, the other half measures. Of every
model with that purpose this writes `pretrained/NAME.int8.xml` and `.bin`, and `int8_sha256` into the manifest. It takes
them away where int8 loses more than `medsr.engines.base` allows for `precision=auto`, or too little of the model is in
int8. What bf16 loses goes into the manifest as well, on a CPU that computes in it; with less `auto` takes it.
Prints the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import medsr
from medsr.commands.export.comparison import Comparison
from medsr.commands.export.cost import Cost
from medsr.core.errors import MedsrError
from medsr.core.resources import resource_dir
from medsr.engines import bf16, openvino_engine
from medsr.engines.int8 import good_unasked
from medsr.networks import weight_store

MOST_IN_FP32 = 6
"""Layers of the 30 of a compact RRDB's trunk: with more of them in fp32 next to nothing is gained."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", nargs="+", required=True, metavar=("KIND", "FOLDER"))
    parser.add_argument("--model", action="append", help="Only these models.")
    parser.add_argument("--precision", choices=("bf16", "int8"), help="Only this one.")
    arguments = parser.parse_args()
    print("| | images | layers in fp32 | PSNR lost | on the worst image | furthest pixel, of full range | shipped |")
    print("|---|---|---|---|---|---|---|")
    for kind, *folders in arguments.kind:
        for name, entry in weight_store.entries().items():
            if entry.suits != kind or (arguments.model and name not in arguments.model):
                continue
            if arguments.precision != "int8" and bf16.available():
                measure_bf16(name, [Path(folder) for folder in folders])
            if arguments.precision != "bf16":
                quantise(name, [Path(folder) for folder in folders])


def measure_bf16(name: str, folders: list[Path]) -> None:
    """What a model loses in bf16: its line of the manifest, and its lines of the table."""
    model, card = openvino_engine.read(weight_store.get(name).path.with_suffix(".onnx"))
    costs = Comparison.of(model, card, folders, None, say).costs(bf16.bf16_engine(model, card))
    worst = Cost.worst(costs)
    for folder, cost in zip(folders, costs, strict=True):
        row(f"`{name}` in bf16, {folder.name}", asdict(cost), "all but the trunk's", worst.good_unasked)
    loss_db, largest_difference = round(max(0, worst.loss_db), 4), round(worst.largest_difference, 4)
    note(name, "bf16", f"{{loss_db: {loss_db}, largest_difference: {largest_difference}}}")


def row(what: str, cost: Mapping[str, Any], in_fp32: object, shipped: bool) -> None:
    """A line of the table."""
    print(
        f"| {what} | {cost['images']} | {in_fp32} | {max(0, cost['loss_db']):.3f} dB | "
        f"{max(0, cost['worst_loss_db']):.3f} dB | {cost['largest_difference']:.2%} | {'yes' if shipped else 'no'} |",
        flush=True,
    )


def quantise(name: str, folders: list[Path]) -> None:
    """One model: its files, its line of the manifest, and its lines of the table."""
    target = resource_dir("pretrained") / f"{name}.int8.xml"
    try:
        done = medsr.export(name, "openvino", out=target, int8=True, calibrate=folders, notify=say)
    except MedsrError as error:
        say(f"{name}: {error}")
        drop(target)
        return
    shipped = good_unasked(done.card) and done.card["calibration"]["fp32_layers"] <= MOST_IN_FP32
    for folder, cost in zip(folders, done.card["measured"]["folders"], strict=True):
        row(f"`{name}`, {folder.name}", cost, done.card["calibration"]["fp32_layers"], shipped)
    if shipped:
        note(name, "int8_sha256", done.sha256)
    else:
        drop(target)


def drop(target: Path) -> None:
    """Take a model in int8 away."""
    for path in (target, target.with_suffix(".bin")):
        path.unlink(missing_ok=True)
    note(target.name.removesuffix(".int8.xml"), "int8_sha256", None)


def note(name: str, field: str, value: str | None) -> None:
    """Write a field of the model into the manifest, or take it out."""
    manifest = resource_dir("pretrained") / "manifest.yml"
    text = manifest.read_text(encoding="utf-8")
    begin = text.index(f"  - name: {name}\n")
    end = text.find("  - name: ", begin + 1)
    entry = text[begin:] if end < 0 else text[begin:end]
    changed = re.sub(rf"    {field}: .*\n", "", entry)
    if value:
        changed = re.sub(r"(    onnx_sha256: .*\n)", rf"\1    {field}: {value}\n", changed)
    manifest.write_text(text.replace(entry, changed), encoding="utf-8")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
