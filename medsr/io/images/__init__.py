"""2D images: PNG, JPEG, TIFF, PGM and DICOM."""
