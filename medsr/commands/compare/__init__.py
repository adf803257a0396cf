"""Several recipes on the same images under the same budget, on one page."""
