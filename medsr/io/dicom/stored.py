"""What a derived header says of how its pixels are stored, and of what compression took from them before."""

from __future__ import annotations

from typing import Any

from medsr.io.dicom.frames import count_of

PALETTES = (
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PaletteColorLookupTableUID",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
"""What means something for entries of a palette alone."""
LOSSY = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
"""Transfer syntaxes that always lose something, and DICOM's terms for their methods."""


def declare_rgb(dataset: Any, bits: int) -> None:
    """What is stored is RGB now, whatever it was."""
    from pydicom.uid import OphthalmicPhotography8BitImageStorage, OphthalmicPhotography16BitImageStorage

    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    if bits > 8 and dataset.get("SOPClassUID") == OphthalmicPhotography8BitImageStorage:  # a palette of finer colours
        dataset.SOPClassUID = OphthalmicPhotography16BitImageStorage
    for keyword in PALETTES:
        if keyword in dataset:
            del dataset[keyword]


def note_loss(dataset: Any, source: Any) -> None:
    """Lossy compression is not undone by storing its result uncompressed (PS3.3 C.7.6.1.1.5)."""
    method = LOSSY.get(str(source.file_meta.get("TransferSyntaxUID", "")))
    if not method:
        return
    if dataset.get("LossyImageCompression") != "01":
        dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", method
    if not dataset.get("LossyImageCompressionRatio"):
        samples = count_of(source) * int(source.Rows) * int(source.Columns) * int(source.get("SamplesPerPixel") or 1)
        before = samples * int(source.BitsAllocated) / 8
        dataset.LossyImageCompressionRatio = f"{before / max(1, len(source.PixelData)):.4g}"
