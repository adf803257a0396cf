"""NRRD and MetaImage headers: positions as SimpleITK and pynrrd have them, and the same fields written back."""

from __future__ import annotations

import bz2
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsr.core.errors import InputError
from medsr.io import expansion
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.volume import GeometryChoice, Volume
from tests.helpers.scans import NRRD, NRRD_3D, ramp, write_nrrd

SPACING = GeometryChoice(spacing=(1, 1, 4))
DIRECTIONS = "space directions: (1,0,0) (0,1,0) (0,0,4)\nspace origin: (10,20,30)\n"
LPS = f"space: left-posterior-superior\n{DIRECTIONS}"
LPS_AFFINE = np.array([[-1, 0, 0, -10], [0, -1, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1.0]])


def mha(path: Path, lines: str, array: np.ndarray | bytes | None = None) -> Path:
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    tail = "DimSize = 6 5 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    data = ramp() if array is None else array
    path.write_bytes((head + lines + tail).encode() + (data if isinstance(data, bytes) else data.tobytes(order="F")))
    return path


def assert_placed_as_itk_does(volume: Volume, path: Path, scale: float = 1.0) -> None:
    image = sitk.ReadImage(str(path))
    for index in itertools.product(*((0, n - 1) for n in volume.stored.shape[:3])):
        more = [0] * (image.GetDimension() - 3)
        theirs = np.array(image.TransformIndexToPhysicalPoint([*index, *more])[:3]) * [-scale, -scale, scale]
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], theirs, atol=1e-6)


def assert_refined_fills_the_box(volume: Volume, target: Path, scale: float = 1.0) -> None:
    """Written with twice the slices: the same corners by ITK, the values by medsr and ITK."""
    fine = np.repeat(volume.stored, 2, axis=2)
    refined = volume.refined(fine)
    volume_io.write(target, refined)
    after = volume_io.read(target)
    np.testing.assert_array_equal(after.stored, fine)
    np.testing.assert_allclose(after.affine, refined.affine, atol=1e-6)
    if volume.stored.ndim == 3:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(target))).T, fine)
    assert_placed_as_itk_does(after, target, scale)


@pytest.mark.parametrize(
    "geometry",
    [
        LPS,
        LPS.replace("left-posterior", "right-anterior"),
        LPS.replace("left-posterior", "left-anterior"),
        LPS.replace("left-posterior-superior", "RAS"),
        LPS.replace("left-posterior-superior", "LAS"),
        LPS.replace("left-posterior-superior", "scanner-xyz"),
        "space dimension: 3\n" + DIRECTIONS,
        "spacings: 1 1 4\naxis mins: 5 6 7\n",
        "spacings: 1 1 4\n",
        LPS.replace("(0,0,4)", "(0,1.2,4)"),
        LPS.replace("(1,0,0) (0,1,0) (0,0,4)", "(0.9999,0.0141,0) (-0.0141,0.9999,0) (0,0,-4)"),
        LPS + "measurement frame: (1,0,0) (0,0,1) (0,1,0)\nkinds: space space space\n",
        LPS.replace("(1,0,0) (0,1,0) (0,0,4)", "(0,0,1) (1,0,0) (0,4,0)"),
    ],
)
def test_every_way_of_stating_a_grid(tmp_path: Path, geometry: str) -> None:
    path = write_nrrd(tmp_path / "a.nrrd", NRRD_3D + geometry, ramp())
    volume = volume_io.read(path)
    np.testing.assert_array_equal(volume.stored, ramp())
    assert_placed_as_itk_does(volume, path)
    anatomical = "left" in geometry or "right" in geometry or "AS\n" in geometry
    assert ("taken as left, posterior" in " ".join(volume.notes)) is not anatomical
    assert_refined_fills_the_box(volume, tmp_path / "out.nrrd")
    written = (tmp_path / "out.nrrd").read_bytes().partition(b"\n\n")[0].decode()
    for line in geometry.splitlines():
        if line.startswith(("space:", "measurement frame", "kinds")):
            assert line in written


