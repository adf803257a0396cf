"""Nothing from the working folder runs, whatever lies there, in no command and in none of its child processes."""

from __future__ import annotations

import os
import pkgutil
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

import medsr
from tests.helpers.cards import CARD, PEOPLE
from tests.helpers.images import write_png
from tests.helpers.recipes import PLAIN
from tests.helpers.scans import smooth_volume
from tests.helpers.server import serving

RECORDER = "open({record!r}, 'a').write(__name__ + '\\n')\nraise ImportError('planted: ' + __name__)\n"
BY_NAME = (
    "dl",
    "DLFCN",
    "gdcm_plugin",
    "sitecustomize",
    "usercustomize",
    "triton",
    "cupy",
    "uvloop",
    "bids",
    "distributed",
)
SCRIPT = "import sys; from medsr.cli import main; main()"


def _names(beyond_reach: str) -> set[str]:
    """Whatever anything might import: all there is here, less what Python itself imports before it comes to us."""
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys{beyond_reach}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    known = {module.name for module in pkgutil.iter_modules()} | set(sys.stdlib_module_names) | set(BY_NAME)
    return known - {name.partition(".")[0] for name in loaded.stdout.split()} - {"medsr", "tests"}


class Place:
    """A working folder full of modules that write down when they are imported."""

    def __init__(self, folder: Path, names: set[str]) -> None:
        self.folder, self.record = folder / "work", folder / "imported.txt"
        self.folder.mkdir(parents=True)
        for count, name in enumerate(sorted(names)):
            file = self.folder / (f"{name}/__init__.py" if count % 3 == 0 else f"{name}.py")
            file.parent.mkdir(exist_ok=True)
            file.write_text(RECORDER.format(record=str(self.record)))
        (self.folder / "DLFCN.py").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "dl", ignore_errors=True)
        (self.folder / "dl.py").unlink(missing_ok=True)
        (self.folder / "dl").mkdir()  # as a folder of somebody's downloads: a decoder imports that name

    def ran(self) -> list[str]:
        return sorted(set(self.record.read_text().split())) if self.record.is_file() else []

    def run(self, *arguments: object, by: tuple[str, ...] = ("-m", "medsr"), **environment: str) -> str:
        """Run medsr there; its output, once it has ended well and nothing from the folder was imported."""
        done = subprocess.run(
            [sys.executable, *by, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        )
        assert self.ran() == []
        assert done.returncode == 0, done.stderr
        return done.stdout

    def begin(self, *arguments: object, until: Path, seconds: float = 240) -> None:
        """Start medsr there, and end it a while after it has made `until`: everything is imported by then."""
        command = [sys.executable, "-m", "medsr", *map(str, arguments)]
        with subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            ends = time.monotonic() + seconds
            while not (self.folder / until).exists():
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.2)
            time.sleep(10)
            process.terminate()
        assert self.ran() == []


@pytest.fixture(scope="module")
def names() -> set[str]:
    return _names(", runpy, importlib.util")


@pytest.fixture
def place(names: set[str], tmp_path: Path) -> Place:
    return Place(tmp_path, names)


@pytest.fixture
def eye(tmp_path: Path, fundus: np.ndarray) -> Path:
    return write_png(tmp_path / "eyes" / "eye.png", fundus[:48, :48])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scans" / "scan.nii.gz"
    path.parent.mkdir()
    nib.Nifti1Image(smooth_volume((16, 14, 6)), np.diag([1, 1, 3, 1])).to_filename(path)
    return path


def people(folder: Path, fundus: np.ndarray) -> tuple[Path, Path]:
    """A card and its data."""
    card, source = folder / "mine.yml", folder / "people"
    card.write_text(CARD)
    for n, person in enumerate(PEOPLE[:4]):
        write_png(source / f"{person}_L.png", fundus[n * 20 : n * 20 + 64, :64])
    return card, source


def test_the_planted_files_run_where_nothing_keeps_them_from_it(place: Place) -> None:
    subprocess.run([sys.executable, "-c", "import pickle"], cwd=place.folder, check=False, capture_output=True)
    assert "pickle" in place.ran()  # from Python 3.13 what prints the error, too


@pytest.mark.parametrize("by", [("-m", "medsr"), ("-um", "medsr"), ("-mmedsr",)])
def test_python_m_works_there_and_runs_nothing(place: Place, by: tuple[str, ...]) -> None:
    assert "medsr" in place.run("--version", by=by)


@pytest.mark.parametrize("path", ["{given}:", ":{given}", "{given}:."])
def test_empty_places_in_pythonpath_are_not_the_working_folder(place: Place, path: str, tmp_path: Path) -> None:
    planted = place.folder / "typer.py" if (place.folder / "typer.py").is_file() else place.folder / "typer"
    (tmp_path / "one").mkdir()
    planted.rename(tmp_path / "one" / planted.name)
    given = str(tmp_path / "elsewhere")
    place.folder = tmp_path / "one"
    place.run("--version", PYTHONPATH=path.format(given=given))


