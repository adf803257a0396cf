"""From what a user asks for to the plan of a cohort: options checked, inputs found, weights known."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from medsr.commands.cohort import bids, find
from medsr.commands.cohort.plan import CohortPlan, Command
from medsr.commands.cohort.precision import COMPUTE, settle
from medsr.core.errors import UsageError
from medsr.core.types import Notify
from medsr.engines.base import Compute
from medsr.engines.selection import EXPORTED
from medsr.io.images import image as image_io
from medsr.io.images.frames import canonical

LEFT_OUT = ("scans", "inputs", "out", "skip_done", "on_outcome", "notify")
"""What `medsr volume` and `medsr upscale` take that is not the same for every input."""
TOGETHER = ("together", "extent", "like", "registration", "matching", "force")
"""A cohort refines every scan by itself."""
ONE_SCAN = ("also", "series")


def build_plan(
    command: Command,
    inputs: list[str],
    out: Path,
    suffixes: Sequence[str],
    skip_done: bool,
    options: dict[str, Any],
    notify: Notify,
    here: bool = False,
) -> CohortPlan:
    """The plan of a cohort; nothing is written yet. `here`: all of it is computed on this machine.

    Raises UsageError for options or inputs that are wrong, WeightsError where the model cannot be opened.
    """
    options = complete_options(command, options, here)
    root = find.dataset(inputs) if command == "volume" else None
    if root is not None:
        if options["dicom"]:
            raise UsageError("`dicom`: BIDS datasets hold NIfTI")
        bids.check(root, out)
        matches = find.bids_images(root, out, suffixes, options["uncertainty"])
    elif command == "volume":
        matches = find.scans(inputs, out, options["dicom"], options["uncertainty"])
    else:
        matches = find.images(inputs, out)
        if options["assumed_bits"] is None and not options["bits"]:  # here, for all: a worker sees only its own
            sources = (Path(item.source) for item in matches.items)
            options["assumed_bits"] = image_io.decide_depth(sources, options["frames"])
    for note in matches.notes:
        notify(note)
    clashes = tuple((os.path.abspath(source), reason) for source, reason in matches.clashes)
    dataset = None if root is None else str(root)
    weights = weights_digest(options["model"])
    if here and options["precision"] == "auto":
        options |= settle(command, options)
    return CohortPlan(command, out, options, tuple(matches.items), dataset, skip_done, weights, clashes)


def complete_options(command: Command, options: dict[str, Any], here: bool = False) -> dict[str, Any]:
    """All of the command's options, with their defaults. Raises UsageError for others.

    `here`: on this machine alone. Several might choose different precisions: there `auto` is fp32, or as an exported
    model was exported.
    """
    from medsr.commands.archive import PARAMETERS as OF_ARCHIVES
    from medsr.commands.upscale.models import check_strength
    from medsr.commands.upscale.run import check_outscale, upscale
    from medsr.commands.volume.arguments import build_request
    from medsr.commands.volume.run import volume

    if command not in get_args(Command):
        raise UsageError(f"cohort {command}: expected volume or upscale")
    parameters = inspect.signature(volume if command == "volume" else upscale).parameters
    others = {*LEFT_OUT, *TOGETHER, *OF_ARCHIVES}
    if command == "upscale":
        others.add("series")  # of images only archives have any
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in others}
    for name, value in options.items():
        if name not in defaults:
            raise UsageError(f"cohort {command}: no option {name}")
        if name in ONE_SCAN and value:
            raise UsageError(f"`{name}`: belongs to one scan, not to a cohort")
    options = defaults | options
    options["model"] = _absolute(str(options["model"]))
    if options["precision"] == "auto" and not here and Path(options["model"]).suffix not in EXPORTED:
        options["precision"] = "fp32"
    arguments = dict(options)
    device = (arguments.pop(name) for name in COMPUTE)
    compute = Compute(*device)
    if command == "volume":
        build_request(**arguments, compute=compute)
    else:
        check_outscale(options["outscale"])
        check_strength(options["strength"], options["consistency"])
        options["frames"] = options["frames"] and canonical(options["frames"])
    return options


def weights_digest(model: str) -> str | None:
    """The hash of a model's weights. Raises WeightsError here and now, rather than on every node."""
    from medsr.volumes.models import weights_hash

    return weights_hash(model)


def _absolute(model: str) -> str:
    """A weight file's whole path: workers may begin elsewhere."""
    return os.path.abspath(model) if Path(model).is_file() else model
