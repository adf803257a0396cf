"""The bundled models in int8, made, measured and kept where they lose so little that nobody need ask for them.

    python benchmarks/quantise_bundled.py --kind fundus FOLDER [FOLDER ...] --kind chest FOLDER [FOLDER ...]

FOLDER: images of one kind that the models serve. Half of each calibrates, the other half measures. Of every model with
that purpose this writes `pretrained/NAME.int8.xml` and `.bin`, and `int8_sha256` into the manifest. It takes them away
where int8 loses more than `medsr.engines.base` allows for `precision=auto`, or too little of the model is in int8.
Prints the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import medsr
from medsr.core.errors import MedsrError
from medsr.core.resources import resource_dir
from medsr.engines.int8 import good_unasked
from medsr.networks import weight_store

MOST_IN_FP32 = 6
"""Layers of the 30 of a compact RRDB's trunk: with more of them in fp32 next to nothing is gained."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", nargs="+", required=True, metavar=("KIND", "FOLDER"))
    parser.add_argument("--model", action="append", help="Only these models.")
    arguments = parser.parse_args()
    print("| | images | layers in fp32 | PSNR lost | on the worst image | furthest pixel, of full range | shipped |")
    print("|---|---|---|---|---|---|---|")
    for kind, *folders in arguments.kind:
        for name, entry in weight_store.entries().items():
            if entry.suits == kind and (not arguments.model or name in arguments.model):
                quantise(name, [Path(folder) for folder in folders])


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
        print(
            f"| `{name}`, {folder.name} | {cost['images']} | {done.card['calibration']['fp32_layers']} | "
            f"{max(0, cost['loss_db']):.3f} dB | {max(0, cost['worst_loss_db']):.3f} dB | "
            f"{cost['largest_difference']:.2%} | {'yes' if shipped else 'no'} |",
            flush=True,
        )
    if shipped:
        note(name, done.sha256)
    else:
        drop(target)


def drop(target: Path) -> None:
    """Take a model in int8 away."""
    for path in (target, target.with_suffix(".bin")):
        path.unlink(missing_ok=True)
    note(target.name.removesuffix(".int8.xml"), None)


def note(name: str, digest: str | None) -> None:
    """Write the hash into the manifest, or take it out."""
    manifest = resource_dir("pretrained") / "manifest.yml"
    text = manifest.read_text(encoding="utf-8")
    begin = text.index(f"  - name: {name}\n")
    end = text.find("  - name: ", begin + 1)
    entry = text[begin:] if end < 0 else text[begin:end]
    changed = re.sub(r"    int8_sha256: .*\n", "", entry)
    if digest:
        changed = re.sub(r"(    onnx_sha256: .*\n)", rf"\1    int8_sha256: {digest}\n", changed)
    manifest.write_text(text.replace(entry, changed), encoding="utf-8")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
