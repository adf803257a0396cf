"""Several scans of one body part, registered and put together into one volume."""
