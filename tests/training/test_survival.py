"""A run that is killed, stopped, starved of disk or led astray ends as one that was not, or says why it cannot."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest
import torch
import yaml

from medsr.commands.finetune import finetune
from medsr.core.errors import TrainingError, UsageError
from medsr.networks import checkpoint
from medsr.recipe import GuardSettings
from medsr.training import checkpointing
from medsr.training.divergence_guard import Diverged, DivergenceGuard
from tests.training.test_loop import GAN, RECIPE

LONG = RECIPE | GAN | {"iterations": 12, "save_every": 4, "validate_every": 5}

pytestmark = pytest.mark.usefixtures("without_curves", "one_thread")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As the processes started here: with another number of threads the last bits may differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(one_thread: None, written_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to which nothing happened; those that are killed, stopped or damaged must end as it did."""
    folder = tmp_path_factory.mktemp("whole")
    finetune(_recipe(folder), written_images, out=folder / "run", device="cpu")
    return folder / "run"


def _recipe(folder: Path, **more: object) -> Path:
    path = folder / "recipe.yml"
    path.write_text(yaml.safe_dump(LONG | more))
    return path


def _command(recipe: Path, data: Path, run: Path) -> list[str]:
    """Starts the run, or goes on with it; with one worker process."""
    command = [sys.executable, "-m", "medsr", "finetune", "--device", "cpu"]
    if (run / "recipe.yml").is_file():
        return [*command, "--resume", str(run)]
    return [*command, str(recipe), "--data", str(data), "--out", str(run), "--set", "data.workers=1"]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def _same_run(one: Path, other: Path) -> None:
    """Weights, EMA, discriminator, optimizers, pool, watch and log, bit by bit."""
    last = [torch.load(checkpointing.saved(run / "state")[-1], weights_only=True) for run in (one, other)]
    for one_state in last:
        del one_state["seconds"]  # how long it took is no function of the recipe
        del one_state["recipe_sha256"]  # recipes say how many workers there are, and where the images lie
    assert _equal(last[0], last[1])
    assert (one / "log.jsonl").read_text() == (other / "log.jsonl").read_text()
    for name in ("model.safetensors", "best.safetensors"):
        weights = [checkpoint.read_state(run / name)[0] for run in (one, other)]
        assert _equal(weights[0], weights[1])


def _equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        same = isinstance(other, list | tuple) and len(one) == len(other)
        return same and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def _killed_and_resumed(kills: int, iterations: int, image_folder: Path, tmp_path: Path) -> tuple[int, Path]:
    """Kill a real process at random moments until the run is done; returns how often it was killed, and the run."""
    recipe, parts = _recipe(tmp_path, iterations=iterations), tmp_path / "parts"
    rng = random.Random(0)
    done = 0
    while done < kills:
        process = subprocess.Popen(
            _command(recipe, image_folder, parts), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment()
        )
        at = _iteration(parts) + rng.randrange(1, 2 + (iterations - 4) // kills)
        deadline = time.monotonic() + 240
        while process.poll() is None and _iteration(parts) < at and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.05)  # in the iteration, the validation or the saving that follows
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        done += 1
    with suppress(UsageError):  # of a run that had just come to its end
        finetune("", resume=parts, device="cpu")
    assert _iteration(parts) == iterations
    assert not list(parts.glob(".*-*"))
    assert not list((parts / "state").glob(".*-*"))
    return done, parts


def _iteration(run: Path) -> int:
    log = run / "log.jsonl"
    return len([line for line in log.read_text().splitlines() if '"l1"' in line]) if log.is_file() else 0


def test_killed_it_ends_bit_identical(image_folder: Path, whole: Path, tmp_path: Path) -> None:
    kills, parts = _killed_and_resumed(1, 12, image_folder, tmp_path)
    assert kills == 1
    _same_run(whole, parts)


