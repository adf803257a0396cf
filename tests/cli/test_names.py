"""Names that are not UTF-8, hold line ends, begin with `-`, or are as long as disks take: in the place of any name."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image as Pillow

from medsr.batch import status
from medsr.core.text import shown
from medsr.data import manifest
from tests.helpers.kit import Kit

NAMES = {
    "latin": b"M\xfcller",
    "carriage return": b"a\rb",
    "line end": b"c\nd",
    "tab": b"e\tf",
    "dash": b"-n",
    "spaces": b" s ",
    "escape": b"\x1b[2J",
    "glob": b"[a]*",
    "formula": b"=1+1",
    "turned": "\u202ex".encode(),
    "long": b"l" * 245,
}
CARD = "name: any\ntitle: any\nlicence: mine\nfiles: {image: '{id}.png'}\n"


def _put(kit: Kit, source: str, place: str) -> Path:
    target = kit.work / place
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(kit.folder / source, target))


def _images(kit: Kit, name: str) -> None:
    _put(kit, "eyes/eye.png", f"in/{name}.png")
    _put(kit, "people/bob_L.png", "in/good.png")
    kit.run("upscale", "in", "--out", f"out/{name}", "--model", "bicubic")
    assert {path.name for path in (kit.work / "out" / name).glob("*.png")} == {f"{name}.png", "good.png"}
    rows = status.read(kit.work / "out" / name / "status.tsv")
    assert {row.input for row in rows} == {shown(f"in/{name}.png"), "in/good.png"}
    again = kit.run("upscale", "in", f"--out=out/{name}", "--model", "bicubic", "--skip-done")
    assert again.stdout.count("done before") == 2
    assert kit.run("reproduce", "--", f"out/{name}/upscale.json").stdout.count("\n") == 2
    alone = kit.run("upscale", "--out", "alone", "--model", "bicubic", "--", f"in/{name}.png")
    assert alone.returncode == 0


def _scans(kit: Kit, name: str) -> None:
    _put(kit, "scans/scan.nii.gz", f"in/{name}.nii.gz")
    _put(kit, "scans/scan.nii.gz", "in/good.nii.gz")
    done = kit.run("volume", "in", f"--out=out/{name}", "--model", "cubic", "--report")
    too_long = len(name) > 240
    assert done.returncode == (5 if too_long else 0), done.stderr
    assert (kit.work / "out" / name / "good.nii.gz").is_file()
    if too_long:
        assert "more than 255 bytes; rename the input" in done.stderr
        return
    assert json.loads((kit.work / "out" / name / f"{name}.json").read_text())["output_file"] == f"{name}.nii.gz"
    again = kit.run("volume", "in", f"--out=out/{name}", "--model", "cubic", "--report", "--skip-done")
    assert again.stdout.count("done before") == 2
    assert kit.run("reproduce", "--", f"out/{name}/{name}.json").returncode == 0


def _cohort(kit: Kit, name: str) -> None:
    _put(kit, "eyes/eye.png", f"in/{name}.png")
    done = kit.run("cohort", "upscale", "in", f"--out=out/{name}", "--model", "bicubic")
    assert done.stdout.startswith("1 of 1 done")
    assert kit.run("cohort", "status", "--", f"out/{name}").stdout.startswith("1 of 1 done")
    assert kit.run("cohort", "retry", "--", f"out/{name}").returncode == 0


def _prepare(kit: Kit, name: str) -> None:
    (kit.work / f"{name}.yml").write_text(CARD)
    for person in ("ann", "bob", "cyd"):
        _put(kit, f"people/{person}_L.png", f"in/{name}/{person}.png")
    _put(kit, "people/dan_L.png", f"in/{name}/{name}.png")
    for _ in range(2):
        done = kit.run("prepare", f"--out=out/{name}", "--workers", "1", "--", f"{name}.yml", f"in/{name}")
        assert done.returncode == 0, done.stderr
    rows = manifest.read(kit.work / "out" / name) or []
    assert len({row.id for row in rows if row.file}) == 4
    assert all((kit.work / "out" / name / row.file).is_file() for row in rows)


def _evaluate(kit: Kit, name: str) -> None:
    _put(kit, "people/ann_L.png", f"in/{name}/{name}.png")
    _put(kit, "people/bob_L.png", f"in/{name}/bob.png")
    given = ("evaluate", "folder", f"--data=in/{name}", "--model", "bicubic")
    done = kit.run(*given, f"--out=out/{name}", f"--json=out/{name}.json", "--inputs", "low")
    assert done.returncode == 0, done.stderr
    assert json.loads((kit.work / "out" / f"{name}.json").read_text())["n"] == 2


def _lesions(kit: Kit, name: str) -> None:
    _put(kit, "fundus/eye_0.png", f"in/{name}/{name}.png")
    _put(kit, "fundus/eye_1.png", f"in/{name}/bob.png")
    for image in (name, "bob"):
        mask = Pillow.new("L", (120, 120))
        mask.paste(255, (40, 50, 45, 55))
        mask.save(kit.work / f"in/{name}" / f"{image}_mask.png"[-255:])
    done = kit.run(
        *("evaluate", "lesions", "--kind", "fundus", "--model", "bicubic", "--rounds", 1, f"--data=in/{name}"),
        *(f"--masks=in/{name}", f"--out=out/{name}", f"--json=out/{name}.json"),
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((kit.work / "out" / f"{name}.json").read_text())
    assert facts["n"] == 2
    assert len({lesion["subject"] for lesion in facts["real"]}) == 2


def _model(kit: Kit, name: str) -> None:
    shutil.copy(kit.weights(), kit.work / f"{name}.safetensors"[-255:])
    file = f"{name}.safetensors"[-255:]
    done = kit.run("upscale", kit.folder / "eyes", "--out", "out", "--engine", "torch", f"--model={file}")
    assert done.returncode == 0, done.stderr
    assert kit.run("reproduce", "out/upscale.json").returncode == 0
    assert kit.run("export", "--to", "openvino", f"--out={name}.xml", "--", file).returncode == 0
    done = kit.run("upscale", kit.folder / "eyes", "--out", "two", f"--model={name}.xml")
    assert done.returncode == 0, done.stderr
    assert kit.run("weights", "import", "--name", "mine", "--", file).returncode == 0


def _training(kit: Kit, name: str) -> None:
    for n in range(5):
        _put(kit, f"truth/eye_{n}.png", f"in/{name}/eye_{n}.png")
    _put(kit, "truth/eye_0.png", f"in/{name}/{name}.png")
    _put(kit, "recipe.yml", f"{name}.yml")
    given = ("finetune", f"--data=in/{name}", "--device", "cpu")
    run = f"out/{name}"
    if shown(name).startswith("M\\xfc"):  # TensorBoard takes no such folder
        assert kit.run(*given, f"--out={run}", "--", f"{name}.yml").returncode == 2
        run = "out/run"
    done = kit.run(*given, f"--out={run}", "--", f"{name}.yml")
    assert done.returncode == 0, done.stderr
    done = kit.run("finetune", f"--resume={run}", "--set", "iterations=3", "--device", "cpu")
    assert done.returncode == 0, done.stderr


WAYS = {
    "images": _images,
    "scans": _scans,
    "cohort": _cohort,
    "prepare": _prepare,
    "evaluate": _evaluate,
    "lesions": _lesions,
    "model": _model,
    "training": _training,
}
QUICK = {("images", "long"), ("prepare", "line end")}
EACH = 5
"""So many names are tried in each way, begun where the way before ended: every name comes by three times or more."""


def _cells() -> list[object]:
    turns = itertools.cycle(NAMES)
    cells = QUICK | {(way, next(turns)) for way in WAYS for _ in range(EACH)}
    return [pytest.param(*cell, marks=() if cell in QUICK else pytest.mark.slow) for cell in sorted(cells)]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "name"), _cells())
def test_any_name_does_in_any_place(kit: Kit, way: str, name: str) -> None:
    WAYS[way](kit, os.fsdecode(NAMES[name]))
