"""`medsr volume` and `medsr cohort volume` find the same scans, however they lie, and name what they leave out."""

from __future__ import annotations

import bz2
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import generate_uid

import medsr
from medsr.batch.status import read
from medsr.commands.cohort import find
from medsr.commands.volume.files import plan
from medsr.io.scans import expand
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_bare, write_dicomdir

COUNT = 6


def slices(places: Callable[[int], Path], **changes: object) -> None:
    """A series of six slices; `places` says where each goes."""
    uid = generate_uid(None)
    for k in range(COUNT):
        path = places(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        slice_of(k, SeriesInstanceUID=uid, **changes).save_as(path, enforce_file_format=True)


def nifti(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    nib.Nifti1Image(values, np.diag([1, 1, 3, 1])).to_filename(path)


def chunks(root: Path) -> None:
    slices(lambda k: root / "p" / f"DIR{k // 2:03d}" / f"IM{k}")


def odd_and_even(root: Path) -> None:
    slices(lambda k: root / "p" / "AB"[k % 2] / f"IM{k}")


def equal_numbers(root: Path) -> None:
    slices(lambda k: root / "p" / "AB"[k % 2] / f"IM{k}", InstanceNumber=1)


def main_folder_and_below(root: Path) -> None:
    slices(lambda k: root / "p" / (f"IM{k}" if k < 4 else f"SUB/IM{k}"))


def another_series_below(root: Path) -> None:
    slices(lambda k: root / "p" / f"IM{k}")
    slices(lambda k: root / "p" / "T2" / f"IM{k}")


def two_series_in_a_folder(root: Path) -> None:
    slices(lambda k: root / "p" / f"A{k}")
    slices(lambda k: root / "p" / f"B{k}")


def copies(root: Path) -> None:
    slices(lambda k: root / "p" / f"IM{k}")
    shutil.copytree(root / "p", root / "backup")


def beside_a_nifti(root: Path) -> None:
    slices(lambda k: root / "p" / f"IM{k}")
    nifti(root / "p" / "mask.nii.gz")


def zips(root: Path) -> None:
    slices(lambda k: root / "s" / f"IM{k}")
    with zipfile.ZipFile(root / "scan.zip", "w") as archive:
        for path in sorted((root / "s").iterdir()):
            archive.write(path, f"a/{path.name}")
    shutil.rmtree(root / "s")
    nifti(root / "v.nii.gz")
    with zipfile.ZipFile(root / "volume.zip", "w") as archive:
        archive.write(root / "v.nii.gz", "sub/v.nii.gz")
    (root / "v.nii.gz").unlink()


def no_scan_in_a_zip(root: Path) -> None:
    nifti(root / "v.nii.gz")
    with zipfile.ZipFile(root / "papers.zip", "w") as archive:
        archive.writestr("a.txt", "x")


def suffix_img(root: Path) -> None:
    slices(lambda k: root / "p" / f"IM{k}.img")


def without_preamble(root: Path) -> None:
    uid = generate_uid(None)
    for k in range(COUNT):
        write_bare(root / "p" / f"IM{k}", slice_of(k, SeriesInstanceUID=uid))


def wrong_names(root: Path) -> None:
    nifti(root / "a.nii")
    (root / "a.nii").rename(root / "a.dat")
    nifti(root / "b.nii")
    (root / "b.nii").rename(root / "b.nii.gz")


def a_disc(root: Path) -> None:
    slices(lambda k: root / "\u00c9tude \u75c5\u9662" / "S\u00e9rie 3" / f"IM {k}")
    (root / "AUTORUN.INF").write_text("[autorun]")
    (root / "VIEWER").mkdir()
    (root / "VIEWER" / "v.exe").write_bytes(b"MZ" + bytes(500))
    write_dicomdir(root / "DICOMDIR")


def a_linked_folder(root: Path) -> None:
    outside = root.parent / f"{root.name}_elsewhere"
    slices(lambda k: outside / f"IM{k}")
    (root / "linked").symlink_to(outside)
    (root / "empty").mkdir()
    (root / "circle").symlink_to(root)


def hidden_files(root: Path) -> None:
    slices(lambda k: root / "p" / f"IM{k}")
    shutil.copy(root / "p" / "IM0", root / "p" / "._IM0")
    nifti(root / ".trash" / "old.nii.gz")


def a_tree_as_in_bids(root: Path) -> None:
    for subject in ("sub-01", "sub-02"):
        nifti(root / subject / "anat" / f"{subject}_T1w.nii.gz")
        (root / subject / "anat" / f"{subject}_T1w.json").write_text("{}")


def header_and_data(root: Path) -> None:
    values = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    nib.Nifti1Pair(values, np.eye(4)).to_filename(root / "a.hdr")


def a_result_of_ours(root: Path) -> None:
    nifti(root / "a.nii.gz")
    nifti(root / "fine.nii.gz")
    (root / "fine.json").write_text('{"tool": "medsr"}')
    (root / "fine_preview.png").write_bytes(b"x")


LAYOUTS: dict[Callable[[Path], None], list[str]] = {
    chunks: ["p"],
    odd_and_even: ["p"],
    equal_numbers: ["p"],
    main_folder_and_below: ["p"],
    another_series_below: ["p", "p/T2"],
    two_series_in_a_folder: ["p", "p"],
    copies: ["backup", "p"],
    beside_a_nifti: ["p", "p/mask.nii.gz"],
    zips: ["scan.zip", "volume.zip"],
    no_scan_in_a_zip: ["v.nii.gz"],
    suffix_img: ["p"],
    without_preamble: ["p"],
    wrong_names: ["a.dat", "b.nii.gz"],
    a_disc: ["\u00c9tude \u75c5\u9662/S\u00e9rie 3"],
    a_linked_folder: ["linked"],
    hidden_files: ["p"],
    a_tree_as_in_bids: ["sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"],
    header_and_data: ["a.hdr"],
    a_result_of_ours: ["a.nii.gz"],
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_both_find_the_same(layout: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    layout(root)
    out = tmp_path / "out"
    matches = expand([root])
    targets, _ = plan(matches.scans, out, False)
    planned = find.scans([str(root)], out, False, False)
    assert [(str(target.scan), str(target.volume), target.series) for target in targets] == [
        (item.source, item.target, item.series) for item in planned.items
    ]
    assert [os.path.relpath(target.scan, root) for target in targets] == LAYOUTS[layout]
    for target in targets:
        assert min(volume_io.read(target.scan, target.series).stored.shape) >= 4, target
    assert planned.notes == ([matches.note()] if matches.left_out else [])


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    a_disc(tmp_path / "in")
    lines: list[str] = []
    medsr.volume(tmp_path / "in", tmp_path / "out", model="cubic", notify=lines.append)
    assert "left out, not scans: AUTORUN.INF, v.exe" in lines


def test_what_another_program_packed_fails_by_its_name(tmp_path: Path) -> None:
    root = tmp_path / "in"
    nifti(root / "a.nii")
    (root / "b.nii.bz2").write_bytes(bz2.compress((root / "a.nii").read_bytes()))
    with zipfile.ZipFile(root / "outer.zip", "w") as archive:
        archive.write(root / "a.nii", "inner.zip")
    outcomes = medsr.volume(root, tmp_path / "out", model="cubic")
    errors = {outcome.input.name: str(outcome.error) for outcome in outcomes if outcome.error}
    assert "packed by bzip2" in errors.pop("b.nii.bz2")
    assert "holds another zip (inner.zip)" in errors.pop("outer.zip")
    assert not errors


def test_a_damaged_file_is_a_scan_that_fails_and_costs_no_other(tmp_path: Path) -> None:
    root = tmp_path / "in"
    nifti(root / "a.nii.gz")
    with zipfile.ZipFile(root / "cut.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(root / "a.nii.gz", "v.nii.gz")
    content = bytearray((root / "cut.zip").read_bytes())
    content[38:58] = b"\xff" * 20
    (root / "cut.zip").write_bytes(content)
    (root / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\x08\0\x16\0UI\xff\xffgarbage")
    outcomes = medsr.volume(root, tmp_path / "out", model="cubic")
    assert {outcome.input.name: outcome.error is None for outcome in outcomes}["a.nii.gz"]
    assert {outcome.input.name for outcome in outcomes if outcome.error} >= {"cut.zip"}


@pytest.mark.slow
def test_a_cohort_refines_series_spread_over_folders_as_volume_does(tmp_path: Path) -> None:
    root = tmp_path / "in"
    slices(lambda k: root / "a" / f"DIR{k // 2}" / f"IM{k}")
    slices(lambda k: root / "b" / f"one{k}")
    slices(lambda k: root / "b" / f"two{k}")
    medsr.volume(root, tmp_path / "one", model="cubic")
    medsr.cohort("volume", root, out=tmp_path / "many", model="cubic")
    names = ["a.nii.gz", "b_1.nii.gz", "b_2.nii.gz"]
    for out in ("one", "many"):
        assert sorted(Path(row.output).name for row in read(tmp_path / out / "status.tsv")) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_all_slices_of_a_glob_are_their_scan(tmp_path: Path) -> None:
    slices(lambda k: tmp_path / "p" / f"IM{k}.dcm")
    assert [scan.path for scan in expand([str(tmp_path / "p" / "*.dcm")]).scans] == [tmp_path / "p"]
    assert len(expand([str(tmp_path / "p" / "IM[0-2].dcm")]).scans) == 3
