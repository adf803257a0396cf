"""How many threads compute: no more than the cores that this process can keep busy."""

from __future__ import annotations

import os

from medsr.core import control_groups


def threads() -> int:
    """OMP_NUM_THREADS where it is set, else those cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return control_groups.cores()


def bound_torch() -> None:
    """Keep torch to `threads`. It counts the cores of the machine, and a container may pay for fewer.

    Eight threads on one core's time took 1.6 times as long as one. A smaller number stays as it is.
    """
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), threads()))
