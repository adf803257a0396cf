"""One image in memory: a network or a baseline on tiles, made consistent with the image it was given."""
