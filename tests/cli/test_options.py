"""One list of options: the command line, the library, cohorts and their plans agree, defaults included."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.commands import sidecar_fields
from medsr.commands.cohort import options
from medsr.volumes.request import Request

CALLBACKS = {"on_outcome", "notify"}
INPUTS = {"upscale": "inputs", "volume": "scans"}
OF_COHORTS = {"bids_suffix", "compute", "dask", "per_task", "sbatch", "throttle", "wait", "workers"}
"""Where a cohort runs, and what of a BIDS dataset."""
OF_ONE_RESULT = {"together", "extent", "like", "registration", "matching", "force"}
"""Several scans that become one volume; a cohort refines every scan by itself."""
OF_ARCHIVES = {"from_archive", "study", "to_archive", "ca"}
"""Where scans come from and results go to; a cohort works on files."""
OF_IMAGES_IN_ARCHIVES = {"series"}
"""Of `upscale`, which knows series in archives alone; a series of a scan may lie in a folder, too."""
FOUND = {"assumed_bits", "precisions"}
"""Found when the cohort is planned, not asked for."""


def _parameters(*names: str) -> dict[str, Any]:
    """Those of a command as the library calls them; `--no-consistency` is consistency, on unless it is said."""
    command: Any = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]
    parameters = {parameter.name: parameter.default for parameter in command.params}
    return {
        name.removeprefix("no_"): not default if name.startswith("no_") else default
        for name, default in parameters.items()
    }


def _library(command: str) -> dict[str, Any]:
    parameters = inspect.signature(getattr(medsr, command)).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name not in CALLBACKS | FOUND}


def _not_of_cohorts(command: str) -> set[str]:
    return OF_ONE_RESULT | OF_ARCHIVES | (OF_IMAGES_IN_ARCHIVES if command == "upscale" else set())


@pytest.mark.parametrize("command", ["upscale", "volume"])
def test_the_command_line_offers_what_the_library_offers(command: str) -> None:
    offered, wanted = _parameters(command), _library(command)
    assert offered.keys() == wanted.keys()
    for name, default in wanted.items():
        if isinstance(default, bool):
            assert bool(offered[name]) == default, name


@pytest.mark.parametrize("command", ["upscale", "volume"])
def test_a_cohort_offers_it_too(command: str) -> None:
    single, cohort = _parameters(command), _parameters("cohort", command)
    without = {INPUTS[command], "out", "skip_done"} | _not_of_cohorts(command)
    assert cohort.keys() & _not_of_cohorts(command) == set()
    assert cohort.keys() - OF_COHORTS - {"inputs", "out", "skip_done"} == single.keys() - without


@pytest.mark.parametrize(("command", "kept"), [("upscale", options.UpscaleOptions), ("volume", options.VolumeOptions)])
def test_a_plan_keeps_it(command: str, kept: Any) -> None:
    without = {INPUTS[command], "out", "skip_done"} | _not_of_cohorts(command)
    assert kept.model_fields.keys() - FOUND == _library(command).keys() - without


def test_the_sidecar_of_a_scan_keeps_it() -> None:
    """Every field of a request, under its own name, with its unit where it has one; and it can be read back."""
    written = Request().parameters().keys()
    plain = {field.name for field in fields(Request)} - {"model", "method", "compute"}
    assert [name for name in plain if not {name, f"{name}_mm", f"{name}_minutes"} & written] == []
    without_effect = {"uncertainty"}  # on the result that is made again
    assert written - sidecar_fields._OfScan.model_fields.keys() == without_effect


@pytest.mark.parametrize("command", [[], ["upscale"], ["cohort"], ["cohort", "volume"], ["evaluate"]])
def test_h_is_help(command: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*command, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert "-h, --help" in short.output
