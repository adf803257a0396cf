"""`medsr.evaluate_lesions`: what it refuses, what it takes from files, what one bad image costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medsr
from medsr.core.errors import MedsrError, UsageError
from tests.helpers.images import write_png


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that lesions could be drawn into."""
    folder = tmp_path_factory.mktemp("grey")
    write_png(folder / "one.png", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8))
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "ct"}, "`kind=ct`: expected mri, cxr, fundus"),
        ({"rounds": 0}, "`rounds=0`: expected a number from 1 to 20"),
        ({"limit": 0}, "`limit=0`: expected a number of images from 1"),
        ({"seed": -1}, "`seed=-1`: expected a number from 0"),
        ({"scale": 0}, "`scale=0`: cxr takes whole numbers from 2 to 16"),
        ({"scale": 2.5}, "`scale=2.5`: cxr takes whole numbers from 2 to 16"),
        ({"kind": "mri", "scale": 0}, "`scale=0`: expected a through-plane factor above 1"),
        ({"blur_sigma": -1.0}, "`blur_sigma=-1`: expected low-resolution pixels from 0 to 20"),
        ({"blur_sigma": float("nan")}, "`blur_sigma=nan`: expected low-resolution pixels from 0 to 20"),
        ({"bits": 7}, "`bits=7`: expected 8 to 16"),
        ({"pixel_mm": 0.0}, "`pixel_mm=0`: expected millimetres from 0.05 to 2"),
        ({"kind": "fundus", "pixel_mm": 0.0}, "`pixel_mm`: of radiographs only; leave it out with `kind=fundus`"),
        ({"kind": "mri", "pixel_mm": 0.4}, "`pixel_mm`: of radiographs only; leave it out with `kind=mri`"),
        ({"kind": "mri", "tile": 64}, "`tile`: scans run in whole slices"),
        ({"kind": "mri", "bits": 12}, "`bits`: scans have none"),
        ({"kind": "mri", "blur_sigma": 0.0}, "`blur_sigma`: scans have none"),
        ({"masks": "nowhere"}, "`masks=nowhere`: not a folder"),
        ({"models": ["cubic"]}, "is for volumes"),
        ({"json": "."}, "`json=.`: is a folder"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, said: str, grey: Path) -> None:
    with pytest.raises(UsageError) as caught:
        medsr.evaluate_lesions(**{"kind": "cxr", "data": grey, "device": "cpu"} | arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["mri", "cxr", "fundus"])
@pytest.mark.parametrize("names", [(), ("eye_mask.png", "scan_lesions.nii.gz")], ids=["empty", "only masks"])
def test_a_folder_without_ground_truth_is_said_to_be_so(tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(MedsrError, match=r"expected") as caught:
        medsr.evaluate_lesions(kind, tmp_path, device="cpu")  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{tmp_path}: ")
