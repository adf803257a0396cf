"""`medsr-slicer IN OUT`: what Slicer gets back is what `medsr volume` computes, where it was, and nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import medsr
from medsr.cli import slicer
from medsr.commands.slicer.run import Wish, refine
from medsr.core.errors import UsageError

OBLIQUE = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, -1.0)
TAG = re.compile(r"<filter-(progress|name|comment|time|start|end)>[^<]*</filter-\1>[ \t\n\r]*")
"""What Slicer takes out of the standard output, over and over."""


def write(path: Path, values: np.ndarray, spacing: tuple[float, ...] = (1.0, 1.0, 3.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin((-12.5, 7.25, 100.0))
    image.SetDirection(OBLIQUE)
    sitk.WriteImage(image, str(path))
    return image


def scan_values(dtype: type = np.int16) -> np.ndarray:
    """Smooth enough for noise of nothing, and different along every axis and to both sides."""
    z, y, x = np.meshgrid(*(np.linspace(0, 1, length) for length in (8, 12, 10)), indexing="ij")
    values = 400 + 90 * np.cos(2 * x + z) * np.exp(y) + 60 * x - 50 * y * z
    return (np.rint(values) if np.issubdtype(dtype, np.integer) else values).astype(dtype)


def quietly(*_: object) -> None:
    pass


def run(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["medsr-slicer", *map(str, arguments)])
    try:
        slicer.run_program(slicer._command)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_box_type_and_intensities_come_back(suffix: str, dtype: type, tmp_path: Path) -> None:
    values = scan_values(dtype) if dtype is not np.uint8 else np.rint(scan_values(float) / 4).astype(dtype)
    scan = write(tmp_path / f"in{suffix}", values)
    out = tmp_path / f"out{suffix}"
    refine(tmp_path / f"in{suffix}", out, Wish(2.0, "back-projected", device="cpu"), None, quietly, quietly)
    result = sitk.ReadImage(str(out))
    assert result.GetPixelID() == scan.GetPixelID()
    assert result.GetSize() == tuple(2 * length for length in scan.GetSize())
    np.testing.assert_allclose(result.GetSpacing(), np.array(scan.GetSpacing()) / 2, rtol=1e-6)
    np.testing.assert_allclose(result.GetDirection(), scan.GetDirection(), atol=1e-6)
    for corner in ((0, 0, 0), (1, 0, 1), (1, 1, 1)):
        ends = [
            image.TransformContinuousIndexToPhysicalPoint(
                [side * length - 0.5 for side, length in zip(corner, image.GetSize(), strict=True)]
            )
            for image in (scan, result)
        ]
        np.testing.assert_allclose(*ends, atol=1e-4)
    fine = sitk.GetArrayFromImage(result).astype(float)
    blocks = fine.reshape(8, 2, 12, 2, 10, 2).mean(axis=(1, 3, 5))
    assert np.abs(blocks - values).max() < (0.5 if np.issubdtype(dtype, np.integer) else 1e-4 * np.ptp(values))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}"]


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_a_header_as_slicer_writes_it_keeps_its_place(signs: tuple[int, ...], tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    values = scan_values()
    header = {
        "space": "left-posterior-superior",
        "kinds": ["domain"] * 3,
        "space directions": np.diag(np.array(signs) * (0.75, 1.5, 3.0)),
        "space origin": np.array((3.5, -20.25, 40.0)),
        "measurement frame": np.eye(3),
    }
    nrrd.write(str(tmp_path / "1234_vtkMRMLScalarVolumeNodeB.nrrd"), values, header | {"encoding": "raw"})
    out = tmp_path / "1234_vtkMRMLScalarVolumeNodeC.nrrd"
    refine(tmp_path / "1234_vtkMRMLScalarVolumeNodeB.nrrd", out, Wish(2.0, "cubic"), None, quietly, quietly)
    fine, written = nrrd.read(str(out))
    directions = np.asarray(written["space directions"], float)
    expected = np.asarray(header["space directions"], float)
    assert fine.shape == tuple(2 * length for length in values.shape)
    assert written["space"] == header["space"]
    np.testing.assert_allclose(directions, expected / 2, atol=1e-9)
    corner = np.asarray(written["space origin"], float) - directions.sum(axis=0) / 2
    np.testing.assert_allclose(corner, np.asarray(header["space origin"], float) - expected.sum(axis=0) / 2, atol=1e-9)


def test_a_flat_volume_stays_flat(tmp_path: Path) -> None:
    write(tmp_path / "in.nrrd", np.full((6, 8, 8), 417, np.int16))
    refine(tmp_path / "in.nrrd", tmp_path / "out.nrrd", Wish(2.0, "medsr-mri", device="cpu"), None, quietly, quietly)
    assert np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nrrd")))).tolist() == [417]


def test_it_is_what_medsr_volume_writes(tmp_path: Path) -> None:
    write(tmp_path / "in.nrrd", scan_values())
    spread = tmp_path / "spread.nrrd"
    shares: list[float] = []
    said = refine(
        tmp_path / "in.nrrd",
        tmp_path / "out.nrrd",
        Wish(device="cpu"),
        spread,
        lambda done, total, _: shares.append(done / total),
        quietly,
    )
    medsr.volume(tmp_path / "in.nrrd", tmp_path / "other.nrrd", device="cpu", uncertainty=True)
    for name, other in (("out", "other"), ("spread", "other_uncertainty")):
        assert (tmp_path / f"{name}.nrrd").read_bytes() == (tmp_path / f"{other}.nrrd").read_bytes()
    assert said.model == "medsr-mri"
    assert "RMS error" in said.agreement
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(spread))).max() > 0


def test_an_uncertainty_that_does_not_exist_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write(tmp_path / "ct.nrrd", scan_values() - 1000)
    with pytest.raises(UsageError, match=r"no `uncertainty`.*CT"):
        refine(tmp_path / "ct.nrrd", tmp_path / "out.nrrd", Wish(2.0), tmp_path / "u.nrrd", quietly, quietly)
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]


def test_the_program_prints_what_slicer_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in.nrrd", scan_values())
    returned = tmp_path / "results.params"
    arguments = ("--model", "medsr-mri", "--factor", "0", "--thickness", "0", "--device", "cpu")
    arguments += ("--returnparameterfile", str(returned), str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd"))
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    printed = capfd.readouterr().out
    assert printed.startswith("<filter-start>\n<filter-name>medsr</filter-name>\n")
    assert printed.endswith("</filter-end>\n")
    shares = [float(share) for share in re.findall(r"<filter-progress>([^<]*)</filter-progress>", printed)]
    assert shares == sorted(set(shares))
    assert shares[-1] == 1
    rest = printed
    while (shorter := TAG.sub("", rest)) != rest:
        rest = shorter
    assert "<" not in rest
    assert "consistency with the input" in rest
    lines = dict(line.split(" = ", 1) for line in returned.read_text().splitlines())
    assert lines.keys() == {"modelUsed", "agreement", "warnings"}
    assert lines["modelUsed"] == "medsr-mri"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["in.nrrd"], 2, "medsr: expected an input volume and an output volume; --help explains"),
        (["--factor", "x", "in.nrrd", "out.nrrd"], 2, "medsr: argument --factor: invalid float value"),
        (["--factor", "nan", "in.nrrd", "out.nrrd"], 2, "medsr: --factor nan: expected a factor"),
        (["--factor", "1", "in.nrrd", "out.nrrd"], 2, "medsr: --factor 1: the same grid"),
        (["--thickness", "-1", "in.nrrd", "out.nrrd"], 2, "medsr: --thickness -1: expected mm above 0"),
        (["--fuse", "best", "in.nrrd", "out.nrrd"], 2, "medsr: argument --fuse: invalid choice: 'best'"),
        (["--modle", "auto", "in.nrrd", "out.nrrd"], 2, "medsr: unrecognized arguments: --modle"),
        (["--model", "medsr-mrj", "in.nrrd", "out.nrrd"], 2, "did you mean 'medsr-mri'"),
        (["in.nrrd", "in.nrrd"], 2, "choose another output volume"),
        (["in.nrrd", "out.png"], 2, "out.png: expected the name of a file that ends in one of .nii"),
        (["--uncertainty", "out.nrrd", "in.nrrd", "out.nrrd"], 2, "the output volume and --uncertainty are the same"),
        (["--uncertainty", "u.nrrd", "--model", "cubic", "in.nrrd", "out.nrrd"], 2, "medsr: --uncertainty: interpol"),
        (["none.nrrd", "out.nrrd"], 3, "medsr: none.nrrd: no such file"),
        (["bad.nrrd", "out.nrrd"], 3, "bad.nrrd"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.nrrd", scan_values())
    (tmp_path / "bad.nrrd").write_bytes((tmp_path / "in.nrrd").read_bytes()[:300])
    assert run(*arguments, monkeypatch=monkeypatch) == code
    printed = capfd.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert "<filter-end>" not in printed.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.nrrd", "in.nrrd"]


def test_warnings_reach_the_form_and_the_error_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "ct.nrrd", scan_values() - 1000)
    returned = tmp_path / "r"
    arguments = ("--returnparameterfile", returned, tmp_path / "ct.nrrd", tmp_path / "out.nrrd")
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    assert "ct.nrrd: warning: no bundled model was made for CT" in capfd.readouterr().err
    text = returned.read_text()
    assert "modelUsed = cubic\n" in text
    assert "warnings = no bundled model was made for CT" in text
    assert "--model chooses one" in text