@pytest.mark.parametrize(
    ("name", "fields", "content"),
    [
        ("gz.nrrd", "encoding: gzip", gzip.compress(ramp().tobytes(order="F"))),
        ("bz2.nrrd", "encoding: bzip2", bz2.compress(ramp().tobytes(order="F"))),
        ("text.nrrd", "encoding: text", " ".join(map(str, ramp().ravel(order="F"))).encode()),
        ("big.nrrd", "endian: big", ramp().astype(">i2").tobytes(order="F")),
        ("skip.nrrd", "byte skip: 8", b"12345678" + ramp().tobytes(order="F")),
        ("last.nrrd", "byte skip: -1", b"any" + ramp().tobytes(order="F")),
        ("line.nrrd", "line skip: 1", b"a line\n" + ramp().tobytes(order="F")),
    ],
)
def test_every_encoding(tmp_path: Path, name: str, fields: str, content: bytes) -> None:
    key = fields.partition(":")[0]
    kept = "".join(f"{line}\n" for line in NRRD_3D.splitlines() if not line.startswith(key))
    path = write_nrrd(tmp_path / name, kept + fields + "\n" + LPS, content)
    volume = volume_io.read(path)
    np.testing.assert_array_equal(volume.stored, ramp())
    np.testing.assert_allclose(volume.affine, LPS_AFFINE)


def test_detached_headers(tmp_path: Path) -> None:
    (tmp_path / "d.raw").write_bytes(ramp().tobytes(order="F"))
    for index in range(4):
        (tmp_path / f"s{index + 1:02d}.raw").write_bytes(ramp()[:, :, index].tobytes(order="F"))
    files = "\n".join(f"s{index + 1:02d}.raw" for index in range(4))
    for number, data in enumerate(("d.raw", "s%02d.raw 1 4 1 2", f"LIST 2\n{files}")):
        path = write_nrrd(tmp_path / f"a{number}.nhdr", f"{NRRD_3D}{LPS}data file: {data}", b"")
        volume = volume_io.read(path)
        np.testing.assert_array_equal(volume.stored, ramp())
        np.testing.assert_allclose(volume.affine, LPS_AFFINE)
    (tmp_path / "out").mkdir()
    assert_refined_fills_the_box(volume, tmp_path / "out" / "a.nhdr")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.nhdr", "a.raw.gz"]


@pytest.mark.parametrize("kind", ["list", "time", "none", "???", "domain", ""])
@pytest.mark.parametrize("first", [False, True])
def test_four_axes_as_slicer_writes_them(tmp_path: Path, kind: str, first: bool) -> None:
    series = ramp((6, 5, 4, 3))
    stored = np.moveaxis(series, -1, 0) if first else series
    kinds, directions = ["domain"] * 3, ["(1,0,0)", "(0,1,0)", "(0,0,4)"]
    kinds.insert(0 if first else 3, kind)
    directions.insert(0 if first else 3, "none")
    header = f"{NRRD}dimension: 4\nsizes: {' '.join(map(str, stored.shape))}\nspace: left-posterior-superior\n"
    header += f"space directions: {' '.join(directions)}\nspace origin: (10,20,30)\n"
    header += f"kinds: {' '.join(kinds)}\n" if kind else ""
    path = write_nrrd(tmp_path / "a.nrrd", header + "MultiVolume.NumberOfFrames:=3\n", stored)
    volume = volume_io.read(path)
    np.testing.assert_array_equal(volume.stored, series)
    np.testing.assert_allclose(volume.affine, LPS_AFFINE)
    volume_io.write(tmp_path / "out.nrrd", volume.refined(np.repeat(volume.stored, 2, axis=2)))
    after = volume_io.read(tmp_path / "out.nrrd")
    np.testing.assert_array_equal(after.stored, np.repeat(series, 2, axis=2))
    written = (tmp_path / "out.nrrd").read_bytes().partition(b"\n\n")[0].decode()
    sizes = (3, 6, 5, 8) if first else (6, 5, 8, 3)
    assert f"sizes: {' '.join(map(str, sizes))}" in written
    assert "MultiVolume.NumberOfFrames:=3" in written
    if kind == "list":
        assert f"kinds: {' '.join(kinds)}" in written


@pytest.mark.parametrize("kind", ["vector", "RGB-color", "3-vector"])
@pytest.mark.parametrize("first", [False, True])
def test_colours_and_vectors_are_refused(tmp_path: Path, kind: str, first: bool) -> None:
    kinds, directions, sizes = ["domain"] * 3, ["(1,0,0)", "(0,1,0)", "(0,0,4)"], [6, 5, 4]
    for parts, part in ((kinds, kind), (directions, "none"), (sizes, 3)):
        parts.insert(0 if first else 3, part)  # type: ignore[attr-defined]
    header = f"{NRRD}dimension: 4\nsizes: {' '.join(map(str, sizes))}\nspace: left-posterior-superior\n"
    header += f"space directions: {' '.join(directions)}\nkinds: {' '.join(kinds)}\n"
    with pytest.raises(InputError, match=f"3 numbers a voxel .{kind}. are not handled"):
        volume_io.read(write_nrrd(tmp_path / "a.nrrd", header, ramp((6, 5, 4, 3))))


