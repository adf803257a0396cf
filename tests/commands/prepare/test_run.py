from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import medsr
from medsr.commands.prepare import steps
from medsr.core.errors import InputError, UsageError
from medsr.data import layout, manifest, sources
from medsr.data.cards import load
from medsr.io.images import image as image_io
from medsr.recipe import Data
from tests.helpers.cards import CARD, PEOPLE
from tests.helpers.images import write_png


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yml"
    path.write_text(CARD)
    return path


@pytest.fixture
def eyes(tmp_path: Path, fundus: np.ndarray) -> Path:
    """Two eyes of eight people, each different, with masks."""
    folder = tmp_path / "eyes"
    rng = np.random.default_rng(0)
    for person in PEOPLE:
        for eye in "LR":
            top, left = rng.integers(0, 150, 2)
            write_png(folder / f"{person}_{eye}.png", fundus[top : top + 100, left : left + 96])
            mask = (rng.random((100, 96)) > 0.5).astype(np.uint8) * 255
            Pillow.fromarray(mask).convert("1").save(folder / f"{person}_{eye}_vessels.gif")
    return folder


def _bytes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_file_is_accounted_for_and_nobody_is_in_two_parts(card: Path, eyes: Path, tmp_path: Path) -> None:
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    rows = manifest.read(tmp_path / "out")
    assert rows is not None
    assert not result.failed
    images = [row for row in rows if row.role == "image"]
    assert len(images) == 16 * 3
    parts = {person: {row.part for row in rows if row.subject == person} for person in PEOPLE}
    assert all(len(several) == 1 for several in parts.values())
    counts = [sum(next(iter(p)) == part for p in parts.values()) for part in ("train", "validation", "test")]
    assert counts == [4, 2, 2]
    written = _bytes(tmp_path / "out")
    others = {"manifest.csv", "summary.html", "prepare.yml", "status.tsv"}
    assert {row.file: row.sha256 for row in rows} == {
        file: digest for file, digest in written.items() if file not in others
    }
    for row in rows:
        assert row.source_sha256 == hashlib.sha256((eyes / row.source).read_bytes()).hexdigest()
        if row.original and row.role == "image":
            output, source = (image_io.read(path).pixels for path in (tmp_path / "out" / row.file, eyes / row.source))
            np.testing.assert_array_equal(output, source)
    mask = np.asarray(Pillow.open(tmp_path / "out/vessels/ann_L.png"))
    np.testing.assert_array_equal(mask, np.asarray(Pillow.open(eyes / "ann_L_vessels.gif").convert("L")))
    page = (tmp_path / "out/summary.html").read_text()
    assert "my eyes" in page
    assert 'src="http' not in page


@pytest.mark.slow
def test_workers_change_nothing_and_a_second_run_does_nothing(card: Path, eyes: Path, tmp_path: Path) -> None:
    medsr.prepare(card, eyes, out=tmp_path / "one/eyes", workers=1)
    medsr.prepare(card, eyes, out=tmp_path / "two/eyes", workers=2)
    assert _bytes(tmp_path / "one/eyes") == _bytes(tmp_path / "two/eyes")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "one/eyes/train").iterdir()}
    medsr.prepare(card, eyes, out=tmp_path / "one/eyes", workers=1)
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "one/eyes/train").iterdir()}
    assert _bytes(tmp_path / "one/eyes") == _bytes(tmp_path / "two/eyes")


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_bytes(card: Path, eyes: Path, tmp_path: Path) -> None:
    medsr.prepare(card, eyes, out=tmp_path / "whole/out", workers=1)
    command = [sys.executable, "-m", "medsr", "prepare", str(card), str(eyes), "--out", str(tmp_path / "out")]
    command += ["--workers", "1"]
    rng = random.Random(0)
    kills = 0
    for _ in range(6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = rng.randrange(1, 40)  # killed after so many files, wherever that is
        while process.poll() is None and len(list((tmp_path / "out").rglob("*.png"))) < seen:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if (tmp_path / "out/manifest.csv").exists():
            break
    assert kills
    subprocess.run(command, check=True, capture_output=True)
    left = {name for name in _bytes(tmp_path / "out") if "/." in name}  # temporary files of a killed writer
    assert not left
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "whole/out")


