"""Damaged states and full disks: a run says so, and resumes from a state that is whole."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TextIO

import pytest

from medsr.commands.finetune import finetune
from medsr.core.errors import MedsrError, TrainingError
from medsr.training import checkpointing
from tests.helpers.recipes import LONG, write_recipe
from tests.helpers.training import assert_same_run

pytestmark = pytest.mark.usefixtures("without_curves", "one_thread")


def test_a_damaged_state_is_not_resumed(recipe: Path, image_folder: Path, tmp_path: Path) -> None:
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    state = tmp_path / "run/state/00000006.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    with pytest.raises(MedsrError, match="checksum"):
        finetune("", resume=tmp_path / "run", overrides=["iterations=9"], device="cpu")


@pytest.mark.slow
def test_a_damaged_state_is_found_out_and_a_whole_one_offered(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "parts"))
    states = checkpointing.saved(run / "state")
    assert len(states) == 3
    for path in states[1:]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"damaged.*from 00000004\.pt, which is whole, delete 00000008\.pt and"):
        finetune("", resume=run, device="cpu")
    for path in states[1:]:
        path.unlink()
    finetune("", resume=run, device="cpu")
    assert_same_run(whole, run)
    for path in checkpointing.saved(run / "state"):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match="none other is whole"):
        finetune("", resume=run, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["state", "log.jsonl", ".model", "samples"])
def test_a_disk_that_fills_up_stops_the_run_with_its_last_state_whole(
    victim: str, image_folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write to that file or folder fails after iteration 6, as on a full disk."""
    import errno
    import pathlib

    recipe, run = write_recipe(tmp_path / "recipe.yml", LONG), tmp_path / "run"
    opened = pathlib.Path.open

    def the_log(path: Path) -> TextIO:
        return open(path) if path.is_file() else io.StringIO()

    wrote = pathlib.Path.write_bytes

    def full(path: Path) -> bool:
        if victim not in str(path) or str(run) not in str(path):
            return False
        with the_log(run / "log.jsonl") as log:
            return sum('"l1"' in line for line in log) > 6

    def _open(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        if full(path) and mode[0] in "wa":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, *rest, **more)  # type: ignore[arg-type]

    def _write(path: Path, data: bytes) -> int:
        if full(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return wrote(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "open", _open)
        patched.setattr(pathlib.Path, "write_bytes", _write)
        with pytest.raises(TrainingError, match=r"No space left.*the state of iteration \d+ is whole") as caught:
            finetune(recipe, image_folder, out=run, device="cpu")
    assert "--resume" in str(caught.value)
    finetune("", resume=run, device="cpu")
    assert_same_run(whole, run)


def test_a_full_disk_stops_the_run_with_the_file_it_could_not_write(
    recipe: Path, image_folder: Path, tmp_path: Path
) -> None:
    """A limit on file size stands in for the full disk: its own error, no bug's, and nothing half-written."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 10, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"00000001\.pt: File too large; stopped"):
            finetune(
                recipe,
                image_folder,
                out=tmp_path / "run",
                overrides=["data.validation=0", "iterations=1"],
                device="cpu",
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".pt", ".safetensors")]
