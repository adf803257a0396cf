"""Many inputs, one after the other: the pipeline, what became of each, and going on after an interruption."""
