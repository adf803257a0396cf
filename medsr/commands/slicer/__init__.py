"""`medsr-slicer`: `medsr volume` as a module of 3D Slicer."""
