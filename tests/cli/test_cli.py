"""The command line as its user meets it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png
from tests.helpers.processes import EACH_BY_ITSELF


def medsr(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medsr", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=os.environ | {"NO_COLOR": "1"}, check=False
    )


def test_help_is_instant_and_names_every_command() -> None:
    """In time of the processor, for other tests may run beside this one."""
    medsr("--help")  # the first start writes byte code
    times = []
    for _ in range(3):
        began = os.times()
        result = medsr("--help")
        ended = os.times()
        times.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
    assert 0 < min(times) < 0.5
    for command in ("demo", "finetune", "upscale", "weights", "info"):
        assert command in result.stdout
    assert medsr("--version").stdout.startswith("medsr ")


@pytest.mark.slow
def test_warnings_stand_by_themselves_and_are_counted(tmp_path: Path, whole_fundus: np.ndarray) -> None:
    small = whole_fundus[::4, ::4]
    write_png(tmp_path / "in" / "grey.png", np.ascontiguousarray(small[:, :, 0]))
    write_png(tmp_path / "in" / "blue.png", np.ascontiguousarray(small[:, :, ::-1]))
    write_png(tmp_path / "in" / "eye.png", small)
    result = medsr("upscale", tmp_path / "in", "--out", tmp_path / "out")
    assert "grey.png: warning: medsr-cxr-x2: grey" in result.stderr
    assert "blue.png: warning: no bundled model" in result.stderr
    assert result.stderr.rstrip().endswith("medsr: 2 of 3 results carry a warning")
    assert "warning:" not in result.stdout
    assert "medsr-retina-x2: taken for a fundus" in result.stdout
    assert result.returncode == 0


def test_a_mixed_folder_gives_what_can_be_given_and_exit_code_5(tmp_path: Path, fundus: np.ndarray) -> None:
    folder = tmp_path / "in"
    write_png(folder / "good.png", fundus[:30, :40])
    truncated = write_png(folder / "truncated.png", fundus[:90, :90])
    truncated.write_bytes(truncated.read_bytes()[:2000])
    (folder / "letter.png").write_text("Dear colleague, thank you for referring this patient.")
    tifffile.imwrite(folder / "twelve.tif", np.full((30, 30), 3000, np.uint16))
    write_xray(folder / "inverted.dcm", np.full((30, 30), 3000, np.uint16), "MONOCHROME1")
    result = medsr("upscale", folder, "--out", tmp_path / "out", "--model", "bicubic")
    assert result.returncode == 5
    errors = [line for line in result.stderr.splitlines() if line.startswith("medsr: ")]
    assert len(errors) == 3
    assert any("letter.png: named .png but not a PNG" in line for line in errors)
    assert any("truncated.png: damaged" in line for line in errors)
    assert "2 of 5 inputs failed" in errors[-1]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["good.png", "inverted.dcm", "status.tsv", "twelve.tif", "upscale.json"]
    assert tifffile.imread(tmp_path / "out/twelve.tif").tolist() == np.full((60, 60), 3000).tolist()
    assert "read as 12-bit" in result.stdout


ERRORS = [
    (["upscale", "{tmp}/letter.png", "--out", "{tmp}/out", "--model", "bicubic"], 3, "letter.png"),
    (["upscale", "{tmp}/absent.png", "--out", "{tmp}/out", "--model", "bicubic"], 3, "absent.png"),
    (["upscale", "{tmp}/letter.png", "--out", "{tmp}/out", "--model", "bicubik"], 2, "did you mean 'bicubic'"),
    (
        ["upscale", "{tmp}/letter.png", "--out", "{tmp}/out", "--model", "realesrgan-x4plus"],
        4,
        "medsr weights fetch",
    ),
    (["upscale", "{tmp}/letter.png", "--out", "{tmp}/out", "--tile", "7"], 2, "--tile 7"),
    (["upscale", "{tmp}/letter.png", "--out", "{tmp}/out", "--device", "tpu"], 2, "--device tpu"),
    (["upscale"], 2, "name an image, or an archive with --from and --study"),
    (["finetune"], 2, "medsr finetune retina --data DIR"),
    (["finetune", "retinna"], 2, "did you mean"),
    (["finetune", "retina", "--set", "losses.perceptuel.weight=1"], 2, "did you mean 'perceptual'"),
    (["finetune", "retina", "--data", "{tmp}"], 4, "RealESRGAN_x4plus.pth from "),
    (["finetune", "--resume", "{tmp}"], 2, "recipe.yml"),
    (["evaluate", "folder", "--adapt", "--data", "{tmp}"], 2, "--adapt: folder has none"),
    (["weights", "verify", "realesrgan-x4plus"], 4, "not on this machine"),
    (["weights", "fetch", "nonsense"], 2, "nonsense"),
    (["weights", "import", "{tmp}/letter.png"], 4, "none of the files in the manifest"),
]
"""Arguments, exit code, words on stderr; `{tmp}` is a folder of its own."""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """What each of ERRORS said, and its code: in one process, which starts more slowly than they fail."""
    folder = tmp_path_factory.mktemp("errors")
    calls = []
    for number, (arguments, _, _) in enumerate(ERRORS):
        (folder / str(number)).mkdir()
        (folder / str(number) / "letter.png").write_text("not an image")
        calls.append([argument.replace("{tmp}", str(folder / str(number))) for argument in arguments])
    command = [sys.executable, "-c", EACH_BY_ITSELF, json.dumps(calls)]
    environment = os.environ | {"NO_COLOR": "1"}
    said = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stderr
    parts = re.split(r"^ended with (\d+)\n", said, flags=re.MULTILINE)
    return list(zip(parts[::2], map(int, parts[1::2]), strict=False))


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=lambda number: " ".join(ERRORS[number][0]))
def test_errors_are_one_line_with_their_exit_code(errors: list[tuple[str, int]], number: int) -> None:
    _, code, expected = ERRORS[number]
    stderr, ended = errors[number]
    assert ended == code, stderr
    assert expected in stderr
    assert "Traceback" not in stderr
    said = [line for line in stderr.splitlines() if line.startswith("medsr: ")]
    assert len(said) <= 1


@pytest.mark.parametrize("group", [[], ["weights"], ["cohort"]])
def test_the_summaries_of_commands_are_whole(group: list[str]) -> None:
    text = medsr(*group, "--help").stdout
    assert "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("words", "completed"),
    [("medsr up", "upscale"), ("medsr weights fe", "fetch"), ("medsr volume --iso", "--isotropic")],
)
def test_the_shell_completes(words: str, completed: str) -> None:
    shell = {"_MEDSR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    command = [sys.executable, "-m", "medsr"]
    result = subprocess.run(command, env=os.environ | shell, capture_output=True, text=True)
    assert result.stdout.split() == [completed]


def test_debug_adds_the_traceback(tmp_path: Path) -> None:
    result = medsr("--debug", "finetune", "retinna")
    assert "Traceback" in result.stderr
    assert result.returncode == 2


def test_info_lists_versions_and_models_without_torch() -> None:
    facts = json.loads(medsr("info", "--json").stdout)
    assert {"medsr", "python", "packages", "models", "weights"} <= facts.keys()
    assert "bicubic" in facts["models"]
    assert "basicsr" in facts["packages"]
    assert facts["packages"]["pydicom"].startswith("3.")
    assert "torch" in medsr("info").stdout
    assert "cpu" in medsr("info", "--devices").stdout


def test_weights_list_and_verify() -> None:
    rows = json.loads(medsr("weights", "list", "--json").stdout)
    assert {row["name"] for row in rows} >= {"realesrgan-x4plus", "realesrgan-x4plus-netd", "vgg19", "medsr-retina-x2"}
    result = medsr("weights", "verify")
    assert result.returncode == 0
    assert "medsr-retina-x2: matches the manifest" in result.stdout


def test_upscale_with_the_bundled_model_by_default(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "eye.png", fundus[:64, :80])
    result = medsr("upscale", source, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    from medsr.io.images import image as image_io

    assert image_io.read(tmp_path / "out/eye.png").pixels.shape == (128, 160, 3)
