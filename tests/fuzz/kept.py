"""Targets that medsr wrote itself and reads back, from folders somebody may have sent or a crash has damaged."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.fuzz.base import Reader, read_checkpoint
from tests.fuzz.mutations import changed_storages
from tests.fuzz.mutations_text import changed_json, changed_lines, changed_table, changed_weights

CARD = """
name: x
title: x
licence: x
files: {image: "{id}.png", mask: "{id}_m.gif"}
split: {train: 1.0, validation: 0.0, test: 0.0, seed: 1}
"""
OUT = "OUT_FOLDER"
"""Stands for the folder of results in seeds, whose paths are whole ones."""
ID = "0123456789ab"


def _anew(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _picture(path: Path) -> Path:
    """Always the same bytes, and of the same time: journals tell changed files by both."""
    from PIL import Image as Pillow

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        pixels = np.random.default_rng(0).integers(0, 255, (24, 20), np.uint8)
        Pillow.fromarray(pixels if path.suffix == ".png" else (pixels > 127).astype(np.uint8) * 255).save(path)
        os.utime(path, (0, 0))
    return path


def _scan(path: Path) -> Path:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        voxels = np.random.default_rng(0).integers(0, 999, (6, 5, 4)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1, 1, 2, 1.0])), path)
    return path


# status.tsv ---------------------------------------------------------------------------------------


def _status() -> dict[str, bytes]:
    from medsr.batch.status import StatusRow, render

    rows = [
        StatusRow("in/a.png", "done", "", "0.1", f"{OUT}/a.png", "0" * 64, "1" * 64, "2" * 16),
        StatusRow("in/b.png", "failed", "in/b.png: damaged", "0.2", f"{OUT}/b.png", "", "", "2" * 16),
        StatusRow("in/c.png", "done", "", "1.5", f"{OUT}/c.png", "3" * 64, "4" * 64, "2" * 16),
    ]
    return {"status.tsv": render(rows).encode()}


def _read_status(path: Path) -> object:
    """As the next batch into the folder does, as training does, and as a cohort whose worker wrote it does."""
    from medsr.batch import status
    from medsr.batch.outcome import Outcome
    from medsr.data.own_outputs import part_own

    folder = _anew(path.parent / "results")
    (folder / status.NAME).write_bytes(path.read_bytes().replace(OUT.encode(), os.fsencode(folder)))
    names = [_picture(folder / f"{name}.png") for name in "ab"]
    status.results_in(folder)
    part_own(folder, names)
    with status.Status(folder, {}) as table:
        table.is_done(names[0], names[1])
        table.record(Outcome(names[0], names[1], 0.1))
    return _read_cohort(folder, "upscale", path.read_bytes())


# cohorts ------------------------------------------------------------------------------------------


def _plan(command: str, out: Path) -> Any:
    from medsr.commands.cohort.build_plan import complete_options
    from medsr.commands.cohort.plan import CohortItem, CohortPlan

    ending = ".png" if command == "upscale" else ".nii"
    items = tuple(CohortItem(f"{out}/../in/{name}{ending}", f"{out}/{name}{ending}") for name in "abc")
    model = "bicubic" if command == "upscale" else "cubic"
    options = complete_options(command, {"model": model, "device": "cpu"})
    return CohortPlan(command, out, options, items, clashes=((f"{out}/../in/d.png", "clashes"),), id=ID)


def _plans() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        seeds = {}
        for command in ("upscale", "volume"):
            plan = _plan(command, Path(folder))
            plan.save()
            seeds[f"{command}.json"] = (plan.hidden / "plan.json").read_bytes().replace(folder.encode(), OUT.encode())
        return seeds


def _read_plan(path: Path) -> object:
    from medsr.commands.cohort import plan as plans

    out = _anew(path.parent / "cohort")
    hidden = out / plans.FOLDER / ID
    hidden.mkdir(parents=True)
    (hidden / "plan.json").write_bytes(path.read_bytes().replace(OUT.encode(), os.fsencode(out)))
    (out / plans.FOLDER / plans.CURRENT).write_text(ID)
    return _asked_about(out, _status()["status.tsv"])


def _read_cohort(out: Path, command: str, status: bytes) -> object:
    _plan(command, out).save()
    return _asked_about(out, status)


def _asked_about(out: Path, status: bytes, made: bytes = b"") -> object:
    """What `cohort status` and `cohort retry` do of a cohort; and what a worker does first."""
    from medsr.commands.cohort import figures, page, results, run, work
    from medsr.commands.cohort import plan as plans

    part = out / plans.FOLDER / ID / work.PARTS / "0"
    part.mkdir(parents=True)
    (part / "status.tsv").write_bytes(status.replace(OUT.encode(), os.fsencode(out)))
    (part / work.IMAGE_JOURNAL).write_bytes(made.replace(OUT.encode(), os.fsencode(out)))
    run.finish(out)
    plan = plans.load(out)
    cohort_status = results.gather(plan)
    figures.load_subjects(plan, cohort_status.done)
    page.write(plan, cohort_status)
    results.reset(plan, results.missing(plan))
    results.remove_leftovers(plan)
    return work.open_context(plan)


# sidecars -----------------------------------------------------------------------------------------


def _sidecars() -> dict[str, bytes]:
    from medsr import upscale, volume

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        [outcome] = upscale([_picture(place / "a.png")], place / "out", model="bicubic", outscale=2, device="cpu")
        assert outcome.error is None, outcome.error
        [outcome] = volume(_scan(place / "scan.nii"), place / "out", model="cubic", scale=2, device="cpu")
        assert outcome.error is None, outcome.error
        return {name: (place / "out" / name).read_bytes() for name in ("upscale.json", "scan.json")}


def _read_sidecar(path: Path) -> object:
    """As `reproduce` does, as the next batch into the folder, as training, and as a cohort's page."""
    from medsr.batch import status
    from medsr.commands.cohort import figures
    from medsr.commands.cohort.plan import CohortItem
    from medsr.commands.reproduce import reproduce
    from medsr.commands.upscale import sidecar
    from medsr.data.own_outputs import part_own
    from medsr.io.volumes import volume

    _picture(path.parent / "a.png"), _scan(path.parent / "scan.nii")
    out = _anew(path.parent / "out")
    images = [_picture(out / "a.png")]
    scan = _scan(out / "scan.nii")
    shutil.copy(path, out / path.name)
    status.results_in(out), part_own(out, [*images, scan]), volume.read(scan)
    command, result = ("volume", scan) if path.name == "scan.json" else ("upscale", images[0])
    plan = _plan(command, out)
    row = status.StatusRow("x", "done", "", "0.1", str(result))
    figures._load_subject(plan, CohortItem("x", str(result)), row, status.pictures_in(out))
    sidecar.write(out, {"a.png": {}})
    shutil.copy(path, out / path.name)
    with mock.patch("medsr.commands.volume.preview.write"):  # takes most of the time, and says nothing about sidecars
        return reproduce(out / path.name)


