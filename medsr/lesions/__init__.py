"""Lesion-like signals that are drawn into ground truth, and where they could be."""
