"""Targets whose pixels other code decodes: compressed DICOM, masks, and DICOM series of a real volume."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.base import Reader, read_image, read_volume
from tests.fuzz.mutations import changed_deflated, changed_dicom, changed_slices

JPEG_LS = (
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
)
JPEG_2000 = ("693_J2KI.dcm", "JPEG2000.dcm", "MR_small_jp2klossless.dcm")
JPEG = (
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_jpeg_no_color_transform.dcm",
)
SLICES = 5


def _tests_of_pydicom(*names: str) -> dict[str, bytes]:
    from pydicom.data import get_testdata_file

    return {name: Path(str(get_testdata_file(name))).read_bytes() for name in names}


def _deflated() -> dict[str, bytes]:
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    packed = {}
    for name, content in _tests_of_pydicom("CT_small.dcm", "MR_small.dcm").items():
        dataset = dcmread(io.BytesIO(content))
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        stream = io.BytesIO()
        dataset.save_as(stream)
        packed[name] = stream.getvalue()
    return packed


def _masks() -> dict[str, bytes]:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.eye(12, 10, dtype=np.uint8) * 255)
    kinds = (("GIF", "P"), ("PNG", "1"), ("PNG", "P"), ("TIFF", "L"), ("BMP", "L"), ("WEBP", "RGB"), ("PPM", "L"))
    return {f"{kind}-{mode}.png".lower(): _saved(picture.convert(mode), kind) for kind, mode in kinds}


def _no_masks() -> dict[str, bytes]:
    """What Pillow could open, some of it by starting another program, under the name of a PNG."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.eye(12, 10, dtype=np.uint8) * 255).convert("RGB")
    kinds = [kind for kind in ("AVIF", "DDS", "EPS", "PCX", "SGI", "TGA") if kind in Pillow.SAVE]
    return {f"{kind}.png".lower(): _saved(picture, kind) for kind in kinds}


def _saved(picture: Any, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def _read_mask(path: Path) -> object:
    """As `evaluate` and, what is a picture of that size, as `prepare` does."""
    from PIL import Image as Pillow

    from medsr.commands.evaluate.drive import read_mask
    from medsr.commands.prepare.write_images import Task, write_item
    from medsr.data.cards import GroundTruth

    image = path.parent / "image" / "a.png"
    if not image.is_file():
        image.parent.mkdir()
        Pillow.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(image)
    read_mask(path, (12, 10))
    return write_item(
        Task("a", "train", "images", {"image": image, "vessels": path}, GroundTruth()), path.parent / "out"
    )


def _volumes() -> dict[str, bytes]:
    """A real head that comes with nibabel, as slices; the same twice, as two volumes in one series; in one file."""
    import nibabel

    path = Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii"
    image = nibabel.load(path)
    voxels = np.asarray(image.dataobj)[:, :, 8 : 8 + SLICES].astype(np.uint16)
    step = tuple(map(float, image.header.get_zooms()))
    once = {f"{k}.dcm": _slice(voxels[:, :, k], k, step, 0) for k in range(SLICES)}
    again = {f"again_{k}.dcm": _slice(voxels[:, :, k] // 2, k, step, 1) for k in range(SLICES)}
    return {
        "head.zip": _zipped(once),
        "twice.zip": _zipped(once | again),
        "frames.zip": _zipped({"0.dcm": _frames(voxels, step)}),
    }


def _common(rows: int, columns: int, step: tuple[float, ...]) -> Any:
    from pydicom import dcmread

    [content] = _tests_of_pydicom("MR_small.dcm").values()
    dataset = dcmread(io.BytesIO(content))
    for tag in [element.tag for element in dataset if element.tag.is_private]:
        del dataset[tag]
    dataset.Rows, dataset.Columns, dataset.PixelSpacing = rows, columns, [step[0], step[1]]
    dataset.PixelRepresentation, dataset.SliceThickness = 0, step[2]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    for name in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if name in dataset:
            delattr(dataset, name)
    return dataset


def _slice(pixels: np.ndarray, index: int, step: tuple[float, ...], volume: int) -> bytes:
    dataset = _common(*pixels.shape, step)
    dataset.PixelData = pixels.tobytes()
    dataset.ImagePositionPatient = [0, 0, index * step[2]]
    dataset.InstanceNumber = 1 + index + SLICES * volume
    dataset.TemporalPositionIdentifier = 1 + volume
    dataset.AcquisitionTime = f"10100{volume}"
    dataset.SOPInstanceUID = f"1.2.3.{volume}.{index}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return _written(dataset)


def _frames(voxels: np.ndarray, step: tuple[float, ...]) -> bytes:
    """An enhanced MR image: every frame says where it is."""
    from pydicom import Dataset

    dataset = _common(*voxels.shape[:2], step)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    dataset.NumberOfFrames = SLICES
    dataset.PixelData = np.moveaxis(voxels, 2, 0).tobytes()
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, name)
    frames = []
    for index in range(SLICES):
        frame, content, position, measures, orientation = (Dataset() for _ in range(5))
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", index + 1, [1, index + 1]
        position.ImagePositionPatient = [0, 0, index * step[2]]
        measures.PixelSpacing, measures.SliceThickness = [step[0], step[1]], step[2]
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        frame.FrameContentSequence, frame.PlanePositionSequence = [content], [position]
        frame.PixelMeasuresSequence, frame.PlaneOrientationSequence = [measures], [orientation]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return _written(dataset)


def _written(dataset: Any) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


READERS = {
    "jpeg-ls": Reader(read_image, lambda: _tests_of_pydicom(*JPEG_LS), ("odd/dicom_*/jpeg_ls.dcm",), changed_dicom),
    "jpeg-2000": Reader(
        read_image, lambda: _tests_of_pydicom(*JPEG_2000), ("odd/dicom_*/jpeg_2000.dcm",), changed_dicom
    ),
    "jpeg": Reader(read_image, lambda: _tests_of_pydicom(*JPEG), ("odd/dicom_*/jpeg_lossless*.dcm",), changed_dicom),
    "deflated": Reader(read_image, _deflated, ("odd/dicom_*/deflated.dcm",), changed_deflated),
    "masks": Reader(_read_mask, _masks, refused=_no_masks),
    "volumes": Reader(read_volume, _volumes, change=changed_slices),
}