def test_a_damaged_output_and_a_half_written_journal_are_made_good(card: Path, eyes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    medsr.prepare(card, eyes, out=out, workers=1)
    before = _bytes(out)
    victim = next(iter(sorted((out / "train").iterdir())))
    victim.write_bytes(victim.read_bytes()[:-100])
    (out / ".work").mkdir()
    (out / ".work/journal.jsonl").write_text('["look ann_L", {"stamp": "x", "lo')
    medsr.prepare(card, eyes, out=out, workers=1)
    assert _bytes(out) == before


def test_what_changed_in_the_source_changes_in_the_result_and_nothing_stays_behind(
    card: Path, eyes: Path, tmp_path: Path
) -> None:
    medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    (tmp_path / "fresh").mkdir()
    for eye in "LR":
        (eyes / f"bob_{eye}.png").rename(eyes / f"zoe_{eye}.png")
    medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    medsr.prepare(card, eyes, out=tmp_path / "fresh/out", workers=1)
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "fresh/out")
    assert not [name for name in _bytes(tmp_path / "out") if "bob" in name]


def test_other_settings_and_other_peoples_folders_are_refused(card: Path, eyes: Path, tmp_path: Path) -> None:
    medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    with pytest.raises(UsageError, match="other settings"):
        medsr.prepare(card, eyes, out=tmp_path / "out", workers=1, overrides=["split.seed=1"])
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.doc").write_text("x")
    with pytest.raises(UsageError, match="holds other files"):
        medsr.prepare(card, eyes, out=tmp_path / "theirs")
    (eyes / "deeper").mkdir()
    with pytest.raises(UsageError, match="holds the source"):
        medsr.prepare(card, eyes / "deeper", out=eyes)
    with pytest.raises(InputError, match="no such folder"):
        medsr.prepare(card, tmp_path / "nowhere", out=tmp_path / "new")


def test_out_may_lie_inside_the_source(card: Path, eyes: Path, tmp_path: Path) -> None:
    first = medsr.prepare(card, eyes, out=eyes / "made", workers=1)
    again = medsr.prepare(card, eyes, out=eyes / "made", workers=1)
    assert len(first.rows) == len(again.rows) == 16 * 4


