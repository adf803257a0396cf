"""Cohorts on real engines: every input once, whoever dies meanwhile; told alike everywhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

import medsr
from medsr.batch.status import read
from medsr.cli.app import app
from medsr.commands.cohort import plan, results, slurm_executor
from medsr.commands.cohort.executor import Executor
from medsr.commands.cohort.run import cohort, retry
from medsr.commands.cohort.work import PARTS, work
from medsr.commands.reproduce import reproduce
from medsr.core.errors import UsageError, WeightsError
from medsr.io.files import sha256
from tests.helpers import slurm_here
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

NAMES = ("s0", "a/s0", "a/s1", "a/s2", "b/s0", "b/s1")
COUNT = len(NAMES)


@pytest.fixture(scope="module")
def written_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `scans` is a copy of."""
    folder = tmp_path_factory.mktemp("scans")
    for n, name in enumerate(NAMES):
        path = folder / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        stored = np.rint(smooth_volume((24, 20, 10), n)).astype(np.int16)
        nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(path)
    return folder


@pytest.fixture
def scans(written_scans: Path, tmp_path: Path) -> Path:
    """Six scans in three folders, some of one name."""
    return Path(shutil.copytree(written_scans, tmp_path / "in"))


def hashes(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): sha256(path) for path in out.rglob("*.nii.gz") if ".cohort" not in str(path)}


def all_once(out: Path, expected: dict[str, str]) -> None:
    """Every scan is there, as it is without anything happening; a row for each; nothing half-written."""
    assert hashes(out) == expected
    rows = read(out / "status.tsv")
    assert sorted(row.output for row in rows) == sorted(str(out / name) for name in expected)
    assert {row.outcome for row in rows} == {"done"}
    assert all(row.output_sha256 == expected[os.path.relpath(row.output, out)] for row in rows)
    assert not [path for path in out.rglob(".*") if path.name not in (".cohort", ".bidsignore")]
    assert (out / "cohort.html").is_file()


