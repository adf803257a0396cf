"""`medsr volume`: a scan in, the finer scan, the picture that shows it and the figures that say how far to trust it."""
