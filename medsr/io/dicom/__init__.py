"""What images and series of DICOM have in common: headers, frames, pixels, and headers derived from them."""
