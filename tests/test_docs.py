"""The documents are plain and complete: short sentences, every command and option, links that lead somewhere.

`python tests/test_docs.py` prints the words a sentence of every page.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("data_prep/*.md"),
    *ROOT.glob("recipes/papers/*.md"),
    *ROOT.glob("pretrained/*.md"),
    *ROOT.glob(".github/**/*.md"),
)
LONGEST = 18  # words a sentence, on average over the page


def sentences(markdown: str) -> list[str]:
    """The sentences of a page: its paragraphs and list items, without code, tables and headings."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^---\n.*?^---\n", "", text, count=1, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]+`", "code", text)
    lines = ["" if re.match(r"\s*(\||#|:::|!!!)", line) else line for line in text.splitlines()]
    text = re.sub(r"^\s*([-*]|\d+\.)\s+", "\n", "\n".join(lines), flags=re.MULTILINE)
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text)]
    found = [
        part for paragraph in paragraphs for part in re.split(r"(?<=[.!?])[)*\"']*\s+(?=[A-Z`*(\[\"\d])", paragraph)
    ]
    return [part for part in found if words(part) > 1]


def words(sentence: str) -> int:
    return len([word for word in sentence.split() if re.search(r"\w", word)])


def average(markdown: str) -> float:
    counts = [words(sentence) for sentence in sentences(markdown)]
    return sum(counts) / max(len(counts), 1)


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    assert average(page.read_text()) <= LONGEST


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_empty_line_stands_before_each_table(page: Path) -> None:
    """Without it the page shows bars in a paragraph."""
    lines = page.read_text(encoding="utf-8").split("\n")
    heads = [index for index, line in enumerate(lines) if re.match(r"\|( ?:?-+:? ?\|)+$", line)]
    assert [lines[index - 1] for index in heads if index > 1 and lines[index - 2].strip()] == []


def test_the_counter_counts() -> None:
    prose = "# Not this\n\nOne two three. Four `a b c`\nsix.\n\n| not | this |\n\n- seven [eight](a.md) nine\n\n"
    page = f"{prose}```sh\nnot this\n```\n"
    assert [words(sentence) for sentence in sentences(page)] == [3, 3, 3]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 6 * 1024


def test_the_page_about_evaluation_gets_a_table_of_all_benchmarks() -> None:
    from medsr.commands.evaluate.benchmarks import BENCHMARKS

    table = hooks().benchmarks().splitlines()
    assert [row.split("`")[1] for row in table[2:]] == list(BENCHMARKS)
    assert "blur of `--blur-sigma` (1.0)" in table[2]
    assert hooks().BENCHMARKS in (ROOT / "docs/evaluation.md").read_text()


def test_the_reference_has_every_command_and_option() -> None:
    import typer

    from medsr.cli.app import app

    text = hooks().commands()
    command = typer.main.get_command(app)
    pending = [("medsr", command)]
    while pending:
        name, command = pending.pop()
        if hasattr(command, "commands"):
            pending += [(f"{name} {child.name}", child) for child in command.commands.values() if not child.hidden]
        section = text.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            for flag in parameter.opts if parameter.param_type_name == "option" else []:
                assert flag in section, f"{name} {flag}"
        assert section, name
    assert "cohort work" not in text


def test_the_python_reference_has_every_public_function() -> None:
    import medsr

    named = set(re.findall(r"^::: medsr\.(\w+)", (ROOT / "docs/api.md").read_text(), re.MULTILINE))
    assert named == {name for name in medsr.__all__ if callable(getattr(medsr, name))}


def test_links_between_files_of_the_repository_lead_to_pages_of_the_site() -> None:
    with_links = hooks().with_links
    assert with_links("[a](../CHANGELOG.md#x)", "images.md") == "[a](changelog.md#x)"
    assert with_links("[a](docs/images.md)", "contributing.md") == "[a](images.md)"
    assert with_links("[a](../docs/images.md)", "cards/medsr-mri.md") == "[a](../images.md)"
    assert with_links("[a](../recipes/retina.yml)", "recipes.md") == "a"
    assert with_links("[a](https://example.org)", "images.md") == "[a](https://example.org)"
    assert with_links("[a](#x)", "images.md") == "[a](#x)"


def test_a_bar_in_code_within_a_table_is_shown_as_a_bar() -> None:
    with_bars = hooks().with_bars
    assert with_bars("| `a\\|<b>` | c |") == "| <code>a&#124;&lt;b&gt;</code> | c |"
    assert with_bars("`a\\|b`") == "`a\\|b`"


def test_the_version_is_the_same_everywhere() -> None:
    import medsr

    for file, line in (
        ("pyproject.toml", f'version = "{medsr.__version__}"'),
        ("CITATION.cff", f"version: {medsr.__version__}"),
        ("CHANGELOG.md", f"## {medsr.__version__} - "),
    ):
        assert f"\n{line}" in (ROOT / file).read_text(), file


def test_every_page_of_docs_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in ROOT.glob("docs/*.md") if f": {page.name}" not in navigation] == []


if __name__ == "__main__":
    total = [0, 0]
    for page in PAGES:
        found = sentences(page.read_text())
        total[0] += sum(words(sentence) for sentence in found)
        total[1] += len(found)
        print(f"{average(page.read_text()):5.1f}  {len(found):4d} sentences  {page.relative_to(ROOT)}")
    print(f"{total[0] / total[1]:5.1f}  {total[1]:4d} sentences  all")