# journals -----------------------------------------------------------------------------------------


def _data_set(folder: Path) -> Path:
    for name in ("a.png", "a_m.gif"):
        _picture(folder / "source" / name)
    (folder / "card.yml").write_text(CARD)
    return folder / "source"


def _prepare(folder: Path, out: Path) -> object:
    from medsr.commands.prepare.run import prepare

    return prepare(folder / "card.yml", _data_set(folder), out=out, workers=1)


def _journals() -> dict[str, bytes]:
    from medsr.batch.journal import Journal

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with mock.patch("medsr.commands.prepare.run.shutil.rmtree"):  # as if killed just before the journal goes
            _prepare(folder, folder / "out")
        upscaled = json.loads(_sidecars()["upscale.json"])["results"]
        Journal(folder / "made.jsonl").add(f"{OUT}/a.png", upscaled)
        return {
            path.name: path.read_bytes() for path in (next(folder.glob("out/*/journal.jsonl")), folder / "made.jsonl")
        }


def _read_journal(path: Path) -> object:
    if path.name == "made.jsonl":
        out = _anew(path.parent / "cohort")
        _picture(out / "a.png")
        _plan("upscale", out).save()
        return _asked_about(out, _status()["status.tsv"], path.read_bytes())
    from medsr.commands.prepare.run import WORK

    finished = path.parent / "finished"
    if not finished.is_dir():
        _prepare(path.parent, finished)
    out = path.parent / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(finished, out, ignore=shutil.ignore_patterns("manifest.csv"))
    (out / WORK).mkdir()
    shutil.copy(path, out / WORK / "journal.jsonl")
    return _prepare(path.parent, out)


# records ------------------------------------------------------------------------------------------

MODELS = ("bicubic", "lanczos")
RECORDED = {
    "hashes": {"realesrgan-x4plus": "0" * 64},
    "own": {
        "mine": {
            "name": "mine",
            "file": "mine.pth",
            "role": "generator",
            "architecture": "rrdb",
            "scale": 2,
            "licence": "the user's own",
            "source": "imported from a.pth",
            "sha256": "1" * 64,
            "size": 100,
        }
    },
    "forms": {"realesrgan-x4plus": {"file": "x.safetensors", "sha256": "2" * 64, "form": "x"}},
}


def _record(folder: Path) -> Any:
    from medsr.commands.evaluate.record import Record

    return Record(folder, {"protocol": {}, "models": dict.fromkeys(MODELS)}, resume=True)


