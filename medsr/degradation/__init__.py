"""From ground truth to low resolution."""
