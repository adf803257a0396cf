"""A training that diverges stops, or goes back and on with a lower learning rate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsr.commands.finetune import finetune
from medsr.core.errors import TrainingError
from medsr.networks import checkpoint
from medsr.recipe import GuardSettings
from medsr.training import loop
from medsr.training.divergence_guard import Diverged, DivergenceGuard
from tests.helpers.recipes import LONG, write_recipe
from tests.helpers.training import equal

pytestmark = pytest.mark.usefixtures("without_curves")


def test_the_first_loss_that_is_not_finite_stops_the_run_and_is_named(
    recipe: Path, image_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"the l1 loss is (nan|inf)"):
        finetune(
            recipe,
            image_folder,
            out=tmp_path / "run",
            overrides=["optimizer.learning_rate=1e30", "iterations=50"],
            device="cpu",
        )


@pytest.mark.slow
def test_what_goes_wrong_is_said_and_stops_or_goes_back_slower(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that is no number in iteration 7, the first two times it is reached."""

    real, seen = loop.step, []

    def step(recipe, training_state, *rest):  # type: ignore[no-untyped-def]
        losses = real(recipe, training_state, *rest)
        if training_state.iteration == 7 and len(seen) < 2:
            seen.append(training_state.rollbacks)
            losses["l1"] = float("nan")
        return losses

    monkeypatch.setattr(loop, "step", step)
    recipe = write_recipe(tmp_path / "recipe.yml", LONG, iterations=9)
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
    assert equal(last, checkpoint.read_state(run / "model.safetensors")[0])  # the lower rate is remembered


def test_attempts_are_counted(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    real = loop.step

    def step(recipe, training_state, *rest):  # type: ignore[no-untyped-def]
        losses = real(recipe, training_state, *rest)
        return losses | {"l1": float("inf")} if training_state.iteration == 7 else losses

    monkeypatch.setattr(loop, "step", step)
    recipe, more = write_recipe(tmp_path / "recipe.yml", LONG), ["guard.action=roll-back", "guard.attempts=2"]
    with pytest.raises(TrainingError, match="stopped after going back 2 times"):
        finetune(recipe, image_folder, out=tmp_path / "run", overrides=more, device="cpu")


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
