"""How many processes train together, and on which devices."""

from __future__ import annotations

import os
from typing import Any


def count() -> tuple[int, int]:
    """How many processes train together, and on how many nodes, as torchrun or srun says."""
    environment = os.environ
    if "LOCAL_WORLD_SIZE" in environment:
        processes = int(environment.get("WORLD_SIZE", environment["LOCAL_WORLD_SIZE"]))
        return processes, processes // int(environment["LOCAL_WORLD_SIZE"])
    if (
        "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment
    ):  # within srun; a batch script alone is one process
        return int(environment.get("SLURM_NTASKS", 1)), int(environment.get("SLURM_NNODES", 1))
    return 1, 1


def places(device: str) -> dict[str, Any]:
    """Devices of each node, and nodes: as many as torchrun or srun started processes, every GPU, or the one named."""
    processes, nodes = count()
    if processes > 1 or "LOCAL_WORLD_SIZE" in os.environ:
        return {"devices": processes // nodes, "num_nodes": nodes}
    kind, _, index = device.partition(":")
    if index:
        return {"devices": [int(index)]}
    return {"devices": "auto" if kind == "cuda" else 1}
