"""A secret in the elements of DICOM files: what it comes out of leaks."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

SECRET = "SENTINEL"
PERSONAL = (  # of the patient, study, series and equipment modules (PS3.3 C.7): most of them with invalid values too
    *("PatientName", "PatientID", "PatientBirthDate", "PatientAge", "PatientWeight", "PatientSex", "PatientComments"),
    *("OtherPatientIDs", "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers", "EthnicGroup"),
    *("ReferringPhysicianName", "OperatorsName", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress", "StationName"),
    *(
        "DeviceSerialNumber",
        "ImageComments",
        "DerivationDescription",
        "AcquisitionDate",
        "ContentTime",
        "BodyPartExamined",
    ),
)
TECHNICAL = (  # they say what the image is, in DICOM's terms; but any text may stand there, and people put names
    *("ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName", "MRAcquisitionType"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "PatientPosition", "ViewPosition", "Laterality"),
    *("ConvolutionKernel", "FilterType", "ContrastBolusAgent", "Units", "RescaleType", "PixelIntensityRelationship"),
    *("PresentationIntentType", "PresentationLUTShape", "BurnedInAnnotation", "LossyImageCompression", "SliceLocation"),
    *("AcquisitionNumber", "EchoTime", "RepetitionTime", "WindowCenter", "FrameOfReferenceUID"),
    *(
        "LossyImageCompressionMethod",
        "ComplexImageComponent",
        "PixelPresentation",
        "TriggerTime",
        "ImagesInAcquisition",
    ),
)
EVERY = (*PERSONAL, *TECHNICAL)
DECISIVE = (  # each alone, for one that is not understood ends the reading
    *("Modality", "PhotometricInterpretation", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns"),
    *("BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PlanarConfiguration", "NumberOfFrames"),
    *("TransferSyntaxUID", "PixelSpacing", "ImagerPixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "SpecificCharacterSet", "BodyPartExamined", "ImageType"),
    *(
        "CenterOfRotation",
        "DiffusionBValue",
        "ShutterShape",
        "CenterOfCircularShutter",
        "InstanceNumber",
        "SpacingBetweenSlices",
    ),
)


def marked(path: Path, syntax: str) -> Path:
    """The file at `path` with the secret, as raw bytes, in every tag of a person and every technical one."""
    dataset = pydicom.dcmread(path)
    implicit = syntax == ImplicitVRLittleEndian
    for keyword in EVERY:
        tag = Tag(tag_for_keyword(keyword) or 0)
        vr = None if implicit else pydicom.datadict.dictionary_VR(tag)
        value = f"{SECRET}{keyword}".encode()
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, implicit, True)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, implicit_vr=implicit, little_endian=True)
    assert path.read_bytes().count(SECRET.encode()) == len(EVERY)
    return path


def with_secret(path: Path, keyword: str, vr: str) -> None:
    """The file at `path` with the secret, as raw bytes, in that element; of another type than the element has."""
    dataset = pydicom.dcmread(path)
    tag = Tag(tag_for_keyword(keyword) or 0)
    content = dataset.file_meta if tag.group == 2 else dataset
    vr = dictionary_VR(tag).split(" ")[0] if vr == "its own" or tag.group == 2 else vr
    value = SECRET.encode()
    content[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    dataset.save_as(path, implicit_vr=False, little_endian=True)
    assert SECRET.encode() in path.read_bytes()
