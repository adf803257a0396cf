"""What computes a network: torch, or OpenVINO."""
