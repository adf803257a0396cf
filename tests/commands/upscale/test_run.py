from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsr.commands.upscale.run import plan, upscale
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.io.images import image as image_io
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png


def test_one_bad_file_never_stops_the_others(tmp_path: Path, tiny_model: Path, fundus: np.ndarray) -> None:
    inputs = [write_png(tmp_path / "in" / f"{name}.png", fundus[:40, :50]) for name in "abc"]
    inputs[1].write_bytes(inputs[1].read_bytes()[:300])
    outcomes = upscale(inputs, tmp_path / "out", model=tiny_model)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, InputError)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.png",
        "c.png",
        "status.tsv",
        "upscale.json",
    ]
    assert image_io.read(tmp_path / "out" / "a.png").pixels.shape == (80, 100, 3)


def test_every_kind_comes_back_in_its_own_format_depth_and_brightness(tmp_path: Path, tiny_model: Path) -> None:
    import tifffile

    field = (np.add.outer(np.arange(40), np.arange(48)) * 20 + 500).astype(np.uint16)  # 500 to 2240
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "twelve.tif", field)
    write_png(folder / "sixteen.png", field * 20)
    write_png(folder / "eight.png", (field // 16).astype(np.uint8))
    write_xray(folder / "plain.dcm", field)
    write_xray(folder / "inverted.dcm", field, "MONOCHROME1")
    write_xray(folder / "no_suffix", field)
    for model in ("bicubic", "lanczos", tiny_model):
        out = tmp_path / f"out-{Path(model).stem}"
        outcomes = upscale([folder], out, model=model)
        assert len(outcomes) == 6
        assert not [outcome.error for outcome in outcomes if outcome.error]
        for outcome in outcomes:
            before, after = image_io.read(outcome.input), image_io.read(outcome.output)
            assert after.pixels.dtype == before.pixels.dtype
            assert after.window == before.window
            assert after.pixels.shape == (80, 96, 1)
            difference = abs(after.to_unit().mean() - before.to_unit().mean())
            assert difference < (0.001 if isinstance(model, str) else 0.05)
            assert outcome.output.suffix == (outcome.input.suffix or ".dcm")


def test_an_inverted_radiograph_gives_the_same_picture_as_a_plain_one(tmp_path: Path, tiny_model: Path) -> None:
    field = np.random.default_rng(0).integers(0, 4096, (30, 30)).astype(np.uint16)
    plain = write_xray(tmp_path / "plain.dcm", field)
    inverted = write_xray(tmp_path / "inverted.dcm", 4095 - field, "MONOCHROME1")
    outcomes = upscale([plain, inverted], tmp_path / "out", model=tiny_model)
    first, second = (image_io.read(outcome.output).pixels.astype(int) for outcome in outcomes)
    assert np.abs(first - (4095 - second)).max() <= 1


def test_folders_keep_their_structure(tmp_path: Path, fundus: np.ndarray) -> None:
    for name in ("left/1.png", "right/1.png"):
        write_png(tmp_path / "in" / name, fundus[:8, :8])
    upscale([tmp_path / "in"], tmp_path / "out", model="bicubic")
    assert (tmp_path / "out/left/1.png").is_file()
    assert (tmp_path / "out/right/1.png").is_file()


def test_two_results_in_one_file_and_overwriting_an_input_are_refused(tmp_path: Path, fundus: np.ndarray) -> None:
    one = write_png(tmp_path / "a" / "1.png", fundus[:8, :8])
    two = write_png(tmp_path / "b" / "1.png", fundus[:8, :8])
    with pytest.raises(UsageError, match="would both be written"):
        plan([one, two], tmp_path / "out")
    with pytest.raises(UsageError, match="overwrite the input"):
        plan([one], tmp_path / "a")
    with pytest.raises(UsageError, match="overwrite the input"):
        plan([tmp_path / "a", tmp_path / "b"], tmp_path / "b")
    assert len(plan([one, one], tmp_path / "out").jobs) == 1


def test_an_unwritable_folder_is_an_outcome_not_a_crash(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "a.png", fundus[:8, :8])
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    outcome = upscale([source], tmp_path / "out", model="bicubic")[0]
    assert isinstance(outcome.error, MedsrError)
    assert "cannot be written" in str(outcome.error)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "a.png", fundus[:8, :8])
    (tmp_path / "out").write_text("kept")
    with pytest.raises(UsageError, match="is not a folder"):
        upscale([source], tmp_path / "out", model="bicubic")
    assert (tmp_path / "out").read_text() == "kept"


def test_results_inside_the_input_folder_are_not_taken_for_inputs(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus[:8, :8])
    for _ in range(2):
        outcomes = upscale([tmp_path], tmp_path / "out", model="bicubic")
        assert [outcome.input.name for outcome in outcomes] == ["a.png"]


def test_a_file_with_the_wrong_suffix_stays_what_it_is(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus[:8, :8]).rename(tmp_path / "a.jpg")
    outcome = upscale([tmp_path / "a.jpg"], tmp_path / "out", model="bicubic")[0]
    assert outcome.output.name == "a.jpg.png"


def test_a_bug_on_one_file_does_not_cost_the_others(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.commands.upscale import run

    inputs = [write_png(tmp_path / f"{name}.png", fundus[:8, :8]) for name in "ab"]
    enlarge = run.image_io.upsampled

    def broken(image: image_io.Image, unit: np.ndarray) -> image_io.Image:
        if not (tmp_path / "out").exists():
            (tmp_path / "out").mkdir()
            raise ZeroDivisionError("oops")
        return enlarge(image, unit)

    monkeypatch.setattr(run.image_io, "upsampled", broken)
    outcomes = upscale(inputs, tmp_path / "out", model="bicubic")
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    assert "bug in medsr" in str(outcomes[0].error)


@pytest.mark.parametrize("factor", [0, -1, 17, float("nan")])
def test_impossible_factors_are_refused(tmp_path: Path, factor: float) -> None:
    with pytest.raises(UsageError, match="outscale"):
        upscale([tmp_path], tmp_path / "out", model="bicubic", outscale=factor)


@pytest.mark.parametrize(("inputs", "out"), [("photos/low", "photos"), ("photos", ".")])
def test_a_folder_above_the_input_gets_its_results(tmp_path: Path, fundus: np.ndarray, inputs: str, out: str) -> None:
    write_png(tmp_path / "photos/low/eye.png", fundus[:8, :8])
    for _ in range(2):
        outcomes = upscale([tmp_path / inputs], tmp_path / out, model="bicubic")
        assert [(one.input.name, one.error) for one in outcomes] == [("eye.png", None)]
        assert image_io.read(outcomes[0].output).pixels.shape[:2] == (16, 16)


def test_a_folder_as_its_own_output_is_refused(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "low/eye.png", fundus[:8, :8])
    before = source.read_bytes()
    with pytest.raises(UsageError, match="overwrite the input"):
        upscale([tmp_path / "low"], tmp_path / "low", model="bicubic")
    assert source.read_bytes() == before


def test_results_in_folders_within_the_input_are_known_by_their_tables(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "a.png", fundus[:8, :8])
    write_png(tmp_path / "x2/own.png", fundus[:8, :8])  # the user's, in a folder of results
    upscale([tmp_path / "a.png"], tmp_path / "x2", model="bicubic")
    told: list[str] = []
    outcomes = upscale([tmp_path], tmp_path / "x4", model="bicubic", outscale=4, notify=told.append)
    assert sorted(one.input.name for one in outcomes) == ["a.png", "own.png"]
    assert any("1 result of earlier runs" in line for line in told)
    again = upscale([tmp_path / "x2"], tmp_path / "x8", model="bicubic")  # named itself, its results are meant
    assert sorted(one.input.name for one in again) == ["a.png", "own.png"]


def test_inputs_with_one_result_are_named_before_any_work_and_the_others_are_done(
    tmp_path: Path, fundus: np.ndarray
) -> None:
    from medsr.batch import status

    for name in ("a/eye.png", "b/eye.png", "b/other.png"):
        write_png(tmp_path / name, fundus[:8, :8])
    told: list[str] = []
    outcomes = upscale(
        [tmp_path / "a", tmp_path / "b"],
        tmp_path / "out",
        model="bicubic",
        on_outcome=lambda one: told.append(f"{one.input.name} {one.error is None}"),
    )
    assert told == ["eye.png False", "eye.png False", "other.png True"]
    assert "a/eye.png and " in str(outcomes[0].error)
    assert not (tmp_path / "out/eye.png").exists()
    rows = {row.input: row.outcome for row in status.read(tmp_path / "out/status.tsv")}
    assert list(rows.values()) == ["failed", "failed", "done"]
    upscale([tmp_path / "a"], tmp_path / "out", model="bicubic")
    rows = {row.input: row.outcome for row in status.read(tmp_path / "out/status.tsv")}
    assert rows[str(tmp_path / "a/eye.png")] == "done"


NAMES = (b"M\xfcller.png", b"a\rb.png", b"c\nd.png", b"\x1b[2J.png", b"-n.png", b"=1+1.png")


def test_no_name_stops_a_batch(tmp_path: Path, fundus: np.ndarray) -> None:
    from medsr.batch import status

    folder = tmp_path / "in"
    write_png(folder / "z.png", fundus[:8, :8])
    for name in NAMES:
        os.link(folder / "z.png", os.fsencode(folder) + b"/" + name)
    out = tmp_path / "out"
    assert all(one.error is None for one in upscale([folder], out, model="bicubic"))
    assert {os.fsencode(path.name) for path in out.glob("*.png")} == {*NAMES, b"z.png"}
    table = (out / "status.tsv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 2 + len(NAMES)
    assert "M\\xfcller.png" in table
    assert len(status.read(out / "status.tsv")) == 1 + len(NAMES)
    assert all(one.skipped for one in upscale([folder], out, model="bicubic", skip_done=True))


def test_pipes_and_devices_are_refused_at_once(tmp_path: Path, fundus: np.ndarray) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    good = write_png(tmp_path / "good.png", fundus[:8, :8])
    outcomes = upscale([tmp_path / "pipe.png", "/dev/zero", good], tmp_path / "out", model="bicubic")
    assert ["pipe, a socket or a device" in str(one.error) for one in outcomes] == [True, True, False]
    assert outcomes[2].error is None


def test_what_was_decoded_is_what_is_written_down(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed after it was read, the old digest stays; changed while it was read, it is refused."""
    from medsr.commands.upscale import run
    from medsr.io.files import sha256
    from medsr.io.images.frames import Frames

    source = write_png(tmp_path / "a.png", fundus[:8, :8])
    before, enlarge, read = sha256(source), run.image_io.upsampled, run.image_io.read_frames

    def changed(image: image_io.Image, unit: np.ndarray) -> image_io.Image:
        write_png(source, fundus[8:16, :8])
        return enlarge(image, unit)

    monkeypatch.setattr(run.image_io, "upsampled", changed)
    [outcome] = upscale([source], tmp_path / "out", model="bicubic")
    assert outcome.input_sha256 == before
    assert not upscale([source], tmp_path / "out", model="bicubic", skip_done=True)[0].skipped

    def changing(path: Path, *settings: Any) -> image_io.Image | Frames:
        image = read(path, *settings)
        write_png(source, fundus[16:24, :8])
        return image

    monkeypatch.setattr(run.image_io, "read_frames", changing)
    assert "changed while it was read" in str(upscale([source], tmp_path / "out2", model="bicubic")[0].error)


def test_an_input_removed_while_its_result_is_written_stops_nobody(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.commands.upscale import run

    sources = [write_png(tmp_path / f"{name}.png", fundus[:8, :8]) for name in "abc"]
    write = run.image_io.write

    def removing(path: Path, image: image_io.Image, keep_metadata: bool) -> str:
        (tmp_path / path.name).unlink()
        return write(path, image, keep_metadata)

    monkeypatch.setattr(run.image_io, "write", removing)
    outcomes = upscale(sources, tmp_path / "out", model="bicubic")
    assert [one.error for one in outcomes] == [None, None, None]


def test_a_result_removed_before_it_is_recorded_stops_nobody(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.batch.status import Status

    sources = [write_png(tmp_path / f"{name}.png", fundus[:8, :8]) for name in "abc"]
    record = Status.record

    def failing(status: Status, outcome: object) -> None:
        if outcome.input.name == "b.png":  # type: ignore[attr-defined]
            raise FileNotFoundError(2, "gone", "b.png")
        record(status, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(Status, "record", failing)
    assert [one.error is None for one in upscale(sources, tmp_path / "out", model="bicubic")] == [True, False, True]


def test_too_long_a_side_is_told_before_the_work(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image as Pillow

    from medsr.images.network import Interpolation

    monkeypatch.setattr(Interpolation, "__call__", lambda *_: pytest.fail("computed for nothing"))
    Pillow.new("RGB", (40_000, 1)).save(tmp_path / "long.jpg")
    [outcome] = upscale([tmp_path / "long.jpg"], tmp_path / "out", model="bicubic")
    assert "80000x2 pixels, but JPEG holds at most 65500" in str(outcome.error)
