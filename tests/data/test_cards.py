from __future__ import annotations

import time
from pathlib import Path

import pytest

from medsr.core.errors import UsageError
from medsr.data import cards
from medsr.data.cards import Pattern

SMALL = """
name: mine
title: mine
licence: mine
files:
  image: "{subject}_{id}.png"
"""


def _card(folder: Path, text: str) -> Path:
    path = folder / "card.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("card", cards.shipped(), ids=lambda card: card.name)
def test_every_shipped_card_says_what_a_user_must_know(card: cards.Card) -> None:
    assert card.licence
    assert card.released_weights in ("yes", "no", "not known")
    if not card.name.startswith("generic"):
        assert card.about
        assert card.citation
    assert cards.load(card.name) == card


def test_the_cards_the_user_was_promised_are_there() -> None:
    names = {card.name for card in cards.shipped()}
    assert names >= {
        "drive", "stare", "chase_db1", "shenzhen", "montgomery", "nih_chestxray14", "div2k", "set5", "set14", "bsd100",
        "ixi", "generic_images", "generic_volumes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "name", "fields"),
    [
        ("{id}.png", "deep/er/7.PNG", {"id": "7"}),
        ("{subject}/{id}.png", "all/ann/1.png", {"subject": "ann", "id": "1"}),
        ("{subject}/{id}.png", "1.png", None),
        ("a*_{n:[0-9]{2}}?.tif", "x/abc_07b.tif", {"n": "07"}),
        ("a*_{n:[0-9]{2}}?.tif", "x/abc_7.tif", None),
        ("im{id:[0-9]+}.ppm", "archive.tar/im12.ppm", {"id": "12"}),
        ("x.png", "ax.png", None),
        ("{id}(1).png", "a(1).png", {"id": "a"}),
    ],
)
def test_patterns_fit_the_end_of_a_path(pattern: str, name: str, fields: dict[str, str] | None) -> None:
    assert Pattern(pattern).match(name) == fields


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("licens: x", "did you mean 'licence'"),
        ("split: {train: 0.8, test: 0.3}", "add up to 1.2"),
        ("ground_truth: {stride: 5}", "stride: needs a crop"),
        ("ground_truth: {crop: 5, stride: 6}", "would be lost"),
        ("split: {parts: {a: train}}", "no pattern has a field {part}"),
        ("split: {parts: {a: trian}}", "split.parts"),
        ("kind: pictures", "kind"),
        ("name: again", "given twice"),
    ],
)
def test_a_wrong_card_is_refused_in_one_line(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        cards.load(_card(tmp_path, SMALL + change + "\n"))
    assert said in str(error.value)
    assert "card.yml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ('{mask: "{id}.png"}', "no 'image'"),
        ('{image: "{id}.png", mask: "{subject}.png"}', "shares no field"),
        ('{image: "{id:[}.png"}', "[}"),
        ('{image: "{id}_{id}.png"}', "{id}"),
        ('{image: "{id}.png", ../escaped: "{id}_m.png"}', "names a folder"),
        ('{image: "{id}.png", train: "{id}_m.png"}', "names a folder"),
        ('{image: "{id}.png", .work: "{id}_m.png"}', "names a folder"),
    ],
)
def test_patterns_that_cannot_work_are_refused(tmp_path: Path, files: str, said: str) -> None:
    text = f"name: mine\ntitle: mine\nlicence: mine\nfiles: {files}\n"
    with pytest.raises(UsageError) as error:
        cards.load(_card(tmp_path, text))
    assert said in str(error.value)


def test_an_unknown_card_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'drive'"):
        cards.load("drvie")


@pytest.mark.parametrize(
    "text",
    ["{id:(a+)+}b.png", "{id:(?:a|a)*}b.png", "{id:(?=a)a}.png", "{id:" + "a+" * 20 + "}.png", "x" * 400 + "{id}.png"],
)
def test_patterns_whose_search_may_never_end_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"repeats a group|look-around|longer than"):
        Pattern(text)


def test_a_name_that_does_not_fit_is_seen_at_once() -> None:
    pattern = Pattern("{id:a+a+a+a+a+a+}*b.png")
    begin = time.process_time()
    assert pattern.match("a" * 4000) is None
    assert pattern.match("x/aaaaaaab.png") == {"id": "aaaaaaa"}
    assert time.process_time() - begin < 1
