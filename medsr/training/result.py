"""What came of a finished run, kept in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from medsr.io.files import read_text, write_text

FILE = "result.json"


@dataclass(frozen=True)
class TrainingResult:
    """A finished run. Scores are means over the held-out images, metric -> value; empty where nothing was held out.

    `seconds`: of training, without validation and saving.
    """

    run: Path
    iterations: int
    seconds: float
    stopped_early: bool
    bicubic: dict[str, float]
    start: dict[str, float]
    best: dict[str, float]
    end: dict[str, float]

    @property
    def model(self) -> Path:
        """The weights at the end."""
        return self.run / "model.safetensors"

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
