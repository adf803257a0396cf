from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.commands.prepare.splits import assign_splits
from medsr.core.errors import UsageError
from medsr.data.cards import SplitRule
from medsr.data.layout import LayoutItem


def _items(subjects: list[str], part: str = "") -> list[LayoutItem]:
    return [
        LayoutItem(f"{n}_{subject}", subject, part, {"image": (f"{n}_{subject}.png",)})
        for n, subject in enumerate(subjects)
    ]


@settings(deadline=None)
@given(
    subjects=st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=40),
    seed=st.integers(0, 99),
    alike=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=5),
)
def test_nobody_is_in_two_parts(subjects: list[str], seed: int, alike: list[tuple[int, int]]) -> None:
    items = _items(subjects)
    pairs = [(items[a].id, items[b].id) for a, b in alike if max(a, b) < len(items)]
    splits, _ = assign_splits(items, SplitRule(seed=seed), {}, {}, pairs)
    assert set(splits) == {item.id for item in items}
    where: dict[str, set[str]] = {}
    for item in items:
        where.setdefault(item.subject, set()).add(splits[item.id])
    assert all(len(several) == 1 for several in where.values())
    assert all(splits[a] == splits[b] for a, b in pairs)


def test_the_shares_are_those_asked_for_and_the_seed_draws() -> None:
    items = _items([f"s{n}" for n in range(100)])
    first, _ = assign_splits(items, SplitRule(train=0.7, validation=0.2, test=0.1), {}, {}, [])
    assert Counter(first.values()) == {"train": 70, "validation": 20, "test": 10}
    other, _ = assign_splits(items, SplitRule(train=0.7, validation=0.2, test=0.1, seed=1), {}, {}, [])
    assert first != other


def test_order_and_a_missing_file_change_nothing_for_the_others() -> None:
    items = _items([f"s{n}" for n in range(50)])
    full, _ = assign_splits(items, SplitRule(), {}, {}, [])
    again, _ = assign_splits(items[::-1], SplitRule(), {}, {}, [])
    assert full == again
    fewer, _ = assign_splits(items[1:], SplitRule(), {}, {}, [])
    assert sum(full[item_id] != fewer[item_id] for item_id in fewer) <= 2  # those at the two borders


def test_the_owners_parts_are_kept_and_validation_comes_out_of_train() -> None:
    items = _items([f"a{n}" for n in range(20)], "training") + [
        LayoutItem(f"t{n}", f"t{n}", "TEST", {"image": (f"t{n}.png",)}) for n in range(5)
    ]
    splits, notes = assign_splits(items, SplitRule(parts={"training": "train", "test": "test"}), {}, {}, [])
    assert Counter(splits.values()) == {"train": 18, "validation": 2, "test": 5}
    assert {item_id for item_id, split in splits.items() if split == "test"} == {f"t{n}" for n in range(5)}
    assert not notes


def test_the_owners_lists_are_kept() -> None:
    items = _items(["a", "a", "b"])
    lists = {"train": frozenset({"0_a.png", "1_a.png"}), "test": frozenset({"2_b.png"})}
    splits, _ = assign_splits(items, SplitRule(validation=0, train=1, test=0), lists, {}, [])
    assert [splits[item.id] for item in items] == ["train", "train", "test"]


def test_a_subject_its_owner_tore_apart_is_kept_out_of_train_and_said() -> None:
    items = _items(["a", "a", "b"])
    lists = {"train": frozenset({"0_a.png", "2_b.png"}), "test": frozenset({"1_a.png"})}
    splits, notes = assign_splits(items, SplitRule(validation=0, train=1, test=0), lists, {}, [])
    assert [splits[item.id] for item in items] == ["test", "test", "train"]
    assert "several of the owner's parts" in notes[0]


def test_the_patient_in_a_dicom_header_holds_images_together() -> None:
    items = _items([f"s{n}" for n in range(30)])
    patients = {items[3].id: "x", items[17].id: "x", items[25].id: "x"}
    for seed in range(5):
        splits, _ = assign_splits(items, SplitRule(seed=seed), {}, patients, [])
        assert len({splits[item_id] for item_id in patients}) == 1


def test_a_part_the_card_does_not_know_is_an_error_not_training_data() -> None:
    with pytest.raises(UsageError, match="part 'test'; the card knows train"):
        assign_splits(_items(["a", "b"], "test"), SplitRule(parts={"train": "train"}), {}, {}, [])


def test_lists_may_leave_out_the_suffix_and_an_image_on_two_is_kept_out_of_train() -> None:
    items = _items(["a", "b"])
    lists = {"train": frozenset({"0_a", "1_b"}), "test": frozenset({"1_b"})}
    splits, _ = assign_splits(items, SplitRule(validation=0, train=1, test=0), lists, {}, [])
    assert [splits[item.id] for item in items] == ["train", "test"]
