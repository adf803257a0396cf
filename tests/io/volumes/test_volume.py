"""Volumes in every format: what is read is what is stored, what is written comes back, hostile files are refused."""

from __future__ import annotations

import gzip
import itertools
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.core.errors import InputError, MedsrError, MemoryExhaustedError, UsageError
from medsr.io import scans
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files

OBLIQUE = np.array([[0.9, 0.1, -0.2, -40.5], [-0.15, 1.1, 0.3, 12.25], [0.2, -0.25, 2.4, 7.75], [0, 0, 0, 1]])
RIGID = nib.affines.from_matvec(np.linalg.qr(OBLIQUE[:3, :3])[0] @ np.diag([0.9, 1.1, 2.5]), [-40.5, 12.25, 7.75])

TEMPLATE = nib.affines.from_matvec(np.array([[0.9, 0, 0], [0, 1.1, 0], [0, 0, 2.5]]), [-90, -126, -72])


def ramp(shape: tuple[int, ...] = (7, 6, 5), dtype: str = "int16") -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % 251).astype(dtype)


def write(path: Path, array: np.ndarray, affine: np.ndarray = RIGID) -> Path:
    if path.name.endswith((".mgh", ".mgz")):
        nib.MGHImage(array, affine.astype(np.float32)).to_filename(path)
    elif path.suffix == ".hdr":
        nib.Spm99AnalyzeImage(array, affine).to_filename(path)
    elif path.suffix in (".nrrd", ".nhdr", ".mha", ".mhd"):
        image = sitk.GetImageFromArray(array.T, isVector=False)
        lps = np.diag([-1, -1, 1, 1]) @ affine
        spacing = np.sqrt((lps[:3, :3] ** 2).sum(0))
        extra = array.ndim - 3
        image.SetSpacing([*spacing.tolist(), *[2.5] * extra])
        image.SetOrigin([*lps[:3, 3].tolist(), *[0.0] * extra])
        direction = np.eye(array.ndim)
        direction[:3, :3] = lps[:3, :3] / spacing
        image.SetDirection(direction.ravel().tolist())
        sitk.WriteImage(image, str(path))
    else:
        nib.Nifti1Image(array, affine).to_filename(path)
    return path


