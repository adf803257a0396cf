"""Texts of the library name parameters (`scale=1`, in backticks); only the command line writes dashes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import medsr

PACKAGE = Path(medsr.__file__).parent
OTHER_PROGRAMS = {
    "networks/packages.py": "pip's own options",
    "networks/upstream.py": "pip's own options",
    "engines/fp32.py": "the command line of a child: medsr export",
    "commands/cohort/slurm_executor.py": "options of sbatch and squeue, and the command line of a task",
}
WHOLE_COMMAND = re.compile(r"\bmedsr [a-z{][^;,:`]*")
OPTION = re.compile(r"(?<![\w-])--[a-z{][\w-]*")  # {: a name that an f-string fills in


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every string but docstrings, with its line; what an f-string fills in is {}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.lineno, node.value


def _with_dashes(path: Path) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE).as_posix()}:{line}: {text}"
        for line, text in _texts(path)
        if OPTION.search(WHOLE_COMMAND.sub("", text))
    ]


def test_the_library_names_parameters_not_options() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("cli/") and name not in OTHER_PROGRAMS:
            wrong += _with_dashes(path)
    assert wrong == []


def test_every_exception_is_still_one() -> None:
    for name in OTHER_PROGRAMS:
        path = PACKAGE / name
        modules = path.rglob("*.py") if path.is_dir() else [path]
        assert any(_with_dashes(module) for module in modules), f"{name}: take it off the list"


def test_an_option_is_told_from_a_whole_command() -> None:
    assert OPTION.search("leave --engine out")
    assert OPTION.search(WHOLE_COMMAND.sub("", "medsr info; or --device cpu"))
    assert not OPTION.search(WHOLE_COMMAND.sub("", "see medsr export {} --to openvino"))
