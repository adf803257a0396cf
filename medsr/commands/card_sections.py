"""What reports repeat from the cards of the models that come with medsr."""

from __future__ import annotations

from collections.abc import Iterable

from medsr.networks.cards import measured
from medsr.report.page import Section, Table

REPEATED = "Repeated from the model's card. Its figures are of the images that the card names, not of these."


def card_sections(models: Iterable[str], text: str = REPEATED) -> list[Section]:
    """What a report repeats from the cards, a section for each model that came with medsr; nothing of others.

    `models`: by the names of a table's rows, which may go on after the model's own with what was done with it.
    """
    names = dict.fromkeys(name.partition(" ")[0] for name in models)
    return [
        Section(f"What was measured of {name}", text, [Table(["", ""], rows, text=True)])
        for name in names
        if (rows := [paragraph.split(": ", 1) for paragraph in measured(name)])
    ]
