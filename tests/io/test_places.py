from __future__ import annotations

import os
from pathlib import Path

import pytest

from medsr.core.errors import UsageError
from medsr.io import places
from medsr.io.places import Writing, check


def _writing(source: Path, target: Path) -> Writing:
    return Writing(source, [source], [target])


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("way", ["link to the folder", "link to the file", "dots"])
def test_an_input_is_known_by_whatever_path_leads_to_it(tmp_path: Path, way: str) -> None:
    source = _file(tmp_path / "in/eye.png")
    target = tmp_path / "out/eye.png"
    if way == "link to the folder":
        (tmp_path / "out").symlink_to(tmp_path / "in")
    elif way == "link to the file":
        (tmp_path / "out").mkdir()
        target.symlink_to(source)
    else:
        target = tmp_path / "in/../in/./eye.png"
    with pytest.raises(UsageError, match="would overwrite the input"):
        check([_writing(source, target)])


def test_a_result_in_the_place_of_another_input_is_refused(tmp_path: Path) -> None:
    first, second = _file(tmp_path / "a/eye.png"), _file(tmp_path / "b/eye.png")
    with pytest.raises(UsageError, match=r"a/eye.png: .* would overwrite the input .*b/eye.png"):
        check([_writing(first, second), _writing(second, tmp_path / "b/b/eye.png")])


def test_both_of_two_inputs_with_one_result_are_named_and_nobody_else(tmp_path: Path) -> None:
    sources = [_file(tmp_path / name) for name in ("a/1.png", "b/1.png", "b/2.png")]
    clashes = check([_writing(source, tmp_path / "out" / source.name) for source in sources])
    assert sorted(clashes) == [0, 1]
    assert "a/1.png and " in clashes[1]


@pytest.mark.parametrize(("folds", "clash"), [(True, [0, 1]), (False, [])])
@pytest.mark.parametrize("names", [("Eye.PNG", "eye.png"), ("\u00e4.png", "a\u0308.png"), ("L/1.png", "l/1.png")])
def test_names_are_one_where_the_disk_takes_them_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], folds: bool, clash: list[int]
) -> None:
    monkeypatch.setattr(places, "folds_names", lambda _: folds)
    sources = [_file(tmp_path / folder / "x.png") for folder in "ab"]
    measured = check([_writing(one, tmp_path / "out" / name) for one, name in zip(sources, names, strict=True)])
    assert sorted(measured) == clash


def test_this_disk_is_asked_whether_it_folds_names(tmp_path: Path) -> None:
    (tmp_path / "Aa").touch()
    assert places.folds_names(tmp_path) == (tmp_path / "aA").exists()
    assert {path.name for path in tmp_path.iterdir()} - {"home"} == {"Aa"}


def test_hard_links_among_results_are_no_clash(tmp_path: Path) -> None:
    first = _file(tmp_path / "out/1.png")
    os.link(first, tmp_path / "out/2.png")
    sources = [_file(tmp_path / name) for name in ("1.png", "2.png")]
    assert check([_writing(source, tmp_path / "out" / source.name) for source in sources]) == {}
