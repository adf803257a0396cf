"""What of a header goes along into a result: what describes the image, and nothing that may name a person."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms, PngImagePlugin
from pydicom.uid import ExplicitVRLittleEndian

from medsr.commands.prepare.run import prepare
from medsr.commands.reproduce import reproduce
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of
from tests.helpers.patients import SECRET as SENTINEL
from tests.helpers.patients import marked

SECRET = "SECRET"
VOXELS = np.random.default_rng(0).integers(0, 1000, (6, 7, 5)).astype(np.int16)
PIXELS = np.random.default_rng(1).integers(0, 255, (8, 9, 3)).astype(np.uint8)


def fill_texts(header: nib.analyze.AnalyzeHeader) -> int:
    """The secret in every text of a header; how many there are."""
    texts = [name for name in header.structarr.dtype.names if header[name].dtype.kind == "S" and name != "magic"]
    for name in texts:
        header[name] = SECRET[: header[name].dtype.itemsize] or SECRET
    return len(texts)


def nifti(path: Path) -> Path:
    image = nib.Nifti1Image(VOXELS, np.diag([1, 1, 3, 1]))
    fill_texts(image.header)
    image.header["intent_code"], image.header["cal_max"] = 1001, 900
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_slope_inter(2, 5)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nib.save(image, path)
    return path


def second(path: Path) -> Path:
    image = nib.Nifti2Image(VOXELS, np.diag([1, 1, 3, 1]))
    fill_texts(image.header)
    nib.save(image, path)
    return path


def analyze(path: Path) -> Path:
    image = nib.AnalyzeImage(VOXELS, np.diag([1, 1, 3, 1]))
    assert fill_texts(image.header) > 9
    nib.save(image, path)
    return path


def nrrd(path: Path) -> Path:
    lines = ("NRRD0005", "type: int16", "dimension: 3", "space: left-posterior-superior", "sizes: 6 7 5")
    lines += ("space directions: (1,0,0) (0,1,0) (0,0,3)", "space origin: (0,0,0)", "endian: little", "encoding: raw")
    lines += (f"content: {SECRET}", "measurement frame: (1,0,0) (0,0,1) (0,1,0)", f"PatientName:={SECRET}")
    lines += ("DWMRI_b-value:=1000", f"DWMRI_gradient_0000:={SECRET}", f"modality:={SECRET} in a town")
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + VOXELS.tobytes(order="F"))
    return path


def metaimage(path: Path) -> Path:
    image = sitk.GetImageFromArray(VOXELS.T)
    image.SetSpacing((1, 1, 3))
    image.SetMetaData("PatientName", SECRET)
    sitk.WriteImage(image, str(path))
    head, mark, rest = path.read_bytes().partition(b"ElementSpacing")
    path.write_bytes(head + f"Comment = {SECRET}\nDWMRI_b-value = 1000\n".encode() + mark + rest)
    return path


def mgh(path: Path) -> Path:
    image = nib.MGHImage(VOXELS, np.diag([1, 1, 3, 1]))
    image.header["tr"] = 2300
    nib.save(image, path)
    path.write_bytes(path.read_bytes() + b"\0\0\0\3" + (8).to_bytes(8, "big") + f"{SECRET}\0\0".encode())
    return path


def exif() -> bytes:
    entries = Pillow.Exif()
    entries[274], entries[315], entries[270] = 6, SECRET, SECRET
    entries[0x8769] = {0xA001: 1, 0xA430: SECRET, 0x9286: SECRET.encode()}
    entries[0x8825] = {1: "N", 2: (48.0, 8.0, 7.0), 29: SECRET}
    return entries.tobytes()


@cache
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()


def jpeg(path: Path) -> Path:
    summary = {"exif": exif(), "comment": SECRET.encode(), "icc_profile": profile(), "dpi": (100, 100), "xmp": XMP}
    Pillow.fromarray(PIXELS).save(path, "JPEG", quality=95, **summary)
    return path


def png(path: Path) -> Path:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Pillow.fromarray(PIXELS).save(path, pnginfo=texts, exif=exif(), icc_profile=profile(), dpi=(100, 100))
    return path


def webp(path: Path) -> Path:
    Pillow.fromarray(PIXELS).save(path, lossless=True, exif=exif(), xmp=XMP, icc_profile=profile())
    return path


def tiff(path: Path) -> Path:
    tags = [(274, "H", 1, 6, True), (315, "s", 0, SECRET, True), (700, "B", len(XMP), XMP, True)]
    summary = {"description": SECRET, "software": SECRET, "iccprofile": profile(), "extratags": tags}
    tifffile.imwrite(path, PIXELS, photometric="rgb", resolution=(100, 100), resolutionunit="INCH", **summary)
    return path


SCANS = {"a.nii": nifti, "b.nii": second, "c.img": analyze, "d.nrrd": nrrd, "e.mha": metaimage, "f.mgh": mgh}
PICTURES = {"a.jpg": jpeg, "b.png": png, "c.webp": webp, "d.tif": tiff}


def nifti_says_the_same(path: Path) -> bool:
    header = nib.load(path).header
    texts = [bytes(header[name].item()) for name in header.structarr.dtype.names if header[name].dtype.kind == "S"]
    assert set(texts) <= {b"", b"n+1", b"r"}
    return (int(header["intent_code"]), float(header["cal_max"])) == (1001, 900) and header.get_xyzt_units()[
        1
    ] == "msec"


def nrrd_says_the_same(path: Path) -> bool:
    head = path.read_bytes().partition(b"\n\n")[0].decode()
    return "measurement frame: (1,0,0) (0,0,1) (0,1,0)" in head and "DWMRI_b-value:=1000" in head


STAYS = {
    "a.nii": nifti_says_the_same,
    "b.nii": Path.is_file,
    "c.img": Path.is_file,
    "d.nrrd": nrrd_says_the_same,
    "e.mha": lambda path: sitk.ReadImage(str(path)).GetMetaData("DWMRI_b-value") == "1000",
    "f.mgh": lambda path: float(nib.load(path).header["tr"]) == 2300,
}


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("name", SCANS)
def test_a_refined_scan_has_none_of_the_texts(tmp_path: Path, name: str) -> None:
    source = SCANS[name](tmp_path / name)
    assert SECRET.encode() in everything_in(tmp_path)
    [outcome] = volume(source, tmp_path / "out" / name, model="cubic", isotropic=True)
    assert outcome.error is None
    assert SECRET[:4].encode() not in everything_in(tmp_path / "out")
    before, after = volume_io.read(source), volume_io.read(outcome.output)
    assert after.kind == before.kind
    assert (after.slope, after.intercept) == (before.slope, before.intercept)
    assert np.allclose(after.grid.spacing, 1, atol=1e-5)
    assert STAYS[name](outcome.output)


@pytest.mark.parametrize("name", ["v.nii", "v.nrrd", "v.mha", "v.mgh"])
def test_a_series_in_another_format_has_no_tag_with_it(tmp_path: Path, name: str) -> None:
    """Not even when everything of the header is asked for: those formats have no place for DICOM's."""
    for number in range(4):
        path = tmp_path / "series" / f"{number}.dcm"
        path.parent.mkdir(exist_ok=True)
        slice_of(number).save_as(path, enforce_file_format=True)
        marked(path, ExplicitVRLittleEndian)
    [outcome] = volume(tmp_path / "series", tmp_path / "out" / name, model="cubic", keep_metadata=True)
    assert outcome.error is None
    assert volume_io.read(outcome.output).stored.ndim == 3
    assert SENTINEL.encode() not in everything_in(tmp_path / "out")


