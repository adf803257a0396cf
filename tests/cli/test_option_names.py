"""The library names parameters in backticks; whoever typed a command line reads of options."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from medsr.cli.app import app
from medsr.cli.echo import echo, echo_lines, echo_verbatim
from medsr.cli.options import as_options, parameters

ALL: list[Any] = list(parameters(typer.main.get_command(app)))
OPTIONS = [parameter for parameter in ALL if parameter.param_type_name == "option"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "`scale=1`: the same grid; only `model=cubic` does that",
            "--scale 1: the same grid; only --model cubic does that",
        ),
        ("leave `uncertainty` out, or say `consistency=False`.", "leave --uncertainty out, or say --no-consistency."),
        ("`uncertainty=True`", "--uncertainty"),
        ("give another `name=NAME`", "give another --name NAME"),
        ("`overrides=losses.l1.weight=0`; `compiled`", "--set losses.l1.weight=0; --compile"),
        ("`input=scan.nii`, `json=a.json`", "--input scan.nii, --json a.json"),
        ('`out=my scans/it\'s "a`b".nii`: is a folder', '--out my scans/it\'s "a`b".nii: is a folder'),
        ("`out=a\nb`: is a folder; `out=`", "--out a\nb: is a folder; --out "),
        ("`input_spacing=(1.0, 2.0)`: expected three", "--input-spacing (1.0, 2.0): expected three"),
        ("`source` and `out`: expected folders", "SOURCE and --out: expected folders"),
        ("(`adapt=MINUTES`)", "(--adapt MINUTES)"),
        ("`sidecar=a.json`: is not there", "a.json: is not there"),
    ],
)
def test_a_parameter_in_backticks_is_its_option(text: str, expected: str) -> None:
    assert as_options(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "see `medsr export --to openvino`",
        "`nothing_of_ours=1` and `Scale`",
        "scans/`scale=1`.nii and a`scale`b and ``scale``",
        "`out`.png: is not an image",
        "`scale=1",
        "scale=1",
        "`uncertainty=False` has no option",
        "`consistency`",
        "`array` and `plan_id=1` are of a command that nobody types",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert as_options(text) == text


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_called_by_its_parameter(option: Any) -> None:
    name = option.name.rstrip("_")
    assert as_options(f"a `{name}` b") == f"a {option.opts[-1]} b"
    if all(other.is_flag for other in OPTIONS if other.name == option.name):
        assert as_options(f"`{name}=True`") == option.opts[-1]
    else:
        assert as_options(f"`{name}=a b`: no") == f"{option.opts[-1]} a b: no"
    if name.startswith("no_"):
        assert as_options(f"`{name[3:]}=False`") == option.opts[-1]


def test_no_parameter_is_two_options() -> None:
    """A message does not know by which command it is printed."""
    spellings: dict[str, set[str]] = {}
    for option in OPTIONS:
        spellings.setdefault(option.name, set()).add(max(option.opts, key=len))
    assert [name for name, options in spellings.items() if len(options) > 1] == []


def test_the_doors_print_options_but_leave_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    echo("`scale=1`\nb")
    echo_lines("`scale=1`\nb", err=True)
    echo_verbatim('{"reason": "`scale=1`"}')
    printed = capsys.readouterr()
    assert printed.out == '--scale 1\\nb\n{"reason": "`scale=1`"}\n'
    assert printed.err == "--scale 1\nb\n"