@pytest.mark.parametrize("space", ["left-posterior-superior-time", "right-anterior-superior-time"])
def test_time_as_a_coordinate(tmp_path: Path, space: str) -> None:
    header = f"{NRRD}dimension: 4\nsizes: 6 5 4 3\nspace: {space}\nkinds: space space space time\n"
    header += "space directions: (1,0,0,0) (0,1,0,0) (0,0,4,0) (0,0,0,2.5)\nspace origin: (10,20,30,0)\n"
    path = write_nrrd(tmp_path / "a.nrrd", header, ramp((6, 5, 4, 3)))
    volume = volume_io.read(path)
    assert volume.time_step == 2.5
    signs = [1, 1, 1, 1] if space.startswith("right") else [-1, -1, 1, 1]  # ITK takes both for left and posterior
    np.testing.assert_allclose(volume.affine, np.diag(signs) @ np.diag([-1, -1, 1, 1]) @ LPS_AFFINE)
    fine = volume.refined(np.repeat(volume.stored, 2, axis=2))
    volume_io.write(tmp_path / "out.nrrd", fine)
    after = volume_io.read(tmp_path / "out.nrrd")
    np.testing.assert_array_equal(after.stored, fine.stored)
    np.testing.assert_allclose(after.affine, fine.affine)
    assert after.time_step == 2.5


@pytest.mark.parametrize(("unit", "scale"), [("um", 0.001), ("mm", 1), ("cm", 10), ("m", 1000), ("in", 25.4)])
def test_units_of_space(tmp_path: Path, unit: str, scale: float) -> None:
    path = write_nrrd(tmp_path / "a.nrrd", f'{NRRD_3D}{LPS}space units: "{unit}" "{unit}" "{unit}"\n', ramp())
    volume = volume_io.read(path)
    np.testing.assert_allclose(volume.affine, np.diag([scale, scale, scale, 1]) @ LPS_AFFINE)
    assert_refined_fills_the_box(volume, tmp_path / "out.nrrd", scale)
    assert f'space units: "{unit}"'.encode() in (tmp_path / "out.nrrd").read_bytes()


def test_units_that_are_not_known_are_said_and_mixed_ones_refused(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "a.nrrd", f'{NRRD_3D}{LPS}space units: "ell" "ell" "ell"\n', ramp())
    assert "does not know" in " ".join(volume_io.read(path).notes)
    with pytest.raises(InputError, match="one unit for all"):
        volume_io.read(write_nrrd(tmp_path / "b.nrrd", f'{NRRD_3D}{LPS}space units: "mm" "mm" "um"\n', ramp()))


@pytest.mark.parametrize("geometry", ["", "spacings: nan nan nan\n", "spacings: 1 1 nan\n", "thicknesses: 1 1 4\n"])
def test_an_nrrd_without_spacing_is_refused_until_it_is_given(tmp_path: Path, geometry: str) -> None:
    path = write_nrrd(tmp_path / "a.nrrd", NRRD_3D + geometry, ramp())
    with pytest.raises(InputError, match="states no voxel spacing"):
        volume_io.read(path)
    volume = volume_io.read(path, None, SPACING)
    assert volume.grid.spacing == (1, 1, 4)
    assert "1 x 1 x 4 mm as given" in " ".join(volume.notes)
    assert_refined_fills_the_box(volume, tmp_path / "out.nrrd")


def test_a_stated_spacing_is_not_replaced(tmp_path: Path) -> None:
    volume = volume_io.read(
        write_nrrd(tmp_path / "a.nrrd", NRRD_3D + LPS, ramp()), None, GeometryChoice("sform", (2, 2, 2))
    )
    np.testing.assert_allclose(volume.affine, LPS_AFFINE)
    assert "`input_spacing` is not used" in " ".join(volume.notes)
    assert "affine=sform is not used" in " ".join(volume.notes)