@pytest.mark.slow
def test_killed_ten_times_it_ends_bit_identical(image_folder: Path, tmp_path: Path) -> None:
    kills, parts = _killed_and_resumed(10, 40, image_folder, tmp_path)
    assert kills == 10
    finetune(_recipe(tmp_path, iterations=40), image_folder, out=tmp_path / "long", device="cpu")
    _same_run(tmp_path / "long", parts)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_then_stops_and_nothing_is_lost(
    number: signal.Signals, code: int, image_folder: Path, whole: Path, tmp_path: Path
) -> None:
    recipe, parts = _recipe(tmp_path, save_every=1000), tmp_path / "parts"
    process = subprocess.Popen(
        _command(recipe, image_folder, parts),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
        start_new_session=True,
    )
    while process.poll() is None and _iteration(parts) < 3:
        time.sleep(0.002)
    os.killpg(process.pid, number)  # the terminal and Slurm signal the whole group, workers included
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"stopped by {number.name} after iteration" in errors
    assert "medsr finetune --resume" in errors
    assert "Traceback" not in errors
    assert len(checkpointing.saved(parts / "state")) == 1
    finetune("", resume=parts, device="cpu")
    _same_run(whole, parts)


def test_killed_before_anything_was_saved_it_starts_from_the_beginning(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "parts"))
    for path in (run / "state").glob("*.sha256"):  # the checksum comes last: a state without it was never finished
        path.unlink()
    (run / "state/.00000006-abc.pt").write_bytes(b"half")
    lines: list[str] = []
    finetune("", resume=run, device="cpu", notify=lines.append)
    assert any("starting from the beginning" in line for line in lines)
    _same_run(whole, run)
    assert not (run / "state/.00000006-abc.pt").exists()


def test_a_damaged_state_is_found_out_and_a_whole_one_offered(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "parts"))
    states = checkpointing.saved(run / "state")
    assert len(states) == 3
    for path in states[1:]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"damaged.*from 00000004\.pt, which is whole, delete 00000008\.pt and"):
        finetune("", resume=run, device="cpu")
    for path in states[1:]:
        path.unlink()
    finetune("", resume=run, device="cpu")
    _same_run(whole, run)
    for path in checkpointing.saved(run / "state"):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match="none other is whole"):
        finetune("", resume=run, device="cpu")


