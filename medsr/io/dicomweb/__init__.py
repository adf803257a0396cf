"""Archives that speak DICOMweb: series are listed, fetched into files, and files are sent back."""