FORMATS = ("a.nii", "a.nii.gz", "a.mgh", "a.mgz", "a.hdr", "a.nrrd", "a.nhdr", "a.mha", "a.mhd")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(7, 6, 5), (7, 6, 5, 3)])
def test_every_format_comes_back_as_it_went_in(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    source = write(tmp_path / name, ramp(shape))
    before = volume_io.read(source)
    target = tmp_path / "out" / name
    volume_io.write(target, before)
    after = volume_io.read(target)
    np.testing.assert_array_equal(before.stored, ramp(shape))
    np.testing.assert_array_equal(after.stored, before.stored)
    np.testing.assert_allclose(before.affine, RIGID, atol=1e-5)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert after.stored.dtype == before.stored.dtype == np.int16
    assert not [file for file in tmp_path.joinpath("out").iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("name", FORMATS)
def test_a_refined_volume_fills_the_same_box_when_read_by_others(tmp_path: Path, name: str) -> None:
    before = volume_io.read(write(tmp_path / name, ramp()))
    fine = ramp((7, 12, 15))
    target = tmp_path / "out" / name
    volume_io.write(target, before.refined(fine))
    after = volume_io.read(target)
    corner, far = [-0.5, -0.5, -0.5, 1], np.array
    np.testing.assert_allclose(after.affine @ corner, RIGID @ corner, atol=1e-4)
    np.testing.assert_allclose(after.affine @ far([6.5, 11.5, 14.5, 1]), RIGID @ far([6.5, 5.5, 4.5, 1]), atol=1e-4)
    np.testing.assert_array_equal(after.stored, fine)


@pytest.mark.parametrize("name", FORMATS)
def test_a_volume_on_a_grid_elsewhere_is_written_where_it_lies(tmp_path: Path, name: str) -> None:
    """Whatever the header that it was read with says: of several scans put together, the box is another one's."""
    before = volume_io.read(write(tmp_path / name, ramp()))
    elsewhere = nib.affines.from_matvec(RIGID[:3, :3][:, [2, 0, 1]] * 0.7, [11, -5, 3])
    target = tmp_path / "out" / name
    volume_io.write(target, replace(before, stored=ramp((4, 9, 8)), affine=elsewhere))
    np.testing.assert_allclose(volume_io.read(target).affine, elsewhere, atol=1e-4)


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("meter", 1e3), ("micron", 1e-3)])
@pytest.mark.parametrize("codes", [(1, 1), (4, 0), (0, 2), (0, 0)])
def test_both_forms_of_a_nifti_move_elsewhere(tmp_path: Path, unit: str, scale: float, codes: tuple[int, int]) -> None:
    image = nib.Nifti1Image(ramp(), None)
    affine = np.diag([2 / scale, 2 / scale, 3 / scale, 1])
    image.header.set_xyzt_units(unit)
    image.header.set_zooms([2 / scale, 2 / scale, 3 / scale])
    image.header.set_sform(affine, codes[0])
    image.header.set_qform(affine, codes[1])
    plain = nib.Nifti1Image(ramp(), None, image.header)
    plain.to_filename(tmp_path / "a.nii")
    before = volume_io.read(tmp_path / "a.nii")
    elsewhere = nib.affines.from_matvec(np.diag([1.5, 1.5, 1.5]), [8, 9, 10])
    volume_io.write(tmp_path / "b.nii", replace(before, stored=ramp((4, 9, 8)), affine=elsewhere))
    np.testing.assert_allclose(volume_io.read(tmp_path / "b.nii").affine, elsewhere, atol=1e-4)
    written = nib.load(tmp_path / "b.nii").header
    to_mm = np.diag([scale, scale, scale, 1])
    np.testing.assert_allclose(to_mm @ written.get_sform(), elsewhere, atol=1e-4)
    np.testing.assert_allclose(to_mm @ written.get_qform(), elsewhere, atol=1e-4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_positions_agree_with_simpleitk(tmp_path: Path, name: str) -> None:
    volume = volume_io.read(write(tmp_path / name, ramp()))
    image = sitk.ReadImage(str(tmp_path / name))
    for index in itertools.product((0, 6), (0, 5), (0, 4)):
        ours = volume.affine @ [*index, 1]
        theirs = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        np.testing.assert_allclose(ours[:3], theirs, atol=1e-4)


def test_scaling_byte_order_and_codes_are_kept(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nib.Nifti1Image(ramp().astype(">i2"), None, header)
    image.set_qform(RIGID, 1)
    image.set_sform(TEMPLATE, 4)
    image.header.set_slope_inter(2.5, -1024)
    image.header["descrip"] = b"kept"
    image.to_filename(tmp_path / "big.nii")
    before = volume_io.read(tmp_path / "big.nii")
    assert (before.slope, before.intercept) == (2.5, -1024)
    np.testing.assert_array_equal(before.stored, ramp())
    volume_io.write(tmp_path / "out.nii", before.refined(ramp((7, 6, 10))), keep_metadata=True)
    after = nib.load(tmp_path / "out.nii")
    assert after.header.endianness == ">"
    assert (after.dataobj.slope, after.dataobj.inter) == (2.5, -1024)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == (1, 4)
    half = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    np.testing.assert_allclose(after.header.get_qform(), RIGID @ half, atol=1e-5)
    np.testing.assert_allclose(after.header.get_sform(), TEMPLATE @ half, atol=1e-5)
    assert after.header["descrip"].item() == b"kept"


@pytest.mark.parametrize("klass", [nib.Nifti1Image, nib.Nifti2Image])
def test_the_time_step_of_a_series_is_kept(tmp_path: Path, klass: type) -> None:
    image = klass(ramp((6, 5, 4, 3)), RIGID)
    image.header.set_zooms((*image.header.get_zooms()[:3], 2.2))
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(tmp_path / "bold.nii.gz")
    volume = volume_io.read(tmp_path / "bold.nii.gz")
    volume_io.write(tmp_path / "out.nii.gz", volume.refined(ramp((6, 5, 8, 3))))
    after = nib.load(tmp_path / "out.nii.gz")
    assert isinstance(after, klass)
    assert after.header.get_zooms()[3] == pytest.approx(2.2)
    assert after.header.get_xyzt_units() == ("mm", "sec")


def test_scaled_values_become_what_they_mean_where_a_format_has_no_scaling(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(), RIGID)
    image.header.set_slope_inter(0.5, 3)
    image.to_filename(tmp_path / "a.nii")
    volume_io.write(tmp_path / "a.nrrd", volume_io.read(tmp_path / "a.nii"))
    np.testing.assert_allclose(volume_io.read(tmp_path / "a.nrrd").stored, ramp() * 0.5 + 3)


@pytest.mark.parametrize(("given", "other"), itertools.permutations(["a.nii", "a.nrrd", "a.mha", "a.mgz"], 2))
def test_the_time_step_survives_another_format(tmp_path: Path, given: str, other: str) -> None:
    source = write(tmp_path / given, ramp((6, 5, 4, 3)))
    if given.endswith(("nii", "mgz")):
        image = nib.load(source)
        step = 2.5 if given.endswith("nii") else 2500  # MGH counts milliseconds
        image = type(image)(ramp((6, 5, 4, 3)), image.affine, image.header)
        image.header.set_zooms((*image.header.get_zooms()[:3], step))
        image.to_filename(source)
    volume = volume_io.read(source)
    assert volume.time_step == pytest.approx(2.5)
    volume_io.write(tmp_path / "out" / other, volume)
    assert volume_io.read(tmp_path / "out" / other).time_step == pytest.approx(2.5)


def test_damaged_compressed_metaimages_are_noticed(tmp_path: Path) -> None:
    """ITK goes on with whatever was in the memory."""
    noise = np.random.default_rng(0).integers(0, 999, (30, 30, 20)).astype(np.int16)
    for name in ("a.mha", "a.mhd"):
        sitk.WriteImage(sitk.GetImageFromArray(noise), str(tmp_path / name), useCompression=True)
        volume_io.read(tmp_path / name)
        data = tmp_path / (name if name.endswith("mha") else "a.zraw")
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 0xFF
        data.write_bytes(bytes(content))
        with pytest.raises(InputError, match="damaged"):
            volume_io.read(tmp_path / name)
    data.unlink()
    with pytest.raises(InputError, match=r"a.zraw is not there"):
        volume_io.read(tmp_path / "a.mhd")


def test_unusual_but_valid_metaimages_are_read(tmp_path: Path) -> None:
    header = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_INT\nElementSpacing = 1 1 1\n"
    values = np.arange(64, dtype="<i4")
    text = header + "BinaryData = False\nElementDataFile = LOCAL\n" + " ".join(map(str, values)) + "\n"
    (tmp_path / "text.mha").write_text(text)
    np.testing.assert_array_equal(volume_io.read(tmp_path / "text.mha").stored.ravel("F"), values)
    packed = zlib.compress(values.tobytes())
    (tmp_path / "t.zraw").write_bytes(packed)
    (tmp_path / "t.mhd").write_text(
        f"{header}BinaryData = T\nCompressedData = T\nCompressedDataSize = {len(packed)}\nElementDataFile = t.zraw\n"
    )
    np.testing.assert_array_equal(volume_io.read(tmp_path / "t.mhd").stored.ravel("F"), values)
    for index in range(4):
        (tmp_path / f"q{index}.raw").write_bytes(values[16 * index : 16 * index + 16].tobytes())
    names = "\n".join(f"q{index}.raw" for index in range(4))
    (tmp_path / "list.mhd").write_text(f"{header}BinaryData = True\nElementDataFile = LIST\n{names}\n")
    np.testing.assert_array_equal(volume_io.read(tmp_path / "list.mhd").stored.ravel("F"), values)
    assert len(volume_files.digest(tmp_path / "list.mhd")) == 64
    no_size = f"{header}BinaryData = True\nCompressedData = True\nElementDataFile = LOCAL\n".encode()
    (tmp_path / "a.mha").write_bytes(no_size + packed)
    with pytest.raises(InputError, match="CompressedDataSize"):  # ITK would give what is in the memory
        volume_io.read(tmp_path / "a.mha")


def test_int64_is_written_as_int64(tmp_path: Path) -> None:
    volume = volume_io.read(write(tmp_path / "a.nrrd", ramp(dtype="int64")))
    volume_io.write(tmp_path / "a.nii.gz", volume)
    assert volume_io.read(tmp_path / "a.nii.gz").stored.dtype == np.int64


def test_the_digest_covers_header_and_data(tmp_path: Path) -> None:
    digests = set()
    for value in (1, 2):
        write(tmp_path / "a.mhd", np.full((4, 4, 4), value, np.int16))
        digests.add(volume_files.digest(tmp_path / "a.mhd"))
    assert len(digests) == 2


def test_what_the_header_leaves_open_is_said(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(), None)
    image.to_filename(tmp_path / "a.nii")
    assert any("no orientation" in note for note in volume_io.read(tmp_path / "a.nii").notes)


def test_sheared_grids_are_refused_by_formats_that_have_no_shear(tmp_path: Path) -> None:
    volume = volume_io.read(write(tmp_path / "a.nii", ramp(), OBLIQUE))
    with pytest.raises(UsageError, match="sheared"):
        volume_io.write(tmp_path / "a.nrrd", volume)
    assert not (tmp_path / "a.nrrd").exists()


# Hostile files: one line, the right code, at once.


def _nifti(path: Path, **fields: object) -> Path:
    """A NIfTI file whose header says what it is told."""
    write(path, ramp())
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for key, value in fields.items():
        header[key] = value
    content[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    return path


CASES = (
    "truncated gzip|flipped bits in gzip|truncated|NaN voxels|infinite voxels|NaN affine|singular affine|zero spacing"
    "|negative spacing|RGB|complex|one slice|2D|huge dimensions|negative dimensions|text|text in gzip|empty file"
    "|empty folder|folder of text|not a zip|mha with NaN|zero spacing mha|truncated nrrd|vector nrrd|absent|MINC"
    "|truncated mha"
).split("|")


def _bad(tmp_path: Path, case: str) -> Path:
    path = tmp_path / "bad.nii.gz"
    if case == "truncated gzip":
        write(path, np.random.default_rng(0).integers(0, 999, (40, 40, 20)).astype(np.int16))
        path.write_bytes(path.read_bytes()[:-20_000])
    elif case == "flipped bits in gzip":
        write(path, np.random.default_rng(0).integers(0, 999, (40, 40, 20)).astype(np.int16))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(bytes(content))
    elif case == "truncated":
        path = write(tmp_path / "bad.nii", ramp())
        path.write_bytes(path.read_bytes()[:-100])
    elif case == "NaN voxels":
        array = ramp(dtype="float32")
        array[1, 2, 3] = np.nan
        write(path, array)
    elif case == "infinite voxels":
        write(path, np.where(ramp() == 7, np.inf, ramp()).astype(np.float32))
    elif case == "NaN affine":
        _nifti(path, srow_x=[np.nan, 0, 0, 0])
    elif case == "singular affine":
        _nifti(path, srow_x=[1, 0, 0, 0], srow_y=[1, 0, 0, 0], srow_z=[0, 0, 1, 0])
    elif case == "zero spacing":
        _nifti(path, pixdim=[1, 0, 1, 1, 0, 0, 0, 0])
    elif case == "negative spacing":
        _nifti(path, pixdim=[1, 1, -2, 1, 0, 0, 0, 0])
    elif case == "RGB":
        rgb = np.zeros((5, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
        nib.Nifti1Image(rgb, np.eye(4)).to_filename(path)
    elif case == "complex":
        nib.Nifti1Image(np.zeros((5, 4, 3), np.complex64), np.eye(4)).to_filename(path)
    elif case == "one slice":
        write(path, ramp((7, 6, 1)))
    elif case == "2D":
        write(path, ramp((7, 6)))
    elif case == "huge dimensions":
        _nifti(path, dim=[3, 32000, 32000, 32000, 1, 1, 1, 1])
    elif case == "negative dimensions":
        _nifti(path, dim=[3, -5, 4, 3, 1, 1, 1, 1])
    elif case == "text":
        path.write_text("no volume")
    elif case == "text in gzip":
        path.write_bytes(gzip.compress(b"no volume" * 100))
    elif case == "empty file":
        path.write_bytes(b"")
    elif case == "empty folder":
        path = tmp_path / "empty"
        path.mkdir()
    elif case == "folder of text":
        path = tmp_path / "folder"
        path.mkdir()
        (path / "readme.txt").write_text("nothing here")
    elif case == "not a zip":
        path = tmp_path / "scan.zip"
        path.write_bytes(b"PK\3\4 but not really")
    elif case == "mha with NaN":
        path = write(tmp_path / "bad.mha", np.full((4, 4, 4), np.nan, np.float32))
    elif case == "zero spacing mha":
        path = write(tmp_path / "bad.mhd", ramp())
        text = "\n".join(
            "ElementSpacing = 0 1 1" if line.startswith("ElementSpacing") else line
            for line in path.read_text().splitlines()
        )
        path.write_text(text)
    elif case == "truncated nrrd":
        path = write(tmp_path / "bad.nrrd", ramp((30, 30, 30)))
        path.write_bytes(path.read_bytes()[:-500])
    elif case == "vector nrrd":
        path = tmp_path / "bad.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), str(path))
    elif case == "MINC":
        path = tmp_path / "bad.mnc"
        path.write_bytes(b"CDF")
    elif case == "truncated mha":
        path = write(tmp_path / "bad.mha", ramp((30, 30, 30)))
        path.write_bytes(path.read_bytes()[:-500])
    elif case == "absent":
        path = tmp_path / "absent.nii.gz"
    return path


@pytest.mark.parametrize("case", CASES)
def test_hostile_files_are_refused_in_one_line_that_names_them(tmp_path: Path, case: str) -> None:
    path = _bad(tmp_path, case)
    with pytest.raises(InputError) as caught:
        volume_io.read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More voxels than so small a file can hold; and zeros that it does hold, for more memory than there is."""
    path = _nifti(tmp_path / "lie.nii.gz", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    with pytest.raises(InputError, match="the file holds less"):
        volume_io.read(path)
    header = nib.Nifti1Header(gzip.decompress(path.read_bytes())[:348], check=False)
    header["dim"], header["bitpix"], header["datatype"] = [3, 200, 200, 500, 1, 1, 1, 1], 16, 4
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4 + 40_000_000)))
    assert path.stat().st_size < 100_000
    assert volume_io.read(path).stored.nbytes == 40_000_000
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10_000_000))
    with pytest.raises(MemoryExhaustedError, match=r"0\.0 GB are free"):
        volume_io.read(path)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 347), value=st.integers(0, 255))
def test_any_damaged_header_byte_gives_a_volume_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "a.nii", ramp())
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(bytes(content))
    try:
        volume = volume_io.read(path)
    except MedsrError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.stored.ndim in (3, 4)


def test_folders_and_globs_become_scans(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.mha", "c.hdr", "notes.txt"):
        write(tmp_path / name, ramp()) if not name.endswith("txt") else (tmp_path / name).write_text("x")
    names = [scan.path.name for scan in scans.expand([tmp_path]).scans]
    assert names == ["a.mha", "b.nii.gz", "c.hdr"]
    assert [scan.path.name for scan in scans.expand([str(tmp_path / "*.nii.gz")]).scans] == ["b.nii.gz"]
    (tmp_path / "b.json").write_text('{"tool": "medsr"}')
    assert [scan.path.name for scan in scans.expand([tmp_path]).scans] == ["a.mha", "c.hdr"]  # b is a result of ours
    assert "c.img" not in [scan.path.name for scan in scans.expand([str(tmp_path / "*")]).scans]
    assert "b.json" not in [scan.path.name for scan in scans.expand([str(tmp_path / "*")]).scans]
    with pytest.raises(UsageError, match="nothing to work on"):
        scans.expand([str(tmp_path / "*.nrrd")])
