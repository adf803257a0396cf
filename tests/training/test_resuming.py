"""A run that is killed or stopped and resumed ends as one that was not, and no two runs are mixed up."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from medsr.commands.finetune import finetune
from medsr.core.errors import UsageError
from medsr.training import checkpointing
from tests.helpers.recipes import GAN, LONG, RECIPE, write_recipe
from tests.helpers.training import assert_same_run, iterations_of, read_weights, same_weights

pytestmark = pytest.mark.usefixtures("without_curves", "one_thread")


def _command(recipe: Path, data: Path, run: Path) -> list[str]:
    """Starts the run, or goes on with it; with one worker process."""
    command = [sys.executable, "-m", "medsr", "finetune", "--device", "cpu"]
    if (run / "recipe.yml").is_file():
        return [*command, "--resume", str(run)]
    return [*command, str(recipe), "--data", str(data), "--out", str(run), "--set", "data.workers=1"]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def _killed_and_resumed(kills: int, iterations: int, image_folder: Path, tmp_path: Path) -> tuple[int, Path]:
    """Kill a real process at random moments until the run is done; returns how often it was killed, and the run."""
    recipe, parts = write_recipe(tmp_path / "recipe.yml", LONG, iterations=iterations), tmp_path / "parts"
    rng = random.Random(0)
    done = 0
    while done < kills:
        process = subprocess.Popen(
            _command(recipe, image_folder, parts), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment()
        )
        at = iterations_of(parts) + rng.randrange(1, 2 + (iterations - 4) // kills)
        deadline = time.monotonic() + 240
        while process.poll() is None and iterations_of(parts) < at and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.05)  # in the iteration, the validation or the saving that follows
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        done += 1
    with suppress(UsageError):  # of a run that had just come to its end
        finetune("", resume=parts, device="cpu")
    assert iterations_of(parts) == iterations
    assert not list(parts.glob(".*-*"))
    assert not list((parts / "state").glob(".*-*"))
    return done, parts


def test_killed_it_ends_bit_identical(image_folder: Path, whole: Path, tmp_path: Path) -> None:
    kills, parts = _killed_and_resumed(1, 12, image_folder, tmp_path)
    assert kills == 1
    assert_same_run(whole, parts)


@pytest.mark.slow
def test_killed_ten_times_it_ends_bit_identical(image_folder: Path, tmp_path: Path) -> None:
    kills, parts = _killed_and_resumed(10, 40, image_folder, tmp_path)
    assert kills == 10
    recipe = write_recipe(tmp_path / "recipe.yml", LONG, iterations=40)
    finetune(recipe, image_folder, out=tmp_path / "long", device="cpu")
    assert_same_run(tmp_path / "long", parts)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_then_stops_and_nothing_is_lost(
    number: signal.Signals, code: int, image_folder: Path, whole: Path, tmp_path: Path
) -> None:
    recipe, parts = write_recipe(tmp_path / "recipe.yml", LONG, save_every=1000), tmp_path / "parts"
    process = subprocess.Popen(
        _command(recipe, image_folder, parts),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
        start_new_session=True,
    )
    while process.poll() is None and iterations_of(parts) < 3:
        time.sleep(0.002)
    os.killpg(process.pid, number)  # the terminal and Slurm signal the whole group, workers included
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"stopped by {number.name} after iteration" in errors
    assert "medsr finetune --resume" in errors
    assert "Traceback" not in errors
    assert len(checkpointing.saved(parts / "state")) == 1
    finetune("", resume=parts, device="cpu")
    assert_same_run(whole, parts)


def test_killed_before_anything_was_saved_it_starts_from_the_beginning(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "parts"))
    for path in (run / "state").glob("*.sha256"):  # the checksum comes last: a state without it was never finished
        path.unlink()
    (run / "state/.00000006-abc.pt").write_bytes(b"half")
    lines: list[str] = []
    finetune("", resume=run, device="cpu", notify=lines.append)
    assert any("starting from the beginning" in line for line in lines)
    assert_same_run(whole, run)
    assert not (run / "state/.00000006-abc.pt").exists()


@pytest.mark.parametrize("extra", [{}, GAN], ids=["l1", "gan"])
def test_a_resumed_run_ends_bit_identical_to_one_never_interrupted(
    extra: dict[str, object], image_folder: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "recipe.yml", RECIPE | extra)
    finetune(recipe, image_folder, out=tmp_path / "whole", overrides=["iterations=9"], device="cpu")
    finetune(recipe, image_folder, out=tmp_path / "parts", overrides=["iterations=6"], device="cpu")
    torch.rand(3)
    again = {"data": image_folder, "out": tmp_path / "parts", "resume": tmp_path / "parts"}
    finetune(recipe, **again, overrides=["iterations=9"], device="cpu")
    assert same_weights(read_weights(tmp_path / "whole"), read_weights(tmp_path / "parts"))
    states = [torch.load(tmp_path / run / "state/00000009.pt", weights_only=True) for run in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    for part in ("generator", "ema", *(["discriminator"] if extra else [])):
        assert same_weights(states[0][part], states[1][part])
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("whole", "parts")]
    losses = [[line for line in log if "l1" in line] for log in logs]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"resume": "nowhere"},
        {"resume": "run", "data": "."},
        {"resume": "run", "out": "elsewhere"},
        {"resume": "run", "recipe": "retina"},
        {"resume": "run"},
        {"resume": "run", "overrides": ["batch=4"]},
        {"recipe": "{recipe}", "out": "run"},
    ],
    ids=["no run", "other data", "other folder", "other experiment", "already there", "other batch", "folder in use"],
)
def test_runs_are_not_mixed_up(
    recipe: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    finetune(recipe, image_folder, out="run", overrides=["iterations=1"], device="cpu")
    arguments = {k: str(recipe) if v == "{recipe}" else v for k, v in arguments.items()}
    with pytest.raises(UsageError):
        finetune(**({"recipe": ""} | arguments), device="cpu")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_running_folder_is_its_own_and_where_it_vanishes_it_is_not_made_anew(
    image_folder: Path, tmp_path: Path
) -> None:
    """As when a mount goes: what was written to the empty place beneath would be lost without a word.

    While it is there, the process holds it: a second run in it is refused.
    """
    recipe = write_recipe(tmp_path / "recipe.yml", LONG, iterations=400)
    run, moved = tmp_path / "run", tmp_path / "moved"
    process = subprocess.Popen(
        _command(recipe, image_folder, run), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment()
    )
    deadline = time.monotonic() + 240
    while not checkpointing.saved(run / "state") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(UsageError, match="another process is training there"):
        finetune("", resume=run, device="cpu")
    run.rename(moved)
    _, problem = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "gone" in problem.decode()
    assert not run.exists(), list(run.rglob("*"))
    end = int(checkpointing.saved(moved / "state")[-1].stem) + 2
    recipe_text = (moved / "recipe.yml").read_text()
    (moved / "recipe.yml").write_text(recipe_text.replace("iterations: 400", f"iterations: {end}"))
    finetune("", resume=moved, device="cpu")
    assert iterations_of(moved) == end
