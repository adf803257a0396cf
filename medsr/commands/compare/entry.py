"""What came of one recipe, or of one stage of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medsr.metrics.bootstrap import IntervalSummary, summarize
from medsr.recipe import Recipe
from medsr.training import stages, validation
from medsr.training.result import TrainingResult
from medsr.training.training_logger import read_log


@dataclass(frozen=True)
class Leaf:
    """One run: a recipe without stages, or one stage `of` it. `before`: seconds of the stages before it."""

    of: str
    stage: str
    result: TrainingResult
    before: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.of}: {self.stage}" if self.stage else self.of


def leaves(recipe: Recipe, result: TrainingResult) -> list[Leaf]:
    """The runs of a finished recipe, in order."""
    if not recipe.stages:
        return [Leaf(recipe.name, "", result)]
    runs: list[Leaf] = []
    seconds = 0.0
    for index, stage in enumerate(recipe.stages):
        stage_result = TrainingResult.of(stages.stage_folder(recipe, result.run, index))
        assert stage_result is not None
        runs.append(Leaf(recipe.name, stage.name, stage_result, seconds))
        seconds += stage_result.seconds
    return runs


@dataclass(frozen=True)
class Entry:
    """A leaf's last weights on the held-out images. `started`: PSNR (dB) before its recipe's first step."""

    leaf: Leaf
    parameters: int
    scores: validation.Scores
    start_psnr: float
    bicubic: validation.Scores

    @property
    def gain(self) -> IntervalSummary:
        """PSNR over interpolation on the same image, dB."""
        return summarize(self.gains)

    @property
    def gains(self) -> list[float]:
        """The same, image by image."""
        pairs = zip(self.scores.per_image["psnr"], self.bicubic.per_image["psnr"], strict=True)
        return [own - other for own, other in pairs]

    @property
    def improved(self) -> bool:
        return self.scores.psnr > self.start_psnr

    def course(self) -> tuple[list[float], list[float]]:
        """Minutes of training since the recipe began, and the PSNR found then."""
        records = [record for record in read_log(self.leaf.result.run) if "validation" in record]
        rate = self.leaf.result.seconds / max(1, self.leaf.result.iterations)
        seconds = [self.leaf.before + record.get("seconds", rate * record["iteration"]) for record in records]
        return [second / 60 for second in seconds], [record["validation"]["psnr"] for record in records]


@dataclass(frozen=True)
class Failed:
    """A recipe that did not come to its end."""

    name: str
    reason: str


@dataclass(frozen=True)
class RecipeComparison:
    """`entries`: a recipe, or each of its stages. `bicubic`: interpolation, on the same images. `page`: the HTML."""

    entries: tuple[Entry, ...]
    failed: tuple[Failed, ...]
    bicubic: validation.Scores
    page: Path


def folder_of(out: Path, recipe: Recipe) -> Path:
    """Where a recipe's run is."""
    return out / recipe.name
