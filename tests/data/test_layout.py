from __future__ import annotations

import random
from pathlib import Path

import pytest

from medsr.core.errors import InputError
from medsr.data import cards, layout

DRIVE = [f"DRIVE/training/images/{n}_training.tif" for n in range(21, 41)]
DRIVE += [f"DRIVE/training/1st_manual/{n}_manual1.gif" for n in range(21, 41)]
DRIVE += [f"DRIVE/training/mask/{n}_training_mask.gif" for n in range(21, 41)]
DRIVE += [f"DRIVE/test/images/{n:02d}_test.tif" for n in range(1, 21)]
DRIVE += [f"DRIVE/test/1st_manual/{n:02d}_manual1.gif" for n in range(1, 21)]
DRIVE += [f"DRIVE/test/2nd_manual/{n:02d}_manual2.gif" for n in range(1, 21)]
DRIVE += [f"DRIVE/test/mask/{n:02d}_test_mask.gif" for n in range(1, 21)]

OWNERS = {
    "drive": (DRIVE, 40, "01_test", {"image", "field_of_view", "vessels"}),
    "stare": (
        [f"all-images.zip/im{n:04d}.ppm" for n in range(1, 398)] + ["labels-vk.tar/im0001.vk.ppm.gz.d/im0001.vk.ppm"],
        397,
        "im0001",
        {"image", "vessels"},
    ),
    "chase_db1": (
        [
            f"Image_{n:02d}{eye}{end}"
            for n in range(1, 15)
            for eye in "LR"
            for end in (".jpg", "_1stHO.png", "_2ndHO.png")
        ],
        28,
        "Image_01L",
        {"image", "vessels", "vessels_second"},
    ),
    "shenzhen": (
        [f"ChinaSet_AllFiles/CXR_png/CHNCXR_{n:04d}_{n % 2}.png" for n in range(1, 663)]
        + [f"ChinaSet_AllFiles/ClinicalReadings/CHNCXR_{n:04d}_{n % 2}.txt" for n in range(1, 663)],
        662,
        "CHNCXR_0001_1",
        {"image"},
    ),
    "montgomery": (
        [
            f"MontgomerySet/{folder}/MCUCXR_{n:04d}_0.png"
            for n in range(1, 139)
            for folder in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask")
        ],
        138,
        "MCUCXR_0001_0",
        {"image", "left_lung", "right_lung"},
    ),
    "nih_chestxray14": (
        [f"images_001.tar.gz/images/{n:08d}_{m:03d}.png" for n in range(1, 50) for m in range(3)],
        147,
        "00000001_000",
        {"image"},
    ),
    "div2k": (
        [f"DIV2K_train_HR/{n:04d}.png" for n in range(1, 801)]
        + [f"DIV2K_valid_HR/{n:04d}.png" for n in range(801, 901)]
        + [f"DIV2K_train_LR_bicubic/X2/{n:04d}x2.png" for n in range(1, 801)],
        900,
        "0001",
        {"image"},
    ),
    "set5": ([f"Set5/{n}.png" for n in ("baby", "bird", "butterfly", "head", "woman")], 5, "baby", {"image"}),
    "set14": (
        [f"Set14/image_SRF_4/img_{n:03d}_SRF_4_{kind}.png" for n in range(1, 15) for kind in ("HR", "LR")],
        14,
        "img_001_SRF_4_HR",
        {"image"},
    ),
    "bsd100": ([f"BSD100/{n}.png" for n in range(101085, 101185)], 100, "101085", {"image"}),
    "ixi": (
        [f"IXI-{kind}.tar/IXI{n:03d}-Guys-0828-{kind}.nii.gz" for n in (2, 12) for kind in ("T1", "T2")],
        4,
        "IXI002-Guys-0828-T1",
        {"image"},
    ),
}


@pytest.mark.parametrize("name", sorted(OWNERS))
def test_what_the_owner_ships_is_understood_in_any_order(name: str) -> None:
    names, count, first, roles = OWNERS[name]
    card = cards.load(name)
    items = layout.match(card, names)
    assert len(items) == count
    assert items[0].id == first
    assert set(items[0].files) == roles
    shuffled = random.Random(0).sample(names, len(names))
    assert layout.match(card, shuffled) == items


@pytest.mark.parametrize("name", sorted(OWNERS))
def test_nobody_elses_card_takes_it_for_its_own(name: str) -> None:
    classics = {"set5", "set14", "bsd100"}  # their pairs have the same names, only the folder above tells them apart
    alike = classics if name in classics else {name}
    others = [card for card in cards.shipped() if card.name not in alike and not card.tells_nobody]
    taken = [card.name for card in others if layout.match(card, OWNERS[name][0])]
    assert not taken


def test_each_image_gets_its_own_companions() -> None:
    flat = [name.rpartition("/")[2] for name in DRIVE]
    for item in layout.match(cards.load("drive"), flat):
        number = item.id.partition("_")[0]
        assert item.files["vessels"] == (f"{number}_manual1.gif",)
        assert item.files["field_of_view"] == (f"{item.id}_mask.gif",)
        assert item.part == item.id.partition("_")[2]


def test_eyes_are_not_mixed_up_and_belong_to_their_child() -> None:
    items = layout.match(cards.load("chase_db1"), OWNERS["chase_db1"][0])
    assert {item.subject for item in items} == {f"{n:02d}" for n in range(1, 15)}
    left = next(item for item in items if item.id == "Image_03L")
    assert left.files["vessels"] == ("Image_03L_1stHO.png",)


def test_images_of_one_name_in_different_folders_are_different_images() -> None:
    items = layout.match(cards.load("generic_images"), ["ann/1.png", "bob/1.png", "__MACOSX/bob/1.png", ".x/2.png"])
    assert [item.id for item in items] == ["ann__1", "bob__1"]


def test_a_wrong_folder_is_told_what_was_expected_what_was_found_and_what_it_looks_like(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"{n:08d}_000.png").write_bytes(b"")
    with pytest.raises(InputError) as error:
        layout.find(cards.load("drive"), tmp_path)
    text = str(error.value)
    assert "{id:[0-9]+}_{part:training|test}.tif" in text
    assert "5 files (00000000_000.png" in text
    assert "looks like nih_chestxray14" in text


def test_archives_are_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "training.zip").write_bytes(b"")
    with pytest.raises(InputError, match="medsr prepare drive"):
        layout.find(cards.load("drive"), tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        layout.find(cards.load("drive"), tmp_path / "nowhere")


def test_ids_are_unique_whatever_the_names_are() -> None:
    names = ["a/b.png", "a__b.png", "A__B.png", "x@y.png", "x_y.png"]
    ids = [item.id for item in layout.match(cards.load("generic_images"), names)]
    assert len({one.lower() for one in ids}) == len(names)
    assert not [one for one in ids if "@" in one]


def test_the_folders_own_name_counts(tmp_path: Path) -> None:
    (tmp_path / "DIV2K_train_HR").mkdir()
    (tmp_path / "DIV2K_train_HR/0001.png").write_bytes(b"")
    assert len(layout.find(cards.load("div2k"), tmp_path / "DIV2K_train_HR")) == 1