@pytest.mark.slow
def test_images_and_scans(place: Place, eye: Path, scan: Path, tmp_path: Path) -> None:
    place.run("upscale", eye, "--out", "results", "--model", "bicubic")
    place.run("volume", scan, "--out", "results", "--model", "cubic")
    assert (place.folder / "results/scan.nii.gz").is_file()


def test_worker_processes(place: Place, tmp_path: Path, fundus: np.ndarray) -> None:
    card, source = people(tmp_path, fundus)
    place.run("prepare", card, source, "--out", "prepared", "--workers", "2")


@pytest.mark.slow
def test_workers_of_a_cohort(place: Place, eye: Path) -> None:
    place.run("cohort", "upscale", eye.parent, "--out", "cohort", "--model", "bicubic", "--workers", "1")


def test_workers_of_a_script_that_lies_elsewhere(tmp_path: Path, fundus: np.ndarray) -> None:
    place = Place(tmp_path, _names(""))
    card, source = people(tmp_path, fundus)
    script = tmp_path / "code" / "mine.py"
    script.parent.mkdir()
    call = f"medsr.prepare({str(card)!r}, {str(source)!r}, out='prepared', workers=2)"
    script.write_text(f"import medsr\nif __name__ == '__main__':\n    {call}\n")
    place.run(by=(str(script),))


@pytest.mark.slow
def test_the_task_of_a_slurm_job(place: Place, eye: Path, tmp_path: Path) -> None:
    from medsr.commands.cohort import plan, slurm_executor

    place.run("cohort", "upscale", eye.parent, "--out", "cohort", "--model", "bicubic", "--workers", "1")
    begun = plan.load(place.folder / "cohort")
    (begun.hidden / "tasks-0.txt").write_text("0\n")
    script = tmp_path / "task.sh"
    script.write_text(slurm_executor._script(begun, 0))
    shutil.rmtree(begun.hidden / "parts", ignore_errors=True)
    (place.folder / "cohort" / "eye.png").unlink()
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0"}
    done = subprocess.run(["bash", str(script)], cwd=place.folder, env=environment, capture_output=True, text=True)
    assert place.ran() == []
    assert done.returncode == 0, done.stderr
    assert (place.folder / "cohort" / "eye.png").is_file()


def test_a_checkout_that_is_not_installed_runs_from_its_root(tmp_path: Path, fundus: np.ndarray) -> None:
    """Everything medsr needs is installed, but not medsr; its worker processes find it, too."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "medsr").symlink_to(Path(medsr.__file__).parent)
    card, source = people(tmp_path, fundus)
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    command = [sys.executable, "-S", "-m", "medsr", "prepare", str(card), str(source), "--out", "out", "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": packages}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_other_command(place: Place, eye: Path, scan: Path, tmp_path: Path, fundus: np.ndarray) -> None:
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(yaml.safe_dump(PLAIN | {"data": PLAIN["data"] | {"workers": 2, "validation": "eye_[4].png"}}))
    other = tmp_path / "other.yml"
    other.write_text(recipe.read_text().replace("name: one", "name: two"))
    for n in range(5):
        write_png(tmp_path / "truth" / f"eye_{n}.png", fundus[n * 20 : n * 20 + 64, :64])
    place.run("info", "--devices")
    place.run("models")
    place.run("weights", "list")
    place.run("weights", "verify")
    place.run("finetune", recipe, "--data", tmp_path / "truth", "--out", "run", "--device", "cpu")
    place.run("finetune", "--resume", "run", "--device", "cpu", "--set", "iterations=7")
    place.run("upscale", eye, "--out", "own", "--model", "run/model.safetensors")
    place.run("export", "run/model.safetensors", "--to", "onnx", "--out", "own.onnx")
    place.run("weights", "import", "run/model.safetensors", "--name", "own")
    place.run("volume", scan, "--out", "refined")
    place.run("reproduce", "refined/scan.json")
    place.run(
        "compare", recipe, other, "--data", tmp_path / "truth", "--out", "compared", "--device", "cpu", "--minutes", "0"
    )
    place.run(
        "evaluate", "folder", "--data", tmp_path / "truth", "--model", "run/model.safetensors", "--out", "figures"
    )
    place.run("cohort", "volume", scan.parent, "--out", "dask", "--model", "cubic", "--engine", "dask")
    place.run("cohort", "status", "dask")
    place.run("cohort", "retry", "dask")
    place.begin("demo", "--out", "demo", "--device", "cpu", until=Path("demo"))


@pytest.mark.slow
def test_the_server_and_its_processes(place: Place, eye: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    with serving(tmp_path / "served", "--model", "bicubic") as server:
        user = server.user()
        user.done("image", file=user.file(eye)["id"], models=["bicubic"])
    assert place.ran() == []