@pytest.mark.parametrize("victim", ["state", "log.jsonl", ".model", "samples"])
def test_a_disk_that_fills_up_stops_the_run_with_its_last_state_whole(
    victim: str, image_folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write to that file or folder fails after iteration 6, as on a full disk."""
    import errno
    import pathlib

    recipe, run = _recipe(tmp_path), tmp_path / "run"
    opened = pathlib.Path.open

    def the_log(path: Path) -> TextIO:
        return open(path) if path.is_file() else io.StringIO()

    wrote = pathlib.Path.write_bytes

    def full(path: Path) -> bool:
        if victim not in str(path) or str(run) not in str(path):
            return False
        with the_log(run / "log.jsonl") as log:
            return sum('"l1"' in line for line in log) > 6

    def _open(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        if full(path) and mode[0] in "wa":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, *rest, **more)  # type: ignore[arg-type]

    def _write(path: Path, data: bytes) -> int:
        if full(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return wrote(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "open", _open)
        patched.setattr(pathlib.Path, "write_bytes", _write)
        with pytest.raises(TrainingError, match=r"No space left.*the state of iteration \d+ is whole") as caught:
            finetune(recipe, image_folder, out=run, device="cpu")
    assert "--resume" in str(caught.value)
    finetune("", resume=run, device="cpu")
    _same_run(whole, run)


def test_what_goes_wrong_is_said_and_stops_or_goes_back_slower(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that is no number in iteration 7, the first two times it is reached."""
    from medsr.training import loop

    real, seen = loop.step, []

    def step(recipe, learner, *rest):  # type: ignore[no-untyped-def]
        losses = real(recipe, learner, *rest)
        if learner.iteration == 7 and len(seen) < 2:
            seen.append(learner.rollbacks)
            losses["l1"] = float("nan")
        return losses

    monkeypatch.setattr(loop, "step", step)
    recipe = _recipe(tmp_path, iterations=9)
    with pytest.raises(TrainingError, match=r"iteration 7: the l1 loss is nan; stopped.*guard\.action=roll-back"):
        finetune(recipe, image_folder, out=tmp_path / "stops", device="cpu")
    seen.clear()
    lines: list[str] = []
    run = tmp_path / "goes_back"
    result = finetune(
        recipe, image_folder, out=run, overrides=["guard.action=roll-back"], device="cpu", notify=lines.append
    )
    assert result.iterations == 9
    assert seen == [0, 1]
    assert any("back to iteration 4, learning rate now times 0.25" in line for line in lines)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [one["rollback"] for one in records if "rollback" in one] == [1, 2]
    rates = {one["iteration"]: one["learning_rate"] for one in records if "learning_rate" in one}
    assert rates[4] == pytest.approx(1e-3)
    assert rates[5] == rates[9] == pytest.approx(2.5e-4)
    assert sorted(rates) == list(range(1, 10))
    monkeypatch.undo()
    (run / "state/00000009.pt").unlink()
    last = checkpoint.read_state(run / "model.safetensors")[0]
    finetune("", resume=run, device="cpu")
    assert _equal(last, checkpoint.read_state(run / "model.safetensors")[0])  # the lower rate is remembered


def test_attempts_are_counted(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medsr.training import loop

    real = loop.step

    def step(recipe, learner, *rest):  # type: ignore[no-untyped-def]
        losses = real(recipe, learner, *rest)
        return losses | {"l1": float("inf")} if learner.iteration == 7 else losses

    monkeypatch.setattr(loop, "step", step)
    more = ["guard.action=roll-back", "guard.attempts=2"]
    with pytest.raises(TrainingError, match="stopped after going back 2 times"):
        finetune(_recipe(tmp_path), image_folder, out=tmp_path / "run", overrides=more, device="cpu")


def test_explosions_and_a_discriminator_that_has_won_are_seen() -> None:
    watch = DivergenceGuard(GuardSettings(window=10, explode=20, won=0.05))
    for iteration in range(10):
        watch.see(iteration, {"l1": 0.1, "gan": 0.1, "learning_rate": 1.0})
    watch.see(10, {"l1": 1.0, "gan": 0.1, "learning_rate": 1.0})
    with pytest.raises(Diverged, match="jumped to 30"):
        watch.see(11, {"l1": 30.0, "gan": 0.1, "learning_rate": 1.0})
    watch = DivergenceGuard(GuardSettings(window=10, won=0.05))
    for iteration in range(9):
        watch.see(iteration, {"l1": 0.1, "discriminator_real": 0.01, "discriminator_fake": 0.01})
    with pytest.raises(Diverged, match="the discriminator has won"):
        watch.see(9, {"l1": 0.1, "discriminator_real": 0.01, "discriminator_fake": 0.01})
    off = DivergenceGuard(GuardSettings(window=2, won=0))
    for iteration in range(9):
        off.see(iteration, {"l1": 0.1, "discriminator_real": 0.0, "discriminator_fake": 0.0})


def test_what_is_read_back_must_be_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medsr.io import files

    files.write_checked(tmp_path / "a", b"good")
    monkeypatch.setattr(Path, "write_bytes", lambda path, _: path.write_text("rotten"))
    with pytest.raises(OSError, match="read back"):
        files.write_checked(tmp_path / "a", b"better")
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"good"


@pytest.mark.slow
def test_a_running_folder_is_its_own_and_where_it_vanishes_it_is_not_made_anew(
    image_folder: Path, tmp_path: Path
) -> None:
    """As when a mount goes: what was written to the empty place beneath would be lost without a word.

    While it is there, the process holds it: a second run in it is refused.
    """
    recipe = _recipe(tmp_path, iterations=400)
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
    assert _iteration(moved) == end
