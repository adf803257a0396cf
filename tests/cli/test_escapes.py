"""Escape sequences in names, cards, archives, recipes, weights and UIDs reach neither terminal nor table nor page."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from medsr.networks import checkpoint
from tests.helpers.cards import CARD
from tests.helpers.dicom import slice_of
from tests.helpers.lesions import photograph
from tests.helpers.processes import ALL_IN_TURN
from tests.helpers.recipes import PLAIN

EVIL = "[red]x\x1b]0;owned\x07\x1b[31m\x9b31m\r\u202e"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
COMMANDS = {
    "upscale": "upscale in/eyes --model bicubic --out out/upscale",
    "volume": "volume in/scans --model cubic --report --out out/volume",
    "series": "volume in/series --model cubic --out out/series",
    "prepare": "prepare in/card.yml in/data.zip --out out/prepare",
    "cohort": "cohort upscale in/eyes --model bicubic --out out/cohort --workers 1",
    "evaluate": "evaluate folder --data in/eyes --model bicubic --out out/evaluate",
    "lesions": "evaluate lesions --kind fundus --data in/fundus --masks in/fundus --model bicubic --out out/lesions",
    "reproduce": "reproduce in/upscale.json",
    "recipe": "finetune in/keys.yml --out out/keys",
    "info": "info in/own.safetensors",
    "import": "weights import in/own.safetensors --name EVIL",
    "own": "upscale in/eyes --model in/own.safetensors --out out/own",
    "domain": "volume in/scans --model in/own.safetensors --report --out out/domain",
    "export": "export in/own.safetensors --to openmodeldb --out out/export/card.json",
    "finetune": "finetune in/recipe.yml --data in/eyes --device cpu --out out/finetune",
    "compare": "compare in/recipe.yml in/other.yml --data in/eyes --device cpu --minutes 0 --out out/compare",
}
QUICK = ("upscale", "series", "prepare", "reproduce", "recipe")


@pytest.fixture
def inputs(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything a stranger may have written, with escape sequences wherever text may stand."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "in"
    for name in ("eyes", "scans", "series", "fundus"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        pixels = rng.integers(0, 255, (64, 66, 3)).astype(np.uint8)
        Pillow.fromarray(pixels).save(folder / "eyes" / f"{number}{EVIL}.png")
        slice_of(number).save_as(folder / "series" / f"{number}{EVIL}.dcm", enforce_file_format=True)
    for number in range(2):
        pixels = np.rint(photograph(number, 120) * 255).astype(np.uint8)
        Pillow.fromarray(pixels).save(folder / "fundus" / f"{number}{EVIL}.png")
        Pillow.fromarray(np.eye(120, dtype=np.uint8)).save(folder / "fundus" / f"{number}{EVIL}_mask.png")
    (folder / "fundus" / f"broken{EVIL}.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "eyes" / f"broken{EVIL}.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    voxels = rng.integers(0, 1000, (12, 13, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])), folder / "scans" / f"scan{EVIL}.nii")
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for path in sorted((folder / "eyes").iterdir()):
            archive.write(path, f"set{EVIL}/{path.name}")
    card = yaml.safe_load(CARD) | {"title": f"title{EVIL}", "licence": f"mine{EVIL}"}
    card["files"] = {"image": "{subject:.+}.png"}
    (folder / "card.yml").write_text(yaml.safe_dump(card))
    recipe = PLAIN | {"data": PLAIN["data"] | {"validation": 0.4}, "iterations": 2}
    for name in ("recipe", "other"):
        (folder / f"{name}.yml").write_text(yaml.safe_dump(recipe | {"name": f"{name}{EVIL}[/]"}))
    (folder / "keys.yml").write_text(f"name: a\n{json.dumps(EVIL)}: 1\n")
    sidecar = {"tool": "medsr", "version": EVIL, "command": "upscale", "results": {}}
    (folder / "upscale.json").write_text(json.dumps(sidecar))
    net, spec = checkpoint.load(tiny_model)
    told = {"domain": {"modality": f"MRI{EVIL}", "spacing": [0.1, 0.2]}, "recipe": {"name": EVIL}, "data": EVIL}
    checkpoint.save(folder / "own.safetensors", net.state_dict(), spec, told)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(names: tuple[str, ...]) -> list[str]:
    return [COMMANDS[name].replace("EVIL", EVIL.replace("\r", "")) for name in names]


@pytest.mark.parametrize(
    "names", [QUICK, pytest.param(tuple(set(COMMANDS) - set(QUICK)), marks=pytest.mark.slow)], ids=["quick", "others"]
)
def test_no_command_passes_an_escape_on(inputs: Path, names: tuple[str, ...]) -> None:
    call = [sys.executable, "-c", ALL_IN_TURN, *lines(names)]
    done = subprocess.run(call, capture_output=True, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, err
    assert out.count("ended with") == len(names)
    assert "bug in medsr" not in err
    for text in (out, err):
        assert "owned" in text
        assert not FORBIDDEN.search(text), [line for line in text.split("\n") if FORBIDDEN.search(line)][:5]
    written = [path for path in (inputs / "out").rglob("*") if path.is_file()]
    assert written
    for path in written:
        if path.suffix in (".tsv", ".csv", ".html", ".md", ".yml", ".json", ".jsonl", ".sh", ".txt"):
            found = FORBIDDEN.search(path.read_bytes().decode("utf-8"))
            assert not found, (path, found)


def test_a_bar_on_a_terminal_shows_names_as_they_are() -> None:
    """Neither as escapes nor as rich's markup."""
    script = (
        "import sys; from medsr.batch.progress import progress\n"
        "with progress(sys.argv[1], 2) as update:\n    update(1, sys.argv[2]); update(2, sys.argv[2])"
    )
    ours, theirs = pty.openpty()
    call = [sys.executable, "-c", script, f"{EVIL}[/]", f"[/b]{EVIL}"]
    with subprocess.Popen(call, stderr=theirs, env=os.environ | {"COLUMNS": "300", "TERM": "xterm"}) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            told += part
            if not part:
                break
        assert process.wait() == 0
    os.close(ours)
    text = told.decode()
    assert "[red]x\\x1b]0;owned\\x07\\x1b[31m\\x9b31m\\r\\u202e[/]" in text
    assert "[/b][red]x" in text
    assert not re.search("\x1b\\]|\x07|\x9b|\u202e|\x1b\\[31m", text)
