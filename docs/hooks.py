"""What MkDocs cannot do alone: the reference of the commands, and pages that live elsewhere in the repository."""

from __future__ import annotations

import html
import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = "<!-- commands -->"  # docs/cli.md has this line where the reference goes
BENCHMARKS = "<!-- benchmarks -->"  # docs/evaluation.md has this line where their table goes
PAGES = {  # file of the repository -> page of the site
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "report.md",
    "data_prep/README.md": "data-cards.md",
    "recipes/papers/README.md": "papers.md",
}
PAGES |= {f"pretrained/{card.name}": f"cards/{card.name}" for card in sorted((ROOT / "pretrained").glob("*.md"))}
ORIGINS = {page: origin for origin, page in PAGES.items()}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that live outside of docs/."""
    from mkdocs.structure.files import File

    for origin, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / origin)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the commands and the benchmarks, and lead links between files of the repository to their pages."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    if BENCHMARKS in markdown:
        markdown = markdown.replace(BENCHMARKS, benchmarks())
    return with_bars(with_links(markdown, page.file.src_uri))


def with_links(markdown: str, page: str) -> str:
    """The text of a page whose links, relative to its file in the repository, lead to pages of the site.

    A link to a file that is not a page (a recipe, the licence) becomes plain text.
    """
    folder = posixpath.dirname(ORIGINS.get(page, f"docs/{page}"))

    def lead(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(folder, target))
        if path == "README.md":
            path = "docs/index.md"
        site = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if site is None:
            return text
        return f"[{text}]({posixpath.relpath(site, posixpath.dirname(page) or '.')}{anchor})"

    return LINK.sub(lead, markdown)


def with_bars(markdown: str) -> str:
    """The text with `\\|` in code within tables as a bar: MkDocs would show the backslash, too."""

    def code(match: re.Match[str]) -> str:
        return f"<code>{html.escape(match[1], quote=False)}</code>".replace("\\|", "&#124;")

    lines = markdown.split("\n")
    return "\n".join(re.sub(r"`([^`]*\\\|[^`]*)`", code, line) if line.startswith("|") else line for line in lines)


def commands() -> str:
    """Every command with its arguments and options, as `medsr COMMAND --help` says them."""
    sys.path.insert(0, str(ROOT))
    os.environ["COLUMNS"] = "200"
    import typer

    from medsr.cli.app import app

    return "\n\n".join(_command(typer.main.get_command(app), "medsr", None))


def benchmarks() -> str:
    """The table of what `medsr evaluate` can measure, its parameters written as options."""
    sys.path.insert(0, str(ROOT))
    from medsr.cli import app  # noqa: F401, the commands whose options are named
    from medsr.cli.options import as_options
    from medsr.commands.evaluate.benchmarks import ENTRIES

    def with_options(text: str) -> str:
        options = ((span, as_options(span)) for span in re.findall(r"`[^`]+`", text))
        for span, option in options:
            text = text.replace(span, f"`{option}`" if option != span else span)
        return text

    rows = [f"| `{entry.name}` | {with_options(entry.data)} | {with_options(entry.protocol)} |" for entry in ENTRIES]
    return "\n".join(["| benchmark | data | protocol |", "|---|---|---|", *rows])


def _command(command: Any, name: str, parent: Any) -> list[str]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    name = context.command_path
    if hasattr(command, "commands"):
        lines = [f"## `{name}`", _text(command.help), _table(command, context)]
        for child in command.commands.values():
            if not child.hidden:
                lines += _command(child, child.name, context)
        return lines
    usage = command.get_usage(context).removeprefix("Usage: ")
    usage = re.sub(r"\s+", " ", usage)
    return [f"## `{name}`", _text(command.help), f"```text\n{usage}\n```", _table(command, context)]


def _table(command: Any, context: Any) -> str:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            rows.append(f"| <code>{_cell(record[0])}</code> | {_cell(record[1])} |")
    return "\n".join(["| argument or option | meaning |", "|---|---|", *rows]) if rows else ""


def _cell(text: str) -> str:
    text = html.escape(re.sub(r"\s+", " ", text), quote=False)
    return text.replace("|", "&#124;").replace("[", "&#91;").replace("*", "&#42;")


def _text(help_text: str | None) -> str:
    return (help_text or "").strip()
