"""Small DICOM files: an X-ray, slices of a series, files without a preamble, a DICOMDIR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)


def write_bare(path: Path, dataset: Dataset, implicit: bool = True, little: bool = True) -> Path:
    """Without preamble and meta information, as some programs write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    del dataset.file_meta
    if not little:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    dataset.save_as(path, enforce_file_format=False, implicit_vr=implicit, little_endian=little)
    return path


def write_xray(
    path: Path, pixels: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 12, **tags: object
) -> Path:
    """A small digital X-ray."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID = dataset.StudyInstanceUID = generate_uid()
    dataset.PatientName, dataset.Modality = "Doe^Jane", "DX"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.ImagerPixelSpacing = [0.16, 0.2]
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


SERIES = generate_uid(None)


def slice_of(index: int, **changes: object) -> Dataset:
    """An oblique slice of a series with steps of 3 mm; its pixels say which it is."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(None)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = SERIES, generate_uid(None)
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Doe^Jane", "4711", "CT"
    dataset.SeriesNumber, dataset.InstanceNumber = 3, index + 1
    cosines = np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)]])
    normal = np.cross(*cosines)
    dataset.ImageOrientationPatient = [round(float(x), 6) for x in cosines.ravel()]
    dataset.ImagePositionPatient = [round(float(x), 6) for x in np.array([-20, -30, 40]) + 3 * index * normal]
    dataset.PixelSpacing, dataset.SliceThickness = [0.7, 0.5], 3.0
    dataset.Rows, dataset.Columns = 6, 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    pixels = (np.arange(48).reshape(6, 8) + 100 * index).astype(np.uint16)
    dataset.PixelData = pixels.tobytes()
    for key, value in changes.items():
        setattr(dataset, key, value)
    return dataset


def write_slices(folder: Path, slices: list[Dataset]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(slices):
        dataset.save_as(folder / f"{(number * 7) % 11:02d}_{number}.dcm", enforce_file_format=True)
    return folder


def write_dicomdir(path: Path) -> Path:
    """A DICOMDIR that lists one file outside its folder."""
    record = Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", ["..", "SECRET"]
    listing = Dataset()
    listing.file_meta = FileMetaDataset()
    listing.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    listing.file_meta.MediaStorageSOPInstanceUID = generate_uid(None)
    listing.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    listing.FileSetID, listing.DirectoryRecordSequence = "X", [record]
    listing.save_as(path, enforce_file_format=True)
    return path


def axial_slice(place: float, value: int, number: int, **tags: object) -> Dataset:
    """An axial slice at `place` mm, 3 mm thick, of one value."""
    return slice_of(
        number - 1,
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-20, -30, place],
        PixelData=np.full((6, 8), value, np.uint16).tobytes(),
        **tags,
    )