def _records() -> dict[str, bytes]:
    from medsr.batch.outcome import Outcome
    from medsr.commands.evaluate.case import Item
    from medsr.commands.evaluate.record import NAME
    from medsr.commands.evaluate.result import ImageScores

    with tempfile.TemporaryDirectory() as name:
        image = _picture(Path(name, "a.png"))
        figures = {"psnr": 30.5, "ssim": 0.9, "seconds": 0.1}
        rows = [ImageScores("a", model, figures) for model in MODELS]
        record = _record(Path(name))
        record.add(record.fingerprint(Item("a", {"image": image})), rows, Outcome(image, image, 0.1))
        return {"recorded.json": json.dumps(RECORDED).encode(), NAME: Path(name, NAME).read_bytes()}


def _read_record(path: Path) -> object:
    from medsr.commands.evaluate import tables
    from medsr.commands.evaluate.case import Item
    from medsr.commands.evaluate.result import Evaluation

    if path.name == "measured.jsonl":
        out = _anew(path.parent / "out")
        shutil.copy(path, out / path.name)
        record, item = _record(out), Item("a", {"image": _picture(path.parent / "a.png")})
        rows = record.measured(item, record.fingerprint(item))
        result = Evaluation("folder", {}, MODELS[0], {model: {} for model in MODELS}, rows, [], {})
        tables.markdown(result), tables.csv_of_images(result), tables.csv_of_means(result)
        return json.dumps(result.to_json(), allow_nan=False)
    from medsr.cli.weights import _row
    from medsr.core.errors import WeightsError
    from medsr.networks import download, weight_store

    home = _anew(path.parent / "home")
    (home / "weights").mkdir()
    shutil.copy(path, home / "weights" / "recorded.json")
    with mock.patch.dict(os.environ, MEDSR_HOME=str(home)):
        for entry in weight_store.entries().values():
            json.dumps(_row(entry))
            if not entry.suits:  # those that come with medsr are large
                with suppress(WeightsError):  # is not on this machine
                    weight_store.verify(entry)
        weight_store.known_names()
        return download.replaces(path, "mine")


# weights ------------------------------------------------------------------------------------------


def _models() -> dict[str, bytes]:
    from medsr.networks import checkpoint

    spec = checkpoint.Spec("rrdb", 2, 1, {"features": 4, "blocks": 1, "growth": 2})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        checkpoint.save(path, spec.build().state_dict(), spec, {"iterations": 5, "recipe": {"name": "x"}})
        return {"a.safetensors": path.read_bytes(), "a.md": b"# A model\n\nEnlarges what it was trained on.\n\nMore.\n"}


def _read_model(path: Path) -> object:
    """Its card as OpenModelDB wants it; either file may be the damaged one."""
    from medsr.commands.export.run import export

    folder = path.parent / "model"
    if not folder.is_dir():
        folder.mkdir()
        for name, content in _models().items():
            (folder / f"whole-{name}").write_bytes(content)
    for name in ("a.safetensors", "a.md"):
        shutil.copy(path if path.name == name else folder / f"whole-{name}", folder / name)
    return export(folder / "a.safetensors", "openmodeldb", out=folder / "card.json")


def _storages() -> dict[str, bytes]:
    """Plain, of other types, sharing one storage, not contiguous, wrapped, in the old form that is not a zip."""
    import torch

    from medsr.networks import checkpoint

    spec = checkpoint.Spec("rrdb", 2, 1, {"features": 4, "blocks": 1, "growth": 2})
    state = spec.build().state_dict()
    shared = torch.cat([tensor.flatten() for tensor in state.values()])
    views, at = {}, 0
    for name, tensor in state.items():
        views[name] = shared[at : at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
    kinds: dict[str, Callable[[Any], None]] = {
        "half.pth": partial(torch.save, {"params_ema": {name: one.half() for name, one in state.items()}}),
        "shared.pth": partial(torch.save, {"state_dict": views, "epoch": 3}),
        "across.pth": partial(
            torch.save, {name: one.transpose(0, -1).clone().transpose(0, -1) for name, one in state.items()}
        ),
        "old.pth": partial(torch.save, state, _use_new_zipfile_serialization=False),
    }
    seeds = {}
    for name, save in kinds.items():
        stream = io.BytesIO()
        save(stream)
        seeds[name] = stream.getvalue()
    return seeds


READERS = {
    "status": Reader(_read_status, _status, change=changed_table),
    "sidecars": Reader(_read_sidecar, _sidecars, change=changed_json),
    "journals": Reader(_read_journal, _journals, change=changed_lines),
    "plans": Reader(_read_plan, _plans, change=changed_json),
    "records": Reader(_read_record, _records, change=changed_lines),
    "openmodeldb": Reader(_read_model, _models, change=changed_weights),
    "storages": Reader(read_checkpoint, _storages, change=changed_storages),
}
