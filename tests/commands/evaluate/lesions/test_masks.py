"""Finding the mask of an image, and reading it on the image's grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from medsr.commands.evaluate.lesions.masks import find_mask, is_mask_name, leading_part, read_mask
from medsr.core.errors import InputError

SHAPE = (14, 16, 18)
AFFINE = np.array([[1.0, 0, 0, -7], [0, 1, 0, 5], [0, 0, 1, 9], [0, 0, 0, 1]])


def _lesions() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:6, 4, 10:12] = 1
    mask[10, 12, 2] = 1
    return mask


def _scan(folder: Path, name: str = "p1_FLAIR.nii.gz", affine: np.ndarray = AFFINE) -> Path:
    values = np.random.default_rng(0).integers(100, 900, SHAPE).astype(np.int16)
    nib.save(nib.Nifti1Image(values, affine), folder / name)
    return folder / name


def _mask(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def _picture(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def _fail(line: str) -> None:
    raise AssertionError(line)


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.nii.gz", "a_mask.nii.gz"),
        ("a.nii.gz", "a_mask.nrrd"),
        ("patient19_FLAIR.nii.gz", "patient19_GOLD_STANDARD.nii.gz"),
        ("sub-01_T1w.nii", "sub-01_T1w_mask.nii"),
        ("sub-01_T1w.nii", "sub-01_lesions.nii.gz"),
        ("case.7_T1.mha", "case.7_seg.mha"),
        ("eye.jpg", "eye_mask.png"),
        ("eye_left.png", "eye_left_MASK.TIF"),
        ("01_test.tif", "01_seg.gif"),
    ],
)
@pytest.mark.parametrize("place", ["beside", "apart", "mirrored"])
def test_a_mask_is_found_by_its_name(image: str, mask: str, place: str, tmp_path: Path) -> None:
    data, masks = tmp_path / "data", tmp_path / "masks"
    scan = data / "s1" / image
    file = {"beside": scan.parent, "apart": masks, "mirrored": masks / "s1"}[place] / mask
    _touch(scan, file, file.with_name(f"other_{mask}"), file.with_name("notes_mask.txt"), data / "s2" / f"b{image}")
    assert find_mask(scan, None if place == "beside" else masks, data) == file
    assert is_mask_name(file)
    assert not is_mask_name(scan)


def test_no_mask_or_two_are_refused_by_name(tmp_path: Path) -> None:
    scan = tmp_path / "p1_FLAIR.nii.gz"
    _touch(scan, tmp_path / "p2_FLAIR_mask.nii.gz", tmp_path / "p1_FLAIR_mask.png", tmp_path / ".p1_mask.nii.gz")
    with pytest.raises(InputError, match=r"p1_FLAIR\.nii\.gz: no mask .* name it p1_FLAIR_mask or p1_mask"):
        find_mask(scan)
    _touch(tmp_path / "p1_FLAIR_mask.nii.gz", tmp_path / "p1_lesions.nii.gz")
    with pytest.raises(InputError, match=r"p1_FLAIR\.nii\.gz: 2 masks \(.*p1_FLAIR_mask.*p1_lesions"):
        find_mask(scan)
    with pytest.raises(InputError, match="nowhere: not a folder"):
        find_mask(scan, tmp_path / "nowhere")


def test_a_mask_that_may_be_another_images_is_refused(tmp_path: Path) -> None:
    data, masks = tmp_path / "data", tmp_path / "masks"
    scans = [data / "s1" / "FLAIR.nii.gz", data / "s2" / "FLAIR.nii.gz"]  # on one grid, as in a template's space
    _touch(*scans, masks / "FLAIR_mask.nii.gz")
    with pytest.raises(InputError, match=r"FLAIR_mask.* the mask of .*s1.* or of .*s2"):
        find_mask(scans[0], masks, data)
    (masks / "FLAIR_mask.nii.gz").unlink()
    _touch(masks / "s1" / "FLAIR_mask.nii.gz")
    assert find_mask(scans[0], masks, data) == masks / "s1" / "FLAIR_mask.nii.gz"
    with pytest.raises(InputError, match="no mask"):  # and not the first one's
        find_mask(scans[1], masks, data)
    eyes = [tmp_path / "eyes" / name for name in ("eye_1.png", "eye_2.png", "eye_mask.png")]
    _touch(*eyes)
    with pytest.raises(InputError, match=r"eye_mask\.png: the mask of .*eye_1.* or of .*eye_2.*Name it eye_1_mask"):
        find_mask(eyes[0])
    _touch(eyes[0].with_name("eye_1_mask.png"))
    eyes[2].unlink()
    assert find_mask(eyes[0]).name == "eye_1_mask.png"


def test_scans_of_one_patient_share_a_mask(tmp_path: Path) -> None:
    scans = [tmp_path / "p1" / name for name in ("p1_t1ce.nii.gz", "p1_FLAIR.nii.gz")]
    _touch(*scans, tmp_path / "p1" / "p1_seg.nii.gz")
    assert {find_mask(scan).name for scan in scans} == {"p1_seg.nii.gz"}
    _touch(scans[0].with_name("p1_FLAIR_mask.nii.gz"))
    assert find_mask(scans[0]).name == "p1_seg.nii.gz"  # the other's own mask is not its own
    with pytest.raises(InputError, match="2 masks"):
        find_mask(scans[1])


def test_a_folder_of_slices_has_its_mask_beside_it_or_apart(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        _touch(tmp_path / "data" / patient / "series" / "1.dcm")
    series = tmp_path / "data" / "p1" / "series"
    _touch(tmp_path / "masks" / "series_mask.nii.gz")
    with pytest.raises(InputError, match="the mask of"):
        find_mask(series, tmp_path / "masks", tmp_path / "data")
    _touch(series.with_name("series_mask.nii.gz"))
    assert find_mask(series) == series.with_name("series_mask.nii.gz")


@pytest.mark.parametrize("codes", ["LPS", "SRA", "PIL", "RAS"])
def test_a_mask_in_any_orientation_lies_where_its_image_does(codes: str, tmp_path: Path) -> None:
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    scan = _scan(tmp_path)
    wanted = axcodes2ornt(tuple(codes))
    turned = nib.Nifti1Image(_lesions(), AFFINE).as_reoriented(ornt_transform(io_orientation(AFFINE), wanted))
    nib.save(turned, tmp_path / "p1_mask.nii.gz")
    np.testing.assert_array_equal(read_mask(find_mask(scan), scan, _fail), _lesions() > 0)


def test_the_lesions_of_an_image_that_is_flipped_are_turned_with_it(tmp_path: Path) -> None:
    left = AFFINE.copy()
    left[0] = [-1, 0, 0, 6]
    scan = _scan(tmp_path, affine=left)
    itk = sitk.GetImageFromArray(_lesions()[::-1].transpose(2, 1, 0))  # written by another program
    itk.SetOrigin((-6.0, -5.0, 9.0))
    itk.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(itk, str(tmp_path / "p1_mask.nrrd"))
    np.testing.assert_array_equal(read_mask(find_mask(scan), scan, _fail), _lesions() > 0)


@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        ((14, 16, 17), np.eye(4), "14 x 16 x 17 voxels, its image has 14 x 16 x 18"),
        (SHAPE, np.diag([1, 1, 1.02, 1]), "lies up to 0.36 voxels off"),
        (SHAPE, np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "lies up to 0.5 voxels off"),
        (SHAPE, np.diag([1, 1, -1, 1]), "voxels off its image, by the headers"),
        ((*SHAPE, 2), np.eye(4), "2 volumes; a mask is one"),
    ],
)
def test_a_mask_on_another_grid_is_refused(shape: tuple[int, ...], change: np.ndarray, message: str, tmp_path: Path):
    scan = _scan(tmp_path)
    path = _mask(tmp_path / "p1_mask.nii.gz", np.ones(shape, np.uint8), AFFINE @ change)
    with pytest.raises(InputError, match=rf"p1_mask.*{message}"):
        read_mask(path, scan, _fail)


def test_headers_that_are_rounded_are_on_the_grid(tmp_path: Path) -> None:
    scan = _scan(tmp_path, affine=AFFINE @ np.diag([0.48828125, 0.48828125, 1.2, 1]))
    path = _mask(tmp_path / "p1_mask.nii.gz", _lesions(), AFFINE @ np.diag([0.4883, 0.4883, 1.2, 1]))
    np.testing.assert_array_equal(read_mask(path, scan, _fail), _lesions() > 0)


def test_labels_of_any_number_and_soft_masks_are_read_and_said(tmp_path: Path) -> None:
    scan, lines = _scan(tmp_path), []
    lesions = _lesions()
    path = tmp_path / "p1_mask.nii.gz"
    numbered = np.where(lesions, 7, 0).astype(np.int16)
    numbered[10, 12, 2] = 300
    np.testing.assert_array_equal(read_mask(_mask(path, numbered), scan, lines.append), lesions > 0)
    soft = np.where(lesions, 0.8, 0.3).astype(np.float32)
    np.testing.assert_array_equal(read_mask(_mask(path, soft), scan, lines.append), lesions > 0)
    assert len(lines) == 2
    assert "2 labels: all count as lesion" in lines[0]
    assert "above 0.5 counts as lesion" in lines[1]
    scaled = nib.Nifti1Image(np.where(lesions, 200, 60).astype(np.uint8), AFFINE)
    scaled.header.set_slope_inter(1 / 255, 0)  # 8 bits that mean 0 to 1
    nib.save(scaled, path)
    np.testing.assert_array_equal(read_mask(path, scan, lines.append), lesions > 0)


def test_an_empty_mask_is_said(tmp_path: Path) -> None:
    scan, lines = _scan(tmp_path), []
    path = _mask(tmp_path / "p1_mask.nii.gz", np.zeros(SHAPE, np.uint8))
    assert not read_mask(path, scan, lines.append).any()
    assert lines == [f"{path}: no lesion in this mask"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16), "differ from neighbour to neighbour"),
        (np.random.default_rng(0).normal(500, 90, SHAPE).astype(np.float32), "a mask holds labels or 0 to 1"),
        (_lesions().astype(np.int16) - 1, "values down to -1"),
    ],
)
def test_a_scan_in_the_place_of_a_mask_is_refused(values: np.ndarray, message: str, tmp_path: Path) -> None:
    scan = _scan(tmp_path)
    with pytest.raises(InputError, match=message):
        read_mask(_mask(tmp_path / "p1_mask.nii.gz", values), scan, _fail)


def _disc(radius: float = 3) -> np.ndarray:
    rows, columns = np.indices((40, 60))
    return (rows - 12) ** 2 + (columns - 40) ** 2 <= radius**2


@pytest.fixture
def eye(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    return _picture(tmp_path / "eye.png", values)


@pytest.mark.parametrize(
    "pixels",
    [
        _disc(),
        _disc().astype(np.uint8),
        _disc().astype(np.uint8) * 255,
        _disc().astype(np.uint16) * 65535,
        np.dstack([_disc() * 255, *[np.zeros((40, 60))] * 2]).astype(np.uint8),
        np.dstack([_disc() * 255, *[np.zeros((40, 60))] * 2, np.full((40, 60), 255)]).astype(np.uint8),
    ],
    ids=["one bit", "0 and 1", "0 and 255", "16 bits", "red", "red, opaque"],
)
def test_masks_of_pictures_are_read_in_any_depth_and_colour(pixels: np.ndarray, eye: Path) -> None:
    path = _picture(eye.with_name("eye_mask.png"), pixels)
    np.testing.assert_array_equal(read_mask(path, eye, _fail), _disc())


def test_a_palette_is_read_by_its_colours(eye: Path) -> None:
    picture = Image.fromarray((~_disc()).astype(np.uint8))  # index 0 is the lesion
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(eye.with_name("eye_mask.gif"))
    np.testing.assert_array_equal(read_mask(find_mask(eye), eye, _fail), _disc())


def test_compressed_and_scaled_masks_are_cut_at_half(eye: Path) -> None:
    lines: list[str] = []
    white = Image.fromarray(_disc(6).astype(np.uint8) * 255)
    white.save(eye.with_name("eye_mask.jpg"), quality=60)
    assert np.count_nonzero(read_mask(eye.with_name("eye_mask.jpg"), eye, lines.append) != _disc(6)) <= 3
    large = Image.fromarray(np.kron(_disc(6), np.ones((8, 8))).astype(np.uint8) * 255)
    large.resize((60, 40), Image.Resampling.BICUBIC).save(eye.with_name("eye_mask.png"))
    np.testing.assert_array_equal(read_mask(eye.with_name("eye_mask.png"), eye, lines.append), _disc(6))
    assert len(lines) == 2
    assert all(line.endswith("greys: what is brighter than half counts as lesion") for line in lines)


def test_pictures_are_turned_as_they_are_shown(tmp_path: Path) -> None:
    turned = Image.new("L", (60, 40)).getexif()
    turned[274] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)).save(
        tmp_path / "eye.jpg", exif=turned
    )
    path = _picture(tmp_path / "eye_mask.png", np.rot90(_disc().astype(np.uint8), -1))
    np.testing.assert_array_equal(read_mask(path, tmp_path / "eye.jpg", _fail), np.rot90(_disc(), -1))


def test_pictures_that_are_no_masks_of_the_image_are_refused(eye: Path) -> None:
    path = eye.with_name("eye_mask.png")
    _picture(path, _disc().astype(np.uint8)[:, :-1])
    with pytest.raises(InputError, match=r"eye_mask.*40 x 59 pixels, its image has 40 x 60"):
        read_mask(path, eye, _fail)
    path.write_bytes(eye.read_bytes())
    with pytest.raises(InputError, match=r"eye_mask.*a picture, not a mask"):
        read_mask(path, eye, _fail)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"eye_mask.*damaged"):
        read_mask(path, eye, _fail)


def test_a_mask_is_cut_as_its_image_is(tmp_path: Path) -> None:
    mask = _lesions() > 0
    np.testing.assert_array_equal(leading_part(mask, (14, 16, 16), tmp_path), mask[:, :, :16])
    with pytest.raises(InputError, match="14 x 16 x 18 are fewer than the ground truth's 14 x 16 x 20"):
        leading_part(mask, (14, 16, 20), tmp_path)
