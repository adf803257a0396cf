"""The house keeps its shape: imports run one way, the light parts stay light, one door to the upstream packages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import medsr

PACKAGE = Path(medsr.__file__).parent
ROOT = PACKAGE.parent
ORDER = (
    "core",
    "io",
    "report",
    "batch",
    "networks",
    "recipe",
    "engines",
    "metrics",
    "degradation",
    "lesions",
    "data",
    "images",
    "volumes",
    "training",
    "commands",
    "cli",
)


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_each_folder_imports_only_from_those_before_it() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        if _room(path) in ("__init__", "__main__"):
            continue
        for name in _imports(path):
            package, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            if package == "medsr" and room in ORDER and ORDER.index(room) > ORDER.index(_room(path)):
                wrong.append(f"{path.name} imports {name}")
    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports within functions count too."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items() if path.name != "__main__.py"}
    uses = {
        name: {used if used in modules else used.rpartition(".")[0] for used in _imports(path)}
        for name, path in modules.items()
        if name != "medsr"
    }

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(uses[start])
        while waiting:
            name = waiting.pop()
            if name in uses and name not in seen:
                seen.add(name)
                waiting += uses[name]
        return seen

    assert [name for name in uses if name in reached(name)] == []


def test_every_folder_has_its_place_in_the_order() -> None:
    rooms = {_room(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms == set(ORDER)


def test_only_upstream_imports_basicsr_and_realesrgan() -> None:
    users = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(name.split(".")[0] in ("basicsr", "realesrgan") for name in _imports(path))
    }
    assert users <= {"upstream.py"}


def test_import_and_help_do_not_import_torch() -> None:
    check = (
        "import sys, medsr, medsr.networks.upstream, medsr.recipe\n"
        "from medsr.cli import app\n"
        "from medsr.commands.info import collect\n"
        "collect()\n"
        "heavy = {'torch', 'basicsr', 'realesrgan', 'skimage', 'scipy', 'matplotlib', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_help_imports_what_it_prints_and_no_more() -> None:
    check = (
        "import sys\n"
        "from medsr.cli import app\n"
        "heavy = {'numpy', 'yaml', 'pydantic', 'medsr.networks', 'medsr.commands.models'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_wrong_recipe_is_refused_before_torch_is_imported() -> None:
    check = (
        "import sys\n"
        "from medsr.cli.finetune import finetune\n"
        "from medsr.core.errors import UsageError\n"
        "try:\n"
        "    finetune('retina', overrides=['losess.l1=1'])\n"
        "except UsageError as error:\n"
        "    assert \"did you mean 'losses'\" in str(error), error\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_every_file_the_documents_name_is_there() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        named = re.findall(r"`((?:tests|medsr|recipes|benchmarks|docs|data_prep)/[\w/.]+\.\w+)`", page.read_text())
        linked = [link for link in re.findall(r"\]\(([^)#:]+?)(?:#.*?)?\)", page.read_text()) if link]
        assert [one for one in named if not (ROOT / one).is_file()] == [], page
        assert [one for one in linked if not (page.parent / one).exists()] == [], page


def test_no_test_module_is_imported_by_another() -> None:
    """What several of them need stands in `tests/helpers`; pytest finds the fixtures of conftest.py by itself."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in _imports(path)
        if any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]
    assert wrong == []
