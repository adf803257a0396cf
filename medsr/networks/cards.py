"""The cards of the models that come with medsr: what was measured of each, for whoever is about to trust a result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from medsr.networks import weight_store
from medsr.report.page import Section, Table

PARAGRAPH = re.compile(r"^\*\*(Gain|Lesions)\.\*\*\s(.+?)\n\s*\n", re.MULTILINE | re.DOTALL)
"""What a card says first of its figures."""
LINK = re.compile(r"\s*\(\[[^\]]*\]\([^)]*\)\)")
"""A reference to another part of the card, in brackets of its own."""


def card_path(name: str) -> Path | None:
    """The card of a model that came with medsr; None for all others."""
    entry = weight_store.entries().get(name)
    if entry is None or not entry.suits:
        return None
    path = entry.path.with_suffix(".md")
    return path if path.is_file() else None


REPEATED = "Repeated from the model's card. Its figures are of the images that the card names, not of these."


@lru_cache
def measured(name: str) -> tuple[str, ...]:
    """What its card measured, one paragraph each: its gain with the worst case, and what it leaves of lesions."""
    path = card_path(name)
    if path is None:
        return ()
    text = path.read_text(encoding="utf-8")
    return tuple(f"{title}: {_plain(paragraph)}" for title, paragraph in PARAGRAPH.findall(text))


def sections(models: Iterable[str], text: str = REPEATED) -> list[Section]:
    """What a report repeats from the cards, a section for each model that came with medsr; nothing of others.

    `models`: by the names of a table's rows, which may go on after the model's own with what was done with it.
    """
    names = dict.fromkeys(name.partition(" ")[0] for name in models)
    return [
        Section(f"What was measured of {name}", text, [Table(["", ""], rows, text=True)])
        for name in names
        if (rows := [paragraph.split(": ", 1) for paragraph in measured(name)])
    ]


def _plain(paragraph: str) -> str:
    return " ".join(LINK.sub("", paragraph).replace("**", "").split())