@pytest.mark.parametrize("name", PICTURES)
def test_ground_truth_of_pictures_has_none_of_the_texts(tmp_path: Path, name: str) -> None:
    """Volumes are another matter: `prepare` copies them as they are."""
    PICTURES[name](tmp_path / name)
    assert prepare("generic_images", tmp_path, out=tmp_path / "out", workers=1).rows[0].file
    assert SECRET.encode() not in everything_in(tmp_path / "out")


@pytest.mark.parametrize("name", ["a.nii", "d.nrrd"])
def test_they_are_kept_when_asked_for_and_reproduced(tmp_path: Path, name: str) -> None:
    source = SCANS[name](tmp_path / name)
    target = tmp_path / "out" / name
    volume(source, target, model="cubic", isotropic=True, keep_metadata=True)
    assert SECRET.encode() in everything_in(tmp_path / "out")
    sidecar = target.with_suffix(".json")
    assert json.loads(sidecar.read_text())["parameters"]["keep_metadata"] is True
    assert [one.how for one in reproduce(sidecar)] == ["the same bytes"]


def test_volumes_in_memory_keep_theirs_only_when_asked(tmp_path: Path) -> None:
    image = nib.load(nifti(tmp_path / "a.nii"))
    assert bytes(volume(image, model="cubic", isotropic=True).image.header["descrip"].item()) == b""
    kept = volume(image, model="cubic", isotropic=True, keep_metadata=True).image
    assert bytes(kept.header["descrip"].item()) == SECRET.encode()
    inputs = sitk.GetImageFromArray(VOXELS.T)
    inputs.SetMetaData("0010|0010", SECRET)
    assert not volume(inputs, model="cubic").image.HasMetaDataKey("0010|0010")
    assert inputs.GetMetaData("0010|0010") == SECRET


@pytest.mark.parametrize("name", PICTURES)
def test_an_enlarged_picture_says_how_it_is_shown_and_no_more(tmp_path: Path, name: str) -> None:
    source = PICTURES[name](tmp_path / name)
    [outcome] = upscale(source, tmp_path / "out", model="bicubic")
    assert outcome.error is None
    assert SECRET.encode() not in everything_in(tmp_path / "out")
    with Pillow.open(outcome.output) as picture:
        entries = picture.getexif()
        assert entries[274] == 6
        assert not entries.get_ifd(0x8825)
        assert picture.info["icc_profile"] == profile()
        if not name.endswith("tif"):
            assert dict(entries.get_ifd(0x8769)) == {0xA001: 1}
        if not name.endswith("webp"):
            assert np.allclose(picture.info["dpi"], 200, atol=0.1)


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.webp"])
def test_exif_is_kept_when_asked_for_and_reproduced(tmp_path: Path, name: str) -> None:
    [outcome] = upscale(PICTURES[name](tmp_path / name), tmp_path / "out", model="bicubic", keep_metadata=True)
    with Pillow.open(outcome.output) as picture:
        assert picture.getexif()[315] == SECRET
        assert picture.getexif().get_ifd(0x8825)[2] == (48.0, 8.0, 7.0)
    assert [one.how for one in reproduce(tmp_path / "out" / "upscale.json")] == ["the same bytes"]


def test_asking_for_more_makes_anew_what_is_done(tmp_path: Path) -> None:
    source = png(tmp_path / "b.png")
    upscale(source, tmp_path / "out", model="bicubic")
    [outcome] = upscale(source, tmp_path / "out", model="bicubic", skip_done=True, keep_metadata=True)
    assert not outcome.skipped
    with Pillow.open(io.BytesIO(outcome.output.read_bytes())) as picture:
        assert picture.getexif()[315] == SECRET