def test_pynrrd_reads_what_is_written(tmp_path: Path) -> None:
    pynrrd = pytest.importorskip("nrrd")
    path = write_nrrd(tmp_path / "a.nrrd", NRRD_3D + LPS + "key:=a value\n", ramp())
    volume_io.write(tmp_path / "out.nrrd", volume_io.read(path), keep_metadata=True)
    before, after = pynrrd.read(str(path)), pynrrd.read(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(before[0], after[0])
    for key in ("space", "space directions", "space origin", "type", "key"):
        np.testing.assert_array_equal(before[1][key], after[1][key])


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("ElementSpacing = 1 1 4\n", ""),
        ("ElementSize = 1 1 4\n", ""),
        ("ElementSize = 1 1 5\nElementSpacing = 1 1 4\n", "ElementSize 1 1 5 differs"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 -1\nOffset = 10 20 30\nElementSpacing = 1 1 4\n", ""),
        ("TransformMatrix = 1 0 0 0 1 0 0 .287348 .957826\nElementSpacing = 1 1 4\n", ""),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 -1\nElementSpacing = 1 1 4\nAnatomicalOrientation = RAI\n", "contradicts"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementSpacing = 1 1 4\nAnatomicalOrientation = RAI\n", ""),
        ("TransformMatrix = 0 0 1 1 0 0 0 1 0\nElementSpacing = 1 1 4\nAnatomicalOrientation = ???\n", ""),
    ],
)
def test_metaimage_grids(tmp_path: Path, lines: str, word: str) -> None:
    path = mha(tmp_path / "a.mha", lines)
    volume = volume_io.read(path)
    np.testing.assert_array_equal(volume.stored, ramp())
    assert volume.grid.spacing == pytest.approx((1, 1, 4))
    assert_placed_as_itk_does(volume, path)
    assert (word in " ".join(volume.notes)) if word else not volume.notes
    assert_refined_fills_the_box(volume, tmp_path / "out.mha")
    assert not [note for note in volume_io.read(tmp_path / "out.mha").notes if "contradicts" in note]


def test_a_metaimage_without_spacing_is_refused_until_it_is_given(tmp_path: Path) -> None:
    path = mha(tmp_path / "a.mha", "")
    with pytest.raises(InputError, match="states no voxel spacing"):
        volume_io.read(path)
    assert volume_io.read(path, None, SPACING).grid.spacing == (1, 1, 4)


@pytest.mark.parametrize("spacing", ["1 1 -4", "1 1 0", "1 nan 4", "inf 1 1"])
def test_a_metaimage_spacing_that_is_none_is_refused(tmp_path: Path, spacing: str) -> None:
    with pytest.raises(InputError, match="expected mm above 0"):
        volume_io.read(mha(tmp_path / "a.mha", f"ElementSpacing = {spacing}\n"))


def test_metaimage_keys_that_are_not_text_are_written_back_as_far_as_they_are(tmp_path: Path) -> None:
    path = mha(tmp_path / "a.mha", "ElementSpacing = 1 1 4\nSite = Koln\n")
    path.write_bytes(path.read_bytes().replace(b"Koln", b"K\xf6ln"))
    for name in ("out.mha", "out.nrrd"):
        volume_io.write(tmp_path / name, volume_io.read(path), keep_metadata=True)
        assert b"Site" in (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(volume_io.read(tmp_path / name).stored, ramp())


def test_metaimage_units_and_byte_order(tmp_path: Path) -> None:
    big = ramp().astype(">i2")
    path = mha(tmp_path / "a.mha", "BinaryDataByteOrderMSB = True\nElementSpacing = 1 1 4\n", big)
    np.testing.assert_array_equal(volume_io.read(path).stored, ramp())
    volume = volume_io.read(mha(tmp_path / "b.mha", "DistanceUnits = um\nElementSpacing = 1000 1000 4000\n"))
    assert volume.grid.spacing == pytest.approx((1, 1, 4))
    assert "converted to mm" in " ".join(volume.notes)


def test_bzip2_of_next_to_nothing_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = np.zeros((60, 50, 40), "<i2")
    header = LPS + NRRD_3D.replace("6 5 4", "60 50 40").replace("raw", "bzip2")
    path = write_nrrd(tmp_path / "a.nrrd", header, bz2.compress(content.tobytes()))
    assert volume_io.read(path).stored.shape == (60, 50, 40)
    for large, why in ((100_000, "would unpack to 0 MB"), (200_000, "times its size")):
        monkeypatch.setattr(expansion, "LARGE", large)
        with pytest.raises(InputError, match=why):
            volume_io.read(path)
