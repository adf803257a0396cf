"""The recipes that came with medsr."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from medsr.core.resources import resource_dir


@dataclass(frozen=True)
class RecipeRow:
    """A recipe that `medsr finetune` may be given by name. `start_from`: weights it needs, empty for none."""

    name: str
    scale: int
    start_from: str
    about: str


def recipes() -> list[RecipeRow]:
    """All of them, those for daily use first, then those of papers."""
    folder = resource_dir("recipes")
    paths = sorted(folder.rglob("*.yml"), key=lambda path: (len(path.relative_to(folder).parts), path.stem))
    return [_row(path) for path in paths]


def _row(path: Path) -> RecipeRow:
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    start = (content.get("start_from") or {}).get("generator") or ""
    return RecipeRow(path.stem, content["scale"], start, _first_sentence(text))


def _first_sentence(text: str) -> str:
    """Of the comment that a recipe begins with."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    words = " ".join(line.lstrip("# ").strip() for line in comment)
    return re.split(r"(?<=[a-z0-9)])\. ", f"{words} ", maxsplit=1)[0].strip().rstrip(".")