@pytest.mark.slow
def test_archives_are_the_same_as_what_is_in_them(card: Path, eyes: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    with zipfile.ZipFile(packed / "eyes.zip", "w") as archive:
        for path in eyes.iterdir():
            archive.write(path, f"deep/{path.name}")
        archive.writestr("__MACOSX/deep/._ann_L.png", b"junk")
    medsr.prepare(card, eyes, out=tmp_path / "plain", workers=1)
    for number, source in enumerate((packed, packed / "eyes.zip")):
        out = tmp_path / f"out{number}"
        result = medsr.prepare(card, source, out=out, workers=1)
        assert not result.failed
        assert {k: v for k, v in _bytes(out).items() if k.endswith(".png")} == {
            k: v for k, v in _bytes(tmp_path / "plain").items() if k.endswith(".png")
        }
    shutil.copytree(eyes, packed / "unpacked")  # the usual download folder: the archive and what came out of it
    result = medsr.prepare(card, packed, out=tmp_path / "both", workers=1)
    assert not result.failed
    assert not [note for note in result.notes if "same pixels" in note]
    shutil.copy(eyes / "ann_L.png", packed / "unpacked/bob_L.png")
    result = medsr.prepare(card, packed, out=tmp_path / "torn", workers=1)
    assert "eyes.zip/deep/bob_L.png" in str(result.failed[0].error)
    assert "one name and different content" in str(result.failed[0].error)
    assert len(result.failed) == 1


def test_an_archive_that_leads_outside_stops_everything(card: Path, eyes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(eyes / "more.zip", "w") as archive:
        archive.writestr("../../ivy_L.png", (eyes / "ann_L.png").read_bytes())
    with pytest.raises(InputError, match=r"more\.zip.*leads outside"):
        medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    assert not list(tmp_path.rglob("ivy_L.png"))


def test_a_broken_image_costs_nobody_theirs(card: Path, eyes: Path, tmp_path: Path) -> None:
    (eyes / "ann_L.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (eyes / "bob_L_vessels.gif").write_bytes(b"GIF89a broken")
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    assert sorted(outcome.input.name for outcome in result.failed) == ["ann_L.png", "bob_L.png"]
    rows = manifest.read(tmp_path / "out") or []
    left_out = {row.id: row.note for row in rows if not row.file}
    assert set(left_out) == {"ann_L", "bob_L"}
    assert all(left_out.values())
    assert not [name for name in _bytes(tmp_path / "out") if "bob_L" in name]


def test_the_same_image_under_two_names_is_kept_once_and_its_people_stay_together(
    card: Path, eyes: Path, tmp_path: Path
) -> None:
    shutil.copy(eyes / "ann_L.png", eyes / "hal_R.png")
    for seed in range(3):
        result = medsr.prepare(card, eyes, out=tmp_path / f"out{seed}", workers=1, overrides=[f"split.seed={seed}"])
        rows = [row for row in result.rows if row.file]
        assert {row.part for row in rows if row.subject == "ann"} == {row.part for row in rows if row.subject == "hal"}
        assert [row.note for row in result.rows if not row.file] == ["same pixels as ann_L"]
        assert any("same pixels" in note for note in result.notes)


def test_patients_of_dicom_images_stay_together_and_their_names_stay_inside(tmp_path: Path) -> None:
    import pydicom
    from pydicom.data import get_testdata_file

    source = tmp_path / "dicom"
    source.mkdir()
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    noise = np.random.default_rng(0)
    for number in range(12):
        dataset.PatientID = f"PATIENT-{number // 4}"
        pixels = noise.integers(0, 200, (128, 128)).astype(np.int16)
        dataset.PixelData = pixels.tobytes()
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.save_as(source / f"{number:02d}.dcm")
    out = tmp_path / "out"
    overrides = ["split.train=0.4", "split.validation=0.3", "split.test=0.3"]
    result = medsr.prepare("generic_images", source, out=out, workers=1, overrides=overrides)
    part = {row.id: row.part for row in result.rows}
    for patient in range(3):
        assert len({part[f"{number:02d}"] for number in range(4 * patient, 4 * patient + 4)}) == 1
    for path in out.rglob("*"):
        assert not path.is_file() or b"PATIENT-" not in path.read_bytes()


def test_a_prepared_set_is_evaluated_and_trained_on_in_its_parts(card: Path, eyes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    medsr.prepare(card, eyes, out=out, workers=1)
    rows = manifest.read(out) or []
    items = layout.find(load(card), out)
    assert len(items) == 16
    assert all(set(files) == {"image", "vessels"} and all(f.is_file() for f in files.values()) for _, files in items)
    split = sources.split(Data(train=str(out), workers=0), 50, 0)
    assert len(split.train) == 8 * 2  # of three sizes the smallest is below 50 pixels
    assert len(split.held_out) == 4
    whose = {out / row.file: row.subject for row in rows if row.file}
    assert not {whose[source.path] for source in split.train} & {whose[path] for path in split.held_out}
    tests = {row.subject for row in rows if row.part == "test"}
    assert not tests & {whose[source.path] for source in split.train}
    with pytest.raises(InputError, match="was prepared as mine"):
        layout.find(load("drive"), out)


def test_volumes_are_taken_byte_for_byte(tmp_path: Path) -> None:
    import nibabel

    from tests.helpers.scans import smooth_volume

    source = tmp_path / "scans"
    source.mkdir()
    for number in range(6):
        nibabel.save(nibabel.Nifti1Image(smooth_volume(seed=number), np.eye(4)), source / f"sub-{number}.nii.gz")
    (source / "bad.nii.gz").write_bytes(b"no")
    result = medsr.prepare("generic_volumes", source, out=tmp_path / "out", workers=1)
    assert [outcome.input.name for outcome in result.failed] == ["bad.nii.gz"]
    rows = [row for row in result.rows if row.file]
    assert len(rows) == 6
    for row in rows:
        assert (tmp_path / "out" / row.file).read_bytes() == (source / row.source).read_bytes()
        assert row.size == "20x18x9"


def test_the_card_of_the_paper_gives_five_times_as_many_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(1, 4):
        pixels = np.repeat(np.repeat(rng.integers(0, 255, (40, 32), np.uint8), 40, 0), 40, 1)
        write_png(tmp_path / f"xray/CXR_png/CHNCXR_{number:04d}_0.png", pixels)
    result = medsr.prepare("shenzhen", tmp_path / "xray", out=tmp_path / "out", workers=1)
    assert len([row for row in result.rows if row.file]) == 15
    assert any("3 images found, a complete copy has 662" in note for note in result.notes)


def test_a_wrong_folder_ends_with_one_line_and_three(eyes: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "medsr", "prepare", "drive", str(eyes), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert re.match(r"medsr: .*eyes: not DRIVE.* expected 40 images named .*, found 32 files \(", lines[0])


@pytest.mark.slow
def test_drive_prepared_measures_as_drive_itself(real_data: Path, tmp_path: Path) -> None:
    small = tmp_path / "DRIVE"
    for part, numbers in (("training", ("21",)), ("test", ("01",))):
        for folder, end in (("images", f"{part}.tif"), ("mask", f"{part}_mask.gif"), ("1st_manual", "manual1.gif")):
            (small / part / folder).mkdir(parents=True)
            for number in numbers:
                shutil.copy(real_data / "retina/DRIVE" / part / folder / f"{number}_{end}", small / part / folder)
    medsr.prepare("drive", small, out=tmp_path / "out", workers=1)
    figures = []
    for folder in (small, tmp_path / "out"):
        result = medsr.evaluate("drive", folder, models=["bicubic"], json=tmp_path / "x.json", device="cpu")
        rows = json.loads((tmp_path / "x.json").read_text())["images"]
        assert len(rows) == len(result.ids) == 1
        figures.append(
            [{key: value for key, value in row.items() if key not in ("seconds", "memory_mb")} for row in rows]
        )
    assert figures[0] == figures[1]
    assert figures[0][0]["thin_vessel_sensitivity"] > 0


def test_half_an_image_that_is_gone_from_the_source_does_not_stay(card: Path, eyes: Path, tmp_path: Path) -> None:
    """Killed while making the crops of an image that is removed before the next run."""
    from medsr.batch.journal import Journal

    out = tmp_path / "out"
    crops = ["ground_truth.multiscale=null", "ground_truth.crop=32"]
    medsr.prepare(card, eyes, out=out, workers=1, overrides=crops)
    rows = [row for row in manifest.read(out) or [] if row.id == "ann_L" and row.file]
    (out / "manifest.csv").unlink()
    Journal(out / ".work/journal.jsonl").add("begin ann_L", {"folders": [rows[0].part, "image", "vessels"]})
    (eyes / "ann_L.png").unlink()
    (eyes / "ann_L_vessels.gif").unlink()
    (out / "train").mkdir(exist_ok=True)
    (out / "train/foreign.txt").write_text("mine")
    result = medsr.prepare(card, eyes, out=out, workers=1, overrides=crops)
    assert not [name for name in _bytes(out) if "ann_L" in name]
    assert (out / "train/foreign.txt").exists()
    assert any("foreign.txt" in note for note in result.notes)


def test_a_wrong_try_does_not_spoil_the_folder_and_words_of_a_card_do_not_count(
    card: Path, eyes: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        medsr.prepare("drive", eyes, out=tmp_path / "out", workers=1)
    medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    card.write_text(card.read_text().replace("my eyes", "my patients' eyes"))
    medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)


def test_a_pattern_that_cannot_tell_images_apart_is_told_so(eyes: Path, tmp_path: Path) -> None:
    card = tmp_path / "vague.yml"
    card.write_text('name: vague\ntitle: vague\nlicence: mine\nfiles: {image: "{subject:[a-z]+}_*.png"}\n')
    with pytest.raises(InputError, match=r"cannot tell them apart; say \{id\}"):
        medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)


def test_masks_keep_their_values_and_odd_ones_cost_only_their_image(card: Path, eyes: Path, tmp_path: Path) -> None:
    labels = Pillow.fromarray(np.array([[0, 1, 2]] * 3, np.uint8), "P")
    labels.putpalette([0, 0, 0, 200, 0, 0, 0, 100, 20])
    labels.save(eyes / "ann_L_vessels.gif")
    text = card.read_text().replace("_vessels.gif", "_vessels.*")
    card.write_text(text)
    Pillow.fromarray(np.zeros((3, 3), np.float32)).save(eyes / "bob_L_vessels.tif")
    (eyes / "bob_L_vessels.gif").unlink()
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    assert [outcome.input.name for outcome in result.failed] == ["bob_L.png"]
    assert "mode F" in str(result.failed[0].error)
    with Pillow.open(tmp_path / "out/vessels/ann_L.png") as kept:
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(Pillow.open(eyes / "ann_L_vessels.gif")))


def test_links_to_folders_are_followed_once(card: Path, eyes: Path, tmp_path: Path) -> None:
    source = tmp_path / "links"
    source.mkdir()
    (source / "eyes").symlink_to(eyes)
    (source / "loop").symlink_to(source)
    result = medsr.prepare(card, source, out=tmp_path / "out", workers=1)
    assert len({row.id for row in result.rows}) == 16


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(card: Path, eyes: Path, tmp_path: Path) -> None:
    import psutil

    command = [sys.executable, "-m", "medsr", "prepare", str(card), str(eyes), "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parent, workers = psutil.Process(process.pid), []
    for _ in range(400):
        workers = [
            process for process in parent.children(recursive=True) if "spawn_main" in " ".join(process.cmdline())
        ]
        if len(workers) == 2 or process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert workers
    assert not alive


def test_a_folder_that_cannot_be_made_is_named(card: Path, eyes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        medsr.prepare(card, eyes, out=tmp_path / "file/out", workers=1)


@pytest.mark.parametrize(
    "line",
    [
        ["make x", {"made": [{"file": "../thesis.png"}]}],
        ["make x", {"made": [{"file": "/tmp/thesis.png"}]}],
        ["make x", {"made": [{"file": "link/thesis.png"}]}],
        ["begin thesis", {"folders": [".."]}],
        ["begin ../thesis", {"folders": ["train"]}],
        ["make x", {"made": "all"}],
        ["make x", {}],
    ],
)
def test_a_journal_that_names_files_elsewhere_removes_nothing(
    line: list[object], card: Path, eyes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    thesis = tmp_path / "thesis.png"
    thesis.write_bytes(b"years of work")
    (out / ".work").mkdir(parents=True)
    (out / "link").symlink_to(tmp_path)
    (out / ".work/journal.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(UsageError):
        medsr.prepare(card, eyes, out=out, workers=1)
    assert thesis.read_bytes() == b"years of work"


def test_two_at_once_in_one_folder_are_not_possible(card: Path, eyes: Path, tmp_path: Path) -> None:
    from medsr.io.lock import held

    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "medsr", "prepare", str(card), str(eyes), "--out", str(out), "--workers", "1"]
    with held(out):
        other = subprocess.run(command, capture_output=True, text=True)
    assert other.returncode == UsageError.exit_code
    assert "another medsr prepare is at work there" in other.stderr
    assert not list(out.iterdir())
    medsr.prepare(card, eyes, out=out, workers=1)
    assert all((out / row.file).is_file() for row in manifest.read(out) or [] if row.file)


def test_names_that_are_not_utf8_cost_nobody_theirs(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3)).astype(np.uint8)
    names = (b"a.png", "M\u00fcller.png".encode("latin-1"), b"line\nend.png")
    for name, image in zip(names, pixels, strict=True):
        Pillow.fromarray(image).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(source / os.fsdecode(name))
    result = medsr.prepare("generic_images", source, out=tmp_path / "out", workers=1)
    assert sorted(row.id for row in result.rows if row.file) == ["M_xfcller", "a", "line_nend"]
    for row in result.rows:
        assert (tmp_path / "out" / row.file).is_file()


def test_no_mask_whatever_it_is_ends_the_set(card: Path, eyes: Path, tmp_path: Path) -> None:
    os.unlink(eyes / "ann_L_vessels.gif")
    os.mkfifo(eyes / "ann_L_vessels.gif")
    os.unlink(eyes / "bob_L_vessels.gif")
    (eyes / "bob_L_vessels.gif").symlink_to("/dev/zero")
    whole = (eyes / "cyd_L_vessels.gif").read_bytes()
    (eyes / "cyd_L_vessels.gif").write_bytes(whole[:40])
    (eyes / "dan_L_vessels.gif").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    lines: list[str] = []
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=1, notify=lines.append)
    assert sorted(outcome.input.name for outcome in result.failed) == ["cyd_L.png", "dan_L.png"]
    assert any("cannot open them: ann_L_vessels.gif, bob_L_vessels.gif" in line for line in lines)
    assert len({row.id for row in result.rows if row.file}) == 14


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_images_that_go_while_the_set_is_made_cost_nobody_theirs(
    card: Path, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    inspect_all = steps.inspect_all

    def removing(*arguments: Any) -> Any:
        (eyes / "ann_L.png").unlink()
        inspections = inspect_all(*arguments)
        (eyes / "bob_L.png").unlink()
        (eyes / "cyd_L_vessels.gif").unlink()
        return inspections

    monkeypatch.setattr(steps, "inspect_all", removing)
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=workers)
    assert sorted(outcome.input.name for outcome in result.failed) == ["ann_L.png", "bob_L.png", "cyd_L.png"]
    assert len({row.id for row in result.rows if row.file}) == 13


def test_a_bug_on_one_image_costs_nobody_theirs(
    card: Path, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = image_io.read_as_shown

    def failing(path: Path, bits: int | None = None) -> Any:
        if path.name == "ann_L.png":
            raise ZeroDivisionError("a library's")
        if path.name == "bob_L.png":
            raise MemoryError
        return read(path, bits)

    monkeypatch.setattr(image_io, "read_as_shown", failing)
    result = medsr.prepare(card, eyes, out=tmp_path / "out", workers=1)
    assert sorted(outcome.input.name for outcome in result.failed) == ["ann_L.png", "bob_L.png"]
    assert "out of memory" in str(result.failed[1].error)


def test_a_folder_above_may_have_any_name(card: Path, eyes: Path, tmp_path: Path) -> None:
    for name in (b"a\nb", b"M\xfcller", b" s "):
        above = tmp_path / os.fsdecode(name)
        above.mkdir()
        (above / "eyes").symlink_to(eyes)
        assert not medsr.prepare(card, above, out=tmp_path / f"out{name!r}", workers=1).failed
