"""Headers that contradict themselves or say nothing: refused in a sentence or said; never a wrong grid in silence."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsr.core.errors import InputError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.volume import GeometryChoice
from tests.helpers.scans import ONE_MM, QFORM

SFORM, QFORM_CHOICE = GeometryChoice("sform"), GeometryChoice("qform")


def values(shape: tuple[int, ...] = (6, 5, 4)) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % 251).astype(np.int16)


def nifti(
    path: Path,
    qform: np.ndarray = QFORM,
    sform: np.ndarray = QFORM,
    codes: tuple[int, int] = (1, 1),
    array: np.ndarray | None = None,
    klass: Any = nib.Nifti1Image,
    **fields: Any,
) -> Path:
    """A NIfTI file with both forms, and then whatever `fields` say, unchecked."""
    image = klass(values() if array is None else array, None)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(qform, codes[0])
    image.set_sform(sform, codes[1])
    plain = path.with_name(path.name.removesuffix(".gz"))
    image.to_filename(plain)
    content = bytearray(plain.read_bytes())
    header = klass.header_class(bytes(content[: klass.header_class.sizeof_hdr]), check=False)
    for key, value in fields.items():
        header[key] = value
    content[: header.sizeof_hdr] = header.binaryblock
    plain.unlink()
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    return path


def turned(degrees: float, affine: np.ndarray = QFORM) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(4)
    rotation[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return rotation @ affine


def moved(affine: np.ndarray, mm: float) -> np.ndarray:
    return nib.affines.from_matvec(affine[:3, :3], affine[:3, 3] + [mm, 0, 0])


MIRRORED = QFORM @ np.diag([-1, 1, 1, 1])
SHEARED = QFORM @ np.array([[1, 0, 0, 0], [0, 1, 3, 0], [0, 0, np.sqrt(1 - 0.09), 0], [0, 0, 0, 1.0]])
"""Slices leaning by 17 degrees, voxels of the same size."""


@pytest.mark.parametrize(
    ("sform", "codes", "words"),
    [
        (ONE_MM, (1, 1), "1 x 1 x 1 and 0.5 x 0.5 x 5"),
        (ONE_MM, (0, 1), "1 x 1 x 1 and 0.5 x 0.5 x 5"),
        (ONE_MM, (1, 4), "1 x 1 x 1 and 0.5 x 0.5 x 5"),
        (QFORM @ np.diag([1, 1.02, 1, 1]), (1, 1), "voxel sizes"),
        (turned(20), (1, 1), "axes differ by up to 20 degrees"),
        (turned(1), (2, 2), "axes differ by up to 1 degrees"),
        (moved(QFORM, 0.25), (1, 1), "origins lie 0.25 mm apart"),
        (MIRRORED, (1, 1), "left and right"),
        (MIRRORED, (1, 4), "left and right"),
        (np.diag([0, 0, 0, 1.0]), (1, 1), "singular"),
    ],
)
def test_forms_that_disagree_are_refused_until_one_is_named(
    tmp_path: Path, sform: np.ndarray, codes: tuple[int, int], words: str
) -> None:
    path = nifti(tmp_path / "a.nii.gz", sform=sform, codes=codes)
    with pytest.raises(InputError, match=words) as caught:
        volume_io.read(path)
    assert "`affine=sform` or `affine=qform`" in str(caught.value)
    assert "\n" not in str(caught.value)
    by_qform = volume_io.read(path, None, QFORM_CHOICE)
    assert any("as asked for" in note for note in by_qform.notes)
    if codes[0]:
        np.testing.assert_allclose(by_qform.affine, QFORM, atol=1e-5)
    assert by_qform.grid.spacing == pytest.approx((0.5, 0.5, 5))
    if sform[0, 0]:
        np.testing.assert_allclose(volume_io.read(path, None, SFORM).affine, sform, atol=1e-5)
    else:
        with pytest.raises(InputError, match="only `affine=qform`"):
            volume_io.read(path, None, SFORM)


@pytest.mark.parametrize(
    ("sform", "codes", "word"),
    [
        (QFORM, (1, 1), ""),
        (QFORM * (1 + 1e-5), (1, 1), ""),
        (moved(turned(0.05), 0.01), (1, 1), ""),
        (SHEARED, (1, 1), "sheared"),
        (turned(20), (1, 4), "different spaces"),
        (moved(QFORM, 30), (1, 2), "different spaces"),
        (turned(20), (0, 1), ""),
    ],
)
def test_forms_that_may_differ_give_the_sform_and_a_word(
    tmp_path: Path, sform: np.ndarray, codes: tuple[int, int], word: str
) -> None:
    qform = SHEARED if sform is SHEARED else QFORM  # nibabel stores the nearest rotation
    path = nifti(tmp_path / "a.nii", qform, sform, codes)
    volume = volume_io.read(path)
    np.testing.assert_allclose(volume.affine, sform, atol=1e-4)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)
    assert (word in " ".join(volume.notes)) if word else not volume.notes


@pytest.mark.parametrize("choice", [SFORM, QFORM_CHOICE])
def test_the_form_taken_is_what_others_read_from_the_result_and_the_other_moves_with_it(
    tmp_path: Path, choice: GeometryChoice
) -> None:
    path = nifti(tmp_path / "a.nii", sform=turned(20, ONE_MM))
    volume = volume_io.read(path, None, choice)
    volume_io.write(tmp_path / "out.nii", volume.refined(values((6, 5, 8))))
    half = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    after = nib.load(tmp_path / "out.nii")
    taken = QFORM if choice is QFORM_CHOICE else turned(20, ONE_MM)
    np.testing.assert_allclose(after.affine, taken @ half, atol=1e-5)
    np.testing.assert_allclose(after.header.get_zooms(), nib.affines.voxel_sizes(after.affine), rtol=1e-5)
    np.testing.assert_allclose(after.header.get_sform(), turned(20, ONE_MM) @ half, atol=1e-5)
    np.testing.assert_allclose(volume_io.read(tmp_path / "out.nii").affine, taken @ half, atol=1e-5)


def test_both_spaces_of_a_scan_are_refined(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", sform=turned(20), codes=(1, 4))
    volume_io.write(tmp_path / "out.nii", volume_io.read(path).refined(values((6, 5, 8))))
    after = nib.load(tmp_path / "out.nii")
    half = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    np.testing.assert_allclose(after.header.get_sform(), turned(20) @ half, atol=1e-5)
    np.testing.assert_allclose(after.header.get_qform(), QFORM @ half, atol=1e-5)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == (1, 4)


def test_an_sform_marked_as_not_valid_is_not_taken(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", sform=ONE_MM, codes=(1, 0))
    volume = volume_io.read(path)
    np.testing.assert_allclose(volume.affine, QFORM, atol=1e-5)
    assert "not valid" in " ".join(volume.notes)
    with pytest.raises(InputError, match="marks its sform as not valid"):
        volume_io.read(path, None, SFORM)


@pytest.mark.parametrize(
    "pixdim", [[1, 0, 0.5, 5, 1, 0, 0, 0], [1, 0.5, -0.5, 5, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0]]
)
def test_voxel_sizes_that_are_none(tmp_path: Path, pixdim: list[float]) -> None:
    path = nifti(tmp_path / "a.nii", pixdim=pixdim)
    with pytest.raises(InputError, match="disagree"):
        volume_io.read(path)
    np.testing.assert_allclose(volume_io.read(path, None, SFORM).affine, QFORM, atol=1e-5)
    with pytest.raises(InputError, match="only `affine=sform`"):
        volume_io.read(path, None, QFORM_CHOICE)
    path = nifti(tmp_path / "b.nii", codes=(0, 0), pixdim=pixdim)
    with pytest.raises(InputError, match="expected mm > 0"):
        volume_io.read(path)
    volume = volume_io.read(path, None, GeometryChoice(spacing=(0.5, 0.5, 5)))
    assert volume.grid.spacing == pytest.approx((0.5, 0.5, 5))
    assert "as given" in " ".join(volume.notes)


@pytest.mark.parametrize(("unit", "scale"), [(3, 0.001), (1, 1000.0)])
@pytest.mark.parametrize("name", ["out.nii", "out.nrrd"])
def test_metres_and_micrometres_become_millimetres_and_go_back(
    tmp_path: Path, unit: int, scale: float, name: str
) -> None:
    there = np.diag([1 / scale, 1 / scale, 1 / scale, 1])
    path = nifti(tmp_path / "a.nii", there @ QFORM, there @ QFORM, xyzt_units=unit | 8)
    volume = volume_io.read(path)
    np.testing.assert_allclose(volume.affine, QFORM, rtol=1e-5)
    assert "converted to mm" in " ".join(volume.notes)
    volume_io.write(tmp_path / name, volume)
    np.testing.assert_allclose(volume_io.read(tmp_path / name).affine, QFORM, rtol=1e-5)
    if name == "out.nii":
        after = nib.load(tmp_path / name)
        np.testing.assert_allclose(after.affine, there @ QFORM, rtol=1e-5)
        assert int(after.header["xyzt_units"]) == unit | 8


def test_voxels_of_a_metre_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="correct its xyzt_units"):
        volume_io.read(nifti(tmp_path / "a.nii", xyzt_units=1))


@pytest.mark.parametrize("klass", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_single_file_whose_vox_offset_is_0(tmp_path: Path, klass: Any, suffix: str) -> None:
    volume = volume_io.read(nifti(tmp_path / f"a{suffix}", klass=klass, vox_offset=0))
    np.testing.assert_array_equal(volume.stored, values())
    assert "vox_offset" in " ".join(volume.notes)
    volume_io.write(tmp_path / "out.nii", volume)
    np.testing.assert_array_equal(np.asanyarray(nib.load(tmp_path / "out.nii").dataobj), values())


@pytest.mark.parametrize("shape", [(6, 5, 4, 1), (6, 5, 4, 1, 1), (6, 5, 4, 3, 1), (6, 5, 4, 1, 1, 1, 1)])
def test_axes_of_length_1_at_the_end_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    volume = volume_io.read(nifti(tmp_path / "a.nii", array=values(shape)))
    assert volume.volumes == shape[3]
    fine = np.repeat(volume.stored, 2, axis=2)
    volume_io.write(tmp_path / "out.nii.gz", volume.refined(fine))
    after = nib.load(tmp_path / "out.nii.gz")
    assert after.shape == (6, 5, 8, *shape[3:])
    np.testing.assert_array_equal(np.asanyarray(after.dataobj), np.repeat(values(shape), 2, axis=2))


def test_compression_goes_by_content(tmp_path: Path) -> None:
    plain = nifti(tmp_path / "a.nii").read_bytes()
    mgh = tmp_path / "b.mgh"
    nib.MGHImage(values(), QFORM.astype(np.float32)).to_filename(mgh)
    for name, content in (
        ("not.nii.gz", plain),
        ("is.nii", gzip.compress(plain)),
        ("not.mgz", mgh.read_bytes()),
        ("is.mgh", gzip.compress(mgh.read_bytes())),
    ):
        (tmp_path / name).write_bytes(content)
        volume = volume_io.read(tmp_path / name)
        np.testing.assert_array_equal(volume.stored, values())
        np.testing.assert_allclose(volume.affine, QFORM, atol=1e-5)
        assert "unlike its name" in " ".join(volume.notes)
    (tmp_path / "cut.nii.gz").write_bytes(plain[:-9])
    with pytest.raises(InputError, match="truncated"):
        volume_io.read(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": [3, 6, 5, 2, 2, 1, 1, 1]}, "holds 2 times as much"),
        ({"dim": [0, 6, 5, 4, 1, 1, 1, 1]}, r"dim\[0\] is 0"),
        ({"dim": [9, 6, 5, 4, 1, 1, 1, 1]}, r"dim\[0\] is 9"),
        ({"dim": [5, 6, 5, 2, 1, 2, 1, 1]}, "2 numbers a voxel"),
        ({"scl_slope": np.inf}, "scl_slope is infinite"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scl_inter is not a number"),
        ({"datatype": 1536, "bitpix": 128}, "float128 voxels are not handled"),
        ({"datatype": 1}, "1-bit voxels are not handled"),
        ({"datatype": 77}, "datatype is 77"),
        ({"vox_offset": 348}, "vox_offset is 348"),
        ({"vox_offset": 352.5}, "vox_offset is 352.5"),
    ],
)
def test_damaged_fields_are_refused_in_plain_words(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        volume_io.read(nifti(tmp_path / "a.nii.gz", **fields))
    assert "a.nii.gz" in str(caught.value)


@pytest.mark.parametrize("fields", [{"scl_slope": 0, "scl_inter": 7}, {"scl_slope": np.nan, "scl_inter": np.nan}])
def test_no_slope_is_no_scaling(tmp_path: Path, fields: dict[str, Any]) -> None:
    volume = volume_io.read(nifti(tmp_path / "a.nii", **fields))
    assert (volume.slope, volume.intercept) == (1, 0)


def test_a_wrong_qfac_is_said_where_it_decides(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", codes=(1, 0), sform=np.diag([0, 0, 0, 1.0]), pixdim=[7, 0.5, 0.5, 5, 1, 0, 0, 0])
    assert "left and right may be exchanged" in " ".join(volume_io.read(path).notes)


def test_labels_by_intent_are_labels(tmp_path: Path) -> None:
    from medsr.volumes.labels import is_labels

    many = np.random.default_rng(0).integers(0, 2000, (12, 11, 10)).astype(np.int16)
    assert is_labels(volume_io.read(nifti(tmp_path / "a.nii", array=many, intent_code=1002)))
    assert not is_labels(volume_io.read(nifti(tmp_path / "b.nii", array=many)))


def test_analyze_says_that_it_knows_no_left_and_right(tmp_path: Path) -> None:
    nib.AnalyzeImage(values(), None).to_filename(tmp_path / "a.hdr")
    assert "may be mirrored" in " ".join(volume_io.read(tmp_path / "a.hdr").notes)


def test_an_mgh_that_states_no_geometry(tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nib.MGHImage(values(), QFORM.astype(np.float32)).to_filename(path)
    content = bytearray(path.read_bytes())
    content[28:30] = b"\0\0"  # goodRASFlag
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="states no voxel spacing"):
        volume_io.read(path)
    volume = volume_io.read(path, None, GeometryChoice(spacing=(0.5, 0.5, 5)))
    assert volume.grid.spacing == pytest.approx((0.5, 0.5, 5))
    assert volume.grid.planes == ("sagittal", "axial", "coronal")
    assert "coronal slices" in " ".join(volume.notes)
    volume_io.write(tmp_path / "out.mgh", volume)
    np.testing.assert_allclose(nib.load(tmp_path / "out.mgh").affine, volume.affine, atol=1e-5)


@pytest.mark.parametrize(("matrix", "fits"), [("1 0 0 1 0 0 0 0 1", False), ("0 0.001 0 0.001 0 0 0 0 0.001", True)])
def test_axes_of_a_metaimage_in_one_plane_are_refused_for_that(tmp_path: Path, matrix: str, fits: bool) -> None:
    fields = f"ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementSpacing = 1 1 1\nTransformMatrix = {matrix}\n"
    text = f"{fields}ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(text.encode() + bytes(48))
    if fits:
        assert volume_io.read(tmp_path / "a.mha").stored.shape == (2, 3, 4)
    else:
        with pytest.raises(InputError, match="axes of TransformMatrix lie in one plane"):
            volume_io.read(tmp_path / "a.mha")
