"""The cards of bundled models say what was measured, in a form that the page repeats."""

from __future__ import annotations

import re

import pytest

from medsr.networks import cards, weight_store

BUNDLED = [name for name, entry in weight_store.entries().items() if entry.suits]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_card_begins_with_a_gain_and_lesions_and_its_tables_hold_the_gain(name: str) -> None:
    gain, lesions = cards.measured(name)
    assert gain.startswith("Gain: ")
    assert lesions.startswith("Lesions: ")
    assert "**" not in gain + lesions
    assert "](" not in gain + lesions
    card = cards.card_path(name)
    assert card is not None
    figures = card.read_text(encoding="utf-8").split("\n## ", 1)[1]
    told = re.findall(r"[+-]\d\.\d\d", gain)
    assert told
    assert [figure for figure in told if figure not in figures] == []


def test_what_did_not_come_with_medsr_has_no_card() -> None:
    assert cards.card_path("bicubic") is None
    assert cards.card_path("realesrgan-x2plus") is None
    assert cards.measured("../manifest") == ()
