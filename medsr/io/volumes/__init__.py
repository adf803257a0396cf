"""Volumes: NIfTI, Analyze, MGH, NRRD, MetaImage and DICOM series."""
