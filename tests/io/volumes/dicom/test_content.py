"""What DICOM says of the voxels' meaning: phases and parts of the body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import MRImageStorage

import medsr
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_slices


def mr(folder: Path, **tags: object) -> Path:
    shown = {"Modality": "MR", "SOPClassUID": MRImageStorage} | tags
    rng = np.random.default_rng(1)
    return write_slices(
        folder,
        [slice_of(k, PixelData=rng.integers(0, 4096, (6, 8)).astype(np.uint16).tobytes(), **shown) for k in range(5)],
    )


@pytest.mark.parametrize(
    "kind", [["ORIGINAL", "PRIMARY", "P", "ND"], ["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"]]
)
def test_a_phase_is_not_interpolated_unasked_and_warned_of_where_asked(tmp_path: Path, kind: list[str]) -> None:
    folder = mr(tmp_path / "series", ImageType=kind)
    scan = volume_io.read(folder)
    lines: list[str] = []
    (outcome,) = medsr.volume(folder, tmp_path / "out.nii.gz", spacing=(0.5, 0.7, 1.0), notify=lines.append)
    assert outcome.error is None
    result = volume_io.read(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(result.stored, np.repeat(scan.stored, 3, axis=2))
    assert any("nearest neighbour" in line for line in lines)
    lines.clear()
    medsr.volume(folder, tmp_path / "cubic.nii.gz", model="cubic", spacing=(0.5, 0.7, 1.0), notify=lines.append)
    assert any("phase wraps" in line for line in lines)


@pytest.mark.parametrize(
    ("tags", "part"),
    [
        ({"BodyPartExamined": "KNEE"}, "KNEE"),
        ({"BodyPartExamined": "CSPINE"}, "SPINE"),
        ({"ProtocolName": "t2_tse_prostate"}, "PROSTATE"),
        ({"BodyPartExamined": "HEAD", "StudyDescription": "hip"}, ""),
        ({"BodyPartExamined": "CARDIAC"}, "HEART"),
        ({"BodyPartExamined": "EXAM", "SeriesDescription": "pd_tse_sag_Knie re"}, "KNEE"),
        ({"StudyDescription": "IRM de l'épaule"}, "SHOULDER"),
        ({"ProtocolName": "hippocampus_t2"}, ""),
        ({"ProtocolName": "head_neck_tof"}, ""),
        ({"SeriesDescription": "t2_tse_tra", "StudyDescription": "MRT LWS"}, "SPINE"),
        ({"ProtocolName": "t1_mprage"}, ""),
        ({}, ""),
    ],
)
def test_another_part_of_the_body_than_the_head_is_read_from_the_header(
    tmp_path: Path, tags: dict[str, str], part: str
) -> None:
    folder = mr(tmp_path / "series", **tags)
    assert volume_io.read(folder).elsewhere == part


def test_a_knee_is_remarked_upon(tmp_path: Path) -> None:
    lines: list[str] = []
    folder = mr(tmp_path / "series", BodyPartExamined="KNEE")
    medsr.volume(folder, tmp_path / "out.nii.gz", notify=lines.append)
    assert any("another part of the body (KNEE" in line for line in lines)


@pytest.mark.parametrize("model", ["cubic", "medsr-mri"])
def test_declared_background_is_exact_and_casts_no_ring(tmp_path: Path, model: str) -> None:
    slices = []
    for k in range(6):
        pixels = np.full((6, 8), 1000 + 10 * (k % 2), np.int16)
        pixels[:, :2] = -2000
        if k == 5:
            pixels[:] = -2000
        tags = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15, "PixelPaddingValue": -2000}
        slices.append(slice_of(k, PixelData=pixels.tobytes(), **tags))
    folder = write_slices(tmp_path / "series", slices)
    (outcome,) = medsr.volume(folder, tmp_path / "out.nii.gz", model=model, kind="image", spacing=(0.5, 0.7, 1.0))
    assert outcome.error is None
    result = volume_io.read(tmp_path / "out.nii.gz").stored
    assert result.shape == (8, 6, 18)
    assert (result[:2] == -2000).all()
    assert (result[:, :, 15:] == -2000).all()
    assert result[2:, :, :15].min() >= 980
    assert result[2:, :, :15].max() <= 1030


@pytest.mark.parametrize(("number", "wrapped", "signed"), [(0, False, False), (1, True, False), (3, False, True)])
def test_ge_says_by_a_private_number_what_its_values_are(
    tmp_path: Path, number: int, wrapped: bool, signed: bool
) -> None:
    slices = [slice_of(k, Modality="MR", SOPClassUID=MRImageStorage) for k in range(3)]
    for dataset in slices:
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", number)
    volume = volume_io.read(write_slices(tmp_path / "series", slices))
    assert (volume.wrapped, volume.signed) == (wrapped, signed)
