"""`medsr upscale`: images in, larger images and their sidecars out."""
