"""Reports repeat the cards of bundled models."""

from __future__ import annotations

from medsr.commands.card_sections import card_sections


def test_a_report_repeats_the_card_of_each_bundled_model_once() -> None:
    sections = card_sections(
        ["bicubic", "medsr-mri alone", "medsr-mri together", "medsr-retina-x2", "mine.safetensors"]
    )
    assert [section.title for section in sections] == [
        "What was measured of medsr-mri",
        "What was measured of medsr-retina-x2",
    ]
    assert [row[0] for row in sections[0].tables[0].rows] == ["Gain", "Lesions"]
    assert "the worst scan gains +1.14 dB" in sections[0].tables[0].rows[0][1]
