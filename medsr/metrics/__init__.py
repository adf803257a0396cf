"""Measuring: how close an image is to its ground truth, and how sure one can be of a mean."""
