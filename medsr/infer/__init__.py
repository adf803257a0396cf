"""Running a network on whole images."""
