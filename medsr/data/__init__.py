"""Ground truth: a folder of images, of any sizes."""
