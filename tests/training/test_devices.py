"""Several processes train one network: as one would, written once."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medsr.commands.finetune import finetune
from medsr.data.batches import batches
from medsr.recipe import Data
from tests.helpers.recipes import GAN, RECIPE, write_recipe
from tests.helpers.slurm_here import Slurm
from tests.helpers.training import read_weights


def still_recipe(folder: Path, images: Path, **changes: object) -> Path:
    """A recipe whose degradation draws nothing, so that how a batch is cut changes nothing."""
    still = {"blur_probability": 0, "resize_up_down_keep": [0, 0, 1], "noise_probability": 0, "jpeg_probability": 0}
    plain = {"pool": 0, "final_sinc_probability": 0, "first": still, "second": still}
    content = RECIPE | {"degradation": plain, "batch": 4, "iterations": 2, "save_every": 1} | changes
    content["data"] = {"validation": 0.0, "crop": 32, "workers": 0, "train": str(images)}
    return write_recipe(folder / "recipe.yml", content)


def together(processes: int, *arguments: str) -> subprocess.CompletedProcess:
    """`medsr finetune` in one process, or in several started by torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={port}", "-m", "medsr"]
    command = [sys.executable, *(launcher if processes > 1 else ["-m", "medsr"]), "finetune", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, "--device", "cpu"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("gan", [False, True], ids=["l1", "gan"])
def test_two_devices_share_the_batch_and_write_once(image_folder: Path, tmp_path: Path, gan: bool) -> None:
    """Two gloo processes: the weights follow the average gradient of both halves, as one device's do."""
    recipe = still_recipe(tmp_path, image_folder, **(GAN if gan else {}))
    finetune(recipe, out=tmp_path / "one", device="cpu")
    done = together(2, str(recipe), "--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("images to train on") == 1
    runs = [tmp_path / "one", tmp_path / "two"]
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in runs]
    assert len(logs[0]) == len(logs[1]) == 2
    assert sorted(path.name for path in (runs[1] / "state").glob("*.pt")) == ["00000001.pt", "00000002.pt"]
    one, two = (read_weights(run) for run in runs)
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(image_folder: Path, tmp_path: Path) -> None:
    """One device, then two, then one again: as one device alone."""
    recipe = still_recipe(tmp_path, image_folder, iterations=6)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert together(1, str(recipe), "--out", str(alone)).returncode == 0
    assert together(1, str(recipe), "--out", str(shared), "--set", "iterations=2").returncode == 0
    for processes, iterations in ((2, 4), (1, 6)):
        done = together(processes, "--resume", str(shared), "--set", f"iterations={iterations}")
        assert done.returncode == 0, done.stderr
    one, other = read_weights(alone), read_weights(shared)
    assert all(torch.allclose(one[name], other[name], atol=2e-5) for name in one)


def test_devices_draw_different_crops_and_together_what_one_draws() -> None:
    class Keys:
        data = Data(train="x", workers=0)

        def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
            return [torch.tensor(key)]

    def drawn(slots: range) -> list[tuple[int, ...]]:
        return [tuple(key.tolist()) for [batch] in batches(Keys(), 1, 3, slots) for key in batch]

    first, second = drawn(range(2)), drawn(range(2, 4))
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(drawn(range(4)))


@pytest.mark.slow
def test_several_processes_must_be_told_where(image_folder: Path, tmp_path: Path) -> None:
    done = together(2, str(still_recipe(tmp_path, image_folder)))
    assert done.returncode != 0
    assert "several processes train together; say where" in done.stderr
    done = together(2, str(still_recipe(tmp_path, image_folder, batch=5)), "--out", str(tmp_path / "run"))
    assert "batch: 5 does not divide over 2 devices" in done.stderr


@pytest.mark.slow
def test_two_slurm_nodes_train_as_one_device(slurm: Slurm, image_folder: Path, tmp_path: Path) -> None:
    recipe = still_recipe(tmp_path, image_folder)
    assert together(1, str(recipe), "--out", str(tmp_path / "one")).returncode == 0
    command = [
        sys.executable,
        "-m",
        "medsr",
        "finetune",
        str(recipe),
        "--out",
        str(tmp_path / "two"),
        "--device",
        "cpu",
    ]
    (tmp_path / "job.sh").write_text(
        "#!/bin/bash\n#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=1\n"
        f"#SBATCH --output={tmp_path}/job.txt\n"
        # Both nodes are this machine, and their names no host's.
        f"MASTER_ADDR=127.0.0.1 OMP_NUM_THREADS=1 srun {shlex.join(command)}\n"
    )
    done = subprocess.run(["sbatch", "--wait", str(tmp_path / "job.sh")], capture_output=True, text=True, check=False)
    summary = (tmp_path / "job.txt").read_text()
    assert done.returncode == 0, summary
    assert summary.count("images to train on") == 1
    one, two = read_weights(tmp_path / "one"), read_weights(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
