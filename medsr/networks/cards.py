"""The cards of the models that come with medsr: what was measured of each, for whoever is about to trust a result."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from medsr.networks import weight_store

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


@lru_cache
def measured(name: str) -> tuple[str, ...]:
    """What its card measured, one paragraph each: its gain with the worst case, and what it leaves of lesions."""
    path = card_path(name)
    if path is None:
        return ()
    text = path.read_text(encoding="utf-8")
    return tuple(f"{title}: {_plain(paragraph)}" for title, paragraph in PARAGRAPH.findall(text))


def _plain(paragraph: str) -> str:
    return " ".join(LINK.sub("", paragraph).replace("**", "").split())