@pytest.fixture(scope="module")
def expected(written_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    calm = tmp_path_factory.mktemp("calm")
    cohort("volume", written_scans, out=calm, model="cubic")
    return hashes(calm)


@pytest.mark.slow
def test_it_is_medsr_volume_for_each(scans: Path, tmp_path: Path, refiner_file: Path) -> None:
    folder = scans / "a"
    status = cohort("volume", folder, out=tmp_path / "out", model=refiner_file, uncertainty=True, engine="torch")
    assert (len(status.done), len(status.failed)) == (3, 0)
    [alone] = medsr.volume(folder / "s1.nii.gz", tmp_path / "one", model=refiner_file, uncertainty=True, engine="torch")
    assert sha256(alone.output) == sha256(tmp_path / "out" / "s1.nii.gz")
    assert (tmp_path / "out" / "s1_uncertainty.nii.gz").is_file()
    all_but_spread = {name: digest for name, digest in hashes(tmp_path / "out").items() if "uncertainty" not in name}
    assert len(all_but_spread) == 3
    page = (tmp_path / "out" / "cohort.html").read_text()
    assert "s1.nii.gz" in page
    assert page.count("data:image/png") == 3


@pytest.mark.slow
def test_images_too(tmp_path: Path, fundus: np.ndarray) -> None:
    for n in range(3):
        write_png(tmp_path / "in" / f"e{n}.png", fundus[n * 20 : n * 20 + 40, :40])
    status = cohort("upscale", tmp_path / "in", out=tmp_path / "out", on=Executor(workers=2), model="bicubic")
    assert len(status.done) == 3
    [alone] = medsr.upscale(tmp_path / "in" / "e1.png", tmp_path / "one", model="bicubic")
    assert sha256(alone.output) == sha256(tmp_path / "out" / "e1.png")
    again = reproduce(tmp_path / "out" / "upscale.json")
    assert len(again) == 3
    assert all(comparison.same for comparison in again)


def test_the_page_tells_of_images_that_no_model_was_made_for(tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "in" / "blue.png", fundus[:40, :40, ::-1])
    cohort("upscale", tmp_path / "in", out=tmp_path / "out", on=Executor(workers=1))
    assert "no bundled model was made for" in (tmp_path / "out" / "cohort.html").read_text()
    options = plan.load(tmp_path / "out").options  # decided once, for `retry` too
    assert "auto" not in {options["precision"], *options["precisions"].values()}
    assert set(options["precisions"]) == {"medsr-retina-x2", "medsr-retina-x4", "medsr-cxr-x2", "medsr-cxr-x4"}


@pytest.mark.slow
def test_failures_are_named_and_can_be_done_again_alone(scans: Path, tmp_path: Path) -> None:
    folder, out = scans / "b", tmp_path / "out"
    good = (folder / "s0.nii.gz").read_bytes()
    (folder / "bad.nii.gz").write_bytes(good[:500])
    runner = CliRunner()
    command = ["cohort", "volume", str(folder), "--out", str(out), "--model", "cubic"]
    ended = runner.invoke(app, command)
    assert ended.exit_code == 5
    assert "bad.nii.gz: damaged" in ended.output
    before = {row.output: row for row in read(out / "status.tsv")}
    modified = (out / "s0.nii.gz").stat().st_mtime_ns
    (folder / "bad.nii.gz").write_bytes(good)
    ended = runner.invoke(app, ["cohort", "retry", str(out)])
    assert ended.exit_code == 0, ended.output
    assert "3 of 3 done" in ended.output
    after = {row.output: row for row in read(out / "status.tsv")}
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [str(out / "bad.nii.gz")]
    assert (out / "s0.nii.gz").stat().st_mtime_ns == modified
    result = runner.invoke(app, ["cohort", "status", str(out)])
    assert "3 of 3 done, 0 failed, 0 to do" in result.output
    ended = runner.invoke(app, [*command, "--skip-done"])
    assert ended.exit_code == 0
    assert (out / "s0.nii.gz").stat().st_mtime_ns == modified


@pytest.mark.slow
def test_lists_and_globs(scans: Path, tmp_path: Path) -> None:
    (scans / "some.txt").write_text("# those of today\na/s0.nii.gz\nb/s1.nii.gz\n")
    status = cohort("volume", scans / "some.txt", out=tmp_path / "out", model="cubic")
    assert sorted(os.path.relpath(row.output, tmp_path / "out") for row in status.done) == [
        "a/s0.nii.gz",
        "b/s1.nii.gz",
    ]
    status = cohort("volume", str(scans / "*" / "s1.nii.gz"), out=tmp_path / "out2", model="cubic")
    assert len(status.done) == 2
    (scans / "wrong.txt").write_text("a/s9.nii.gz\n")
    with pytest.raises(UsageError, match="names a/s9"):
        cohort("volume", scans / "wrong.txt", out=tmp_path / "out3", model="cubic")


def test_what_cannot_begin_is_told_before_anything_is_done(scans: Path, tmp_path: Path) -> None:
    for options, error in (
        ({"model": "no-such"}, UsageError),
        ({"model": "realesrgan-x4plus"}, WeightsError),
        ({"bogus": 1}, UsageError),
        ({"also": ("mask.nii",)}, UsageError),
    ):
        with pytest.raises(error):
            cohort("volume", scans, out=tmp_path / "out", **options)
    with pytest.raises(UsageError, match="expected one of local, slurm, dask"):
        Executor("cloud")  # type: ignore[arg-type]
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no scan there"):
        cohort("volume", tmp_path / "none", out=tmp_path / "out")
    with pytest.raises(UsageError, match="no cohort was begun"):
        retry(tmp_path / "nowhere")


def test_the_command_line_with_nothing_but_a_model(tmp_path: Path) -> None:
    """What it hands on where an option is left out must be what a plan can hold."""
    (tmp_path / "in").mkdir()
    stored = np.rint(smooth_volume((24, 20, 10), 0)).astype(np.int16)
    nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(tmp_path / "in" / "s.nii.gz")
    arguments = ["cohort", "volume", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--model", "cubic"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert (tmp_path / "out" / "s.nii.gz").exists()


@pytest.mark.slow
def test_the_unlike_come_first(tmp_path: Path) -> None:
    for n in range(5):
        stored = np.rint(smooth_volume((24, 20, 10), n) * (6 if n == 4 else 1)).astype(np.int16)
        (tmp_path / "in").mkdir(exist_ok=True)
        nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(tmp_path / "in" / f"s{n}.nii.gz")
    status = cohort("volume", tmp_path / "in", out=tmp_path / "out", model="cubic")
    from medsr.commands.cohort.figures import load_subjects

    first = load_subjects(plan.load(tmp_path / "out"), status.done)[0]
    assert first.name == "s4.nii.gz"
    assert "range" in first.outliers


def bids(root: Path) -> Path:
    for subject, session in (("01", "post"), ("02", "pre")):
        folder = root / f"sub-{subject}" / f"ses-{session}" / "anat"
        folder.mkdir(parents=True)
        for suffix in ("T1w", "T2w"):
            stored = np.rint(smooth_volume((16, 14, 8), int(subject))).astype(np.int16)
            name = f"sub-{subject}_ses-{session}_run-1_{suffix}.nii.gz"
            nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(folder / name)
    description = {"Name": "Two heads", "BIDSVersion": "1.8.0", "License": "CC0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


@pytest.mark.slow
def test_a_bids_dataset_becomes_derivatives(tmp_path: Path) -> None:
    from bids import BIDSLayout

    status = cohort("volume", bids(tmp_path / "raw"), out=tmp_path / "derived", model="cubic")
    names = sorted(os.path.relpath(row.output, tmp_path / "derived") for row in status.done)
    assert names == [
        f"{session}/anat/{session.replace('/', '_')}_run-1_desc-SR_T1w.nii.gz"
        for session in ("sub-01/ses-post", "sub-02/ses-pre")
    ]
    description = json.loads((tmp_path / "derived" / "dataset_description.json").read_text())
    assert (description["DatasetType"], description["GeneratedBy"][0]["Name"], description["License"]) == (
        "derivative",
        "medsr",
        "CC0",
    )
    layout = BIDSLayout(tmp_path / "raw", derivatives=tmp_path / "derived")
    files = layout.get(scope="derivatives", desc="SR", suffix="T1w", extension=".nii.gz", return_type="file")
    assert len(files) == 2
    status = cohort("volume", tmp_path / "raw", out=tmp_path / "both", suffixes=("T1w", "T2w"), model="cubic")
    assert len(status.done) == 4
    with pytest.raises(UsageError, match=r"no image of FLAIR in this BIDS dataset \(it has T1w, T2w\)"):
        cohort("volume", tmp_path / "raw", out=tmp_path / "out", suffixes=("FLAIR",))


@contextmanager
def begun(scans: Path, out: Path, *options: str) -> Iterator[subprocess.Popen]:
    """`medsr cohort volume` in a process of its own."""
    command = [sys.executable, "-m", "medsr", "cohort", "volume", str(scans), "--out", str(out), "--model", "cubic"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
        printed, _ = process.communicate(timeout=480)
        assert process.returncode == 0, printed
    finally:
        process.kill()


def when(true: Callable[[], bool], seconds: float = 240) -> None:
    latest = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < latest
        time.sleep(0.02)


def some_done(out: Path) -> bool:
    return (out / ".cohort" / "current").is_file() and len(results.read_status(plan.load(out)).done) > 0


def busy(process: int, word: str) -> list[psutil.Process]:
    """The processes below one that have a word on their command line."""
    below = psutil.Process(process).children(recursive=True)
    return [child for child in below if child.is_running() and any(word in text for text in child.cmdline())]


@pytest.mark.slow
def test_a_local_worker_is_killed(scans: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    out = tmp_path / "out"
    with begun(scans, out, "--workers", "2") as process:
        when(lambda: some_done(out))
        busy(process.pid, "spawn_main")[0].send_signal(signal.SIGKILL)
    all_once(out, expected)


@pytest.mark.slow
def test_an_input_that_kills_its_process_is_given_up_and_the_others_done(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a scan does that takes all memory: its worker is killed whenever it takes it up."""
    out, poison = tmp_path / "out", "b"
    command = [sys.executable, "-m", "medsr", "cohort", "volume", str(scans), "--out", str(out), "--model", "cubic"]
    large = scans / poison / "s1.nii.gz"  # seconds of work, in which its worker can be met
    stored = np.random.default_rng(0).integers(0, 1000, (192, 192, 60)).astype(np.int16)
    nib.Nifti1Image(stored, np.diag([1, 1, 4, 1])).to_filename(large)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    number = None
    while process.poll() is None:
        time.sleep(0.05)
        if not (out / ".cohort" / "current").is_file():
            continue
        cohort_plan = plan.load(out)
        number = next(index for index, item in enumerate(cohort_plan.items) if item.source == str(large))
        for folder in results.worker_folders(cohort_plan):
            if number in results.in_progress(folder):
                pid = int(folder.name.rpartition("-")[2])
                if psutil.pid_exists(pid) and number in results.in_progress(folder):
                    os.kill(pid, signal.SIGKILL)
    printed = process.stdout.read() if process.stdout else ""
    assert process.returncode == 5, printed
    assert f"{large}: the process that worked on it died 3 times" in printed
    assert len(hashes(out)) == COUNT - 1


@pytest.mark.slow
def test_a_dask_worker_is_killed(scans: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    """A cluster the user has: a scheduler and three workers; one of them dies."""
    out = tmp_path / "out"
    file = tmp_path / "scheduler.json"
    base = [sys.executable, "-m", "distributed.cli"]
    scheduler = [
        *base[:2],
        "distributed.cli.dask_scheduler",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(file),
    ]
    worker = [
        *base[:2],
        "distributed.cli.dask_worker",
        "--scheduler-file",
        str(file),
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    cluster = [subprocess.Popen([*scheduler, "--host", "127.0.0.1"], **quiet)]
    try:
        when(file.is_file)
        cluster += [subprocess.Popen([*worker, "--host", "127.0.0.1", "--no-nanny"], **quiet) for _ in range(3)]
        with begun(scans, out, "--engine", "dask", "--dask", str(file)):
            when(lambda: some_done(out))
            cluster[1].send_signal(signal.SIGKILL)
        all_once(out, expected)
    finally:
        for process in reversed(cluster):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_dask_on_this_machine_and_nowhere(scans: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    status = cohort("volume", scans, out=tmp_path / "out", on=Executor("dask", workers=2), model="cubic")
    assert len(status.done) == COUNT
    all_once(tmp_path / "out", expected)
    with pytest.raises(UsageError, match="no scheduler answers"):
        cohort("volume", scans, out=tmp_path / "no", on=Executor("dask", address="tcp://127.0.0.1:9"), model="cubic")


@pytest.mark.slow
def test_a_slurm_node_is_killed(slurm: slurm_here.Slurm, scans: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    """An array over two nodes; one of them loses its power, and comes back."""
    out = tmp_path / "out"
    options = ("--engine", "slurm", "--per-task", "2", "--throttle", "2", "--sbatch", "--partition=main --time=10")
    with begun(scans, out, *options):
        when(lambda: some_done(out))
        slurm.kill_node("n1")
        time.sleep(1)
        slurm.start_node("n1")
    all_once(out, expected)
    assert len(list((plan.load(out).hidden).glob("tasks-*.txt"))) >= 1


@pytest.mark.slow
def test_slurm_refuses_in_words_and_can_be_left_alone(
    slurm: slurm_here.Slurm, scans: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match=r"sbatch refused: .*partition"):
        cohort("volume", scans, out=tmp_path / "no", on=Executor("slurm", sbatch="--partition=none"), model="cubic")
    out = tmp_path / "out"
    cohort("volume", scans, out=out, on=Executor("slurm", wait=False, per_task=4), model="cubic")
    assert plan.load(out).options["precision"] == "fp32", "its machines might choose differently"
    when(lambda: len(results.read_status(plan.load(out)).done) == COUNT)
    result = CliRunner().invoke(app, ["cohort", "status", str(out)])
    assert f"{COUNT} of {COUNT} done" in result.output
    all_once(out, expected)


@pytest.mark.slow
def test_one_cohort_at_a_time_in_a_folder(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cohort("volume", scans / "a", out=out, model="cubic")
    with plan.locked_folder(out):
        with pytest.raises(UsageError, match="another cohort is at work there"):
            cohort("volume", scans / "b", out=out, model="cubic")
        with pytest.raises(UsageError, match="another cohort is at work there"):
            retry(out)
        result = CliRunner().invoke(app, ["cohort", "status", str(out)])
        assert "3 of 3 done" in result.output
    cohort("volume", scans / "b", out=out, model="cubic")
    inputs = sorted(row.input for row in read(out / "status.tsv"))  # two of the first were replaced, one stays
    assert inputs == [str(scans / name) for name in ("a/s2.nii.gz", "b/s0.nii.gz", "b/s1.nii.gz")]
    with pytest.raises(UsageError, match="another cohort was begun there meanwhile"):
        work(str(out), "an older one", [0])


@pytest.mark.slow
def test_killed_and_begun_again_with_skip_done_it_goes_on(
    scans: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    out = tmp_path / "a folder, with % and blanks"
    command = [sys.executable, "-m", "medsr", "cohort", "volume", str(scans), "--out", str(out), "--model", "cubic"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    when(lambda: some_done(out))
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    when(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers))
    modified = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz") if not path.name.startswith(".")}
    assert modified
    done = {Path(row.output) for row in results.read_status(plan.load(out)).done}
    cohort("volume", scans, out=out, skip_done=True, model="cubic")
    assert all(path.stat().st_mtime_ns == modified[path] for path in done)
    all_once(out, expected)


@pytest.mark.slow
def test_old_results_do_not_count_for_new_settings(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cohort("volume", scans / "a", out=out, model="cubic")
    before = hashes(out)
    status = cohort("volume", scans / "a", out=out, skip_done=True, model="cubic", scale=3)
    assert len(status.done) == 3
    assert all(digest != before[name] for name, digest in hashes(out).items())


@pytest.mark.slow
def test_other_weights_are_not_mixed_in(scans: Path, tmp_path: Path, refiner_file: Path, fresh_refiner: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(refiner_file.read_bytes())
    (scans / "a" / "bad.nii.gz").write_bytes(b"no scan")
    status = cohort("volume", scans / "a", out=tmp_path / "out", model=weights, engine="torch")
    assert len(status.failed) == 1
    weights.write_bytes(fresh_refiner.read_bytes())
    with pytest.raises(UsageError, match="not the weights this cohort was begun with"):
        retry(tmp_path / "out")


@pytest.mark.slow
def test_what_is_somebody_elses_stays(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".s0-notes-20240101.txt").write_text("mine")
    (out / ".s0_other-20240101.txt").write_text("mine")
    (out / ".s0-a1b2c3d4.json").write_text("half-written by one who was killed")
    cohort("volume", scans / "s0.nii.gz", out=out, model="cubic")
    assert sorted(path.name for path in out.glob(".s0*")) == [".s0-notes-20240101.txt", ".s0_other-20240101.txt"]
    raw = bids(tmp_path / "raw")
    with pytest.raises(UsageError, match="is the dataset itself"):
        cohort("volume", raw, out=raw, model="cubic")
    (tmp_path / "other").mkdir()
    description = {"Name": "fMRIPrep", "GeneratedBy": [{"Name": "fMRIPrep"}]}
    (tmp_path / "other" / "dataset_description.json").write_text(json.dumps(description))
    with pytest.raises(UsageError, match=r"holds another dataset \(fMRIPrep\)"):
        cohort("volume", raw, out=tmp_path / "other", model="cubic")


def test_records_that_a_killed_process_had_begun_are_removed(tmp_path: Path) -> None:
    cohort_plan = plan.CohortPlan("volume", tmp_path, {}, (plan.CohortItem("/in/s0.nii", str(tmp_path / "s0.nii")),))
    cohort_plan.save()
    part = cohort_plan.hidden / PARTS / "local-1"
    part.mkdir(parents=True)
    begun = [part / ".running-a1b2c3d4", part / ".status-a1b2c3d4.tsv", cohort_plan.hidden / ".plan-a1b2c3d4.json"]
    whole = [part / "running", part / "status.tsv", cohort_plan.hidden / "plan.json"]
    for path in (*begun, *whole[:2]):
        path.touch()
    results.remove_leftovers(cohort_plan)
    assert [path for path in (*begun, *whole) if path.exists()] == whole


def test_ten_thousand_inputs_are_several_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = tuple(plan.CohortItem(f"/in/{n}", f"{tmp_path}/{n}") for n in range(10_000))
    cohort_plan = plan.CohortPlan("volume", tmp_path, {}, items)
    cohort_plan.save()
    submitted: list[list[str]] = []

    def sbatch(command: list[str], **_: object) -> subprocess.CompletedProcess:
        submitted.append(command)
        return subprocess.CompletedProcess(command, 0, f"{len(submitted)}\n", "")

    monkeypatch.setattr(slurm_executor.subprocess, "run", sbatch)
    options = slurm_executor.SlurmOptions(8, 5, ("--partition=x",))
    slurm_executor.run(cohort_plan, range(10_000), options, lambda: None, lambda _: None, wait=False)
    assert [command[2] for command in submitted] == ["--array=0-999%5", "--array=0-249%5"]
    tasks = [
        slurm_executor.task_indices(cohort_plan, array, task)
        for array, count in ((0, 1000), (1, 250))
        for task in range(count)
    ]
    assert [n for task in tasks for n in task] == list(range(10_000))
    few = tuple(plan.CohortItem(f"/in/{n}", f"{tmp_path}/tenth/{n}") for n in range(1_000))
    plan.CohortPlan("volume", tmp_path / "tenth", {}, few).save()
    assert _seconds(tmp_path) < 40 * _seconds(tmp_path / "tenth")  # ten times as long; were it quadratic, a hundred


def _seconds(out: Path) -> float:
    """Of a processor, to read what became of a cohort: the best of three."""
    rounds = []
    for _ in range(3):
        began = time.process_time()
        results.read_status(plan.load(out))
        rounds.append(time.process_time() - began)
    return min(rounds)


@pytest.mark.slow
def test_list_files_stay_within_out(scans: Path, tmp_path: Path) -> None:
    (scans / "a" / "list.txt").write_bytes(b"\xef\xbb\xbf../b/s0.nii.gz\ns0.nii.gz\n")
    status = cohort("volume", scans / "a" / "list.txt", out=tmp_path / "out", model="cubic")
    assert sorted(os.path.relpath(row.output, tmp_path / "out") for row in status.done) == [
        "a/s0.nii.gz",
        "b/s0.nii.gz",
    ]
    (scans / "latin.txt").write_bytes(b"sch\xf6n.nii.gz\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        cohort("volume", scans / "latin.txt", out=tmp_path / "out2", model="cubic")


@pytest.mark.slow
def test_subjects_behind_links_are_found(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "one").symlink_to(scans / "a")
    (tmp_path / "study" / "one" / "circle").symlink_to(tmp_path / "study")
    status = cohort("volume", tmp_path / "study", out=tmp_path / "out", model="cubic")
    assert len(status.done) == 3
