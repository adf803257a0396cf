"""One room or file for each command, by its own name."""
