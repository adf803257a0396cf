"""What came of a finished run, kept in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from medsr.batch.progress import clock
from medsr.io.files import read_text, write_text

FILE = "result.json"


@dataclass(frozen=True)
class TrainingResult:
    """A finished run. Scores are means over the held-out images, metric -> value; empty where nothing was held out.

    `seconds`: of training, without validation and saving. `verdict`: sentences that say whether to use the weights.
    `data`: the folder of ground truth. `images`: those trained on; `held_out`: those held out. `samples`: what the
    scores are means over: these images, of volumes their slices. `better_on`: on how many of them the weights at the
    end are better than interpolation. `start_from`: the weights it began with, empty for fresh ones. Runs of an earlier
    medsr do not say these.
    """

    run: Path
    iterations: int
    seconds: float
    stopped_early: bool
    bicubic: dict[str, float]
    start: dict[str, float]
    best: dict[str, float]
    end: dict[str, float]
    verdict: list[str] = field(default_factory=list)
    data: str = ""
    images: int = 0
    held_out: int = 0
    samples: int = 0
    better_on: int | None = None
    start_from: str = ""

    @property
    def model(self) -> Path:
        """The weights at the end."""
        return self.run / "model.safetensors"

    def facts(self, data: str) -> dict[str, str]:
        """What the weights were made of, in words. `data`: the folder as it is to be shown."""
        return {
            "data": data,
            "images": f"{self.images} trained on, {self.held_out} held out",
            "training": f"{self.iterations} iterations in {clock(self.seconds)}",
            "began with": self.start_from or "fresh weights",
        }

    def save(self) -> None:
        content = {name: value for name, value in vars(self).items() if name != "run"}
        write_text(self.run / FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def of(cls, run: Path) -> TrainingResult | None:
        """That of a finished run; None where there is none, or it is not whole."""
        try:
            return cls(run, **json.loads(read_text(run / FILE)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
