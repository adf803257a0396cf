"""`report.html` of an evaluation of lesions: verdicts, curves, examples, and what the numbers do not say."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from medsr.commands.card_sections import card_sections
from medsr.commands.evaluate.lesions import figures, tables
from medsr.commands.evaluate.lesions.real_section import real_section
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, MEASURES, Cell, LesionEvaluation, Strip
from medsr.commands.evaluate.lesions.verdict import groups, listed, reference, verdict
from medsr.commands.evaluate.tables import interval, sentences
from medsr.core.text import names_only
from medsr.report.page import Section, Table, folder_name, write_page

PLACES = 12
"""Subjects whose places are shown."""
CURVES = {
    "integrated": (
        "Contrast kept",
        "How much of a lesion's contrast is left: 1 is all of it, 0 is none. The dotted line is half. Bars are 95 % "
        "intervals over subjects.",
    ),
    "erased_half": ("Erased lesions", "The share of lesions that keep less than half of their contrast. 1 is all."),
    "cho_auc": (
        "Detected lesions",
        "A mathematical observer tells patches with a lesion from patches without. It knows what to look for, and "
        "learned on other subjects. An AUC of 0.5 is chance, and 1 is perfect.",
    ),
    "cho_d": (
        "How clearly lesions stand out",
        "The same observer's d': 0 is chance. It still grows where the AUC is close to 1.",
    ),
    "false_finds": (
        "False finds",
        "A search looks for blobs of one size, with the threshold at which it finds half of the lesions. False finds "
        "are blobs where no lesion was drawn. A model that makes lesions weak needs a lower threshold, and has more "
        "false finds for that reason too.",
    ),
    "invented": ("Invented", "Those false finds that the ground truth does not have."),
}
"""Title and text of every measure that is drawn against size."""
CAUTION = (
    "The lesions were drawn by a formula. Real disease has other shapes, edges and surroundings. The low resolution "
    "was made by a formula too; a real scanner or camera blurs in its own way. Each size was tried with one shape. "
    "Detection is that of a mathematical observer who knows what to look for, and not that of a reader. Nobody read "
    "these images for a diagnosis. A model that keeps these lesions can still lose or invent others."
)
STRIPS = (
    "Pixels are shown enlarged, as they are. Difference: with the lesion minus without it, red brighter, blue darker; "
    "full colour is the ground truth's largest. Grey pictures go from the ground truth's darkest to its brightest."
)


def write(path: Path, result: LesionEvaluation, data: Path) -> None:
    """Write the page, one file that needs nothing else. `data`: the folder that was measured on."""
    others = tables.compared(result)
    models = listed(others or [result.baseline])
    lead = f"How much {models} keep{'s' if len(others) < 2 else ''} of {tables.counted(result)}"
    lead += f", beside {result.baseline}." if others else "."
    sections = [Section(f"{model}: the verdict", verdict(result, model)) for model in [*others, result.baseline]]
    sections += [_glance(result), *_notes(result), *card_sections(others)]
    sections += [Section("What this does not show", CAUTION)]
    sections += [_curves(result, measure) for measure in tables.measured(result, _cells(result), tuple(CURVES))]
    sections += _strips(result)
    sections += [real_section(result)] if result.real else []
    sections += [*_places(result), _figures(result), *_record(result)]
    write_page(path, f"{folder_name(data)}: lesions ({result.kind})", lead, sections)


def _glance(result: LesionEvaluation) -> Section:
    """What the models are to be judged by: the smallest size that the baseline still shows."""
    models = [model for model in result.models if model != GROUND_TRUTH]
    rows = []
    for family in groups(result):
        smallest = reference(result, family)
        if smallest is None:
            rows.append([f"{family}, none", *["-"] * len(models)])
            continue
        kept = [interval(result.mean(model, smallest, "integrated"), 2) for model in models]
        rows.append([f"{family}, {tables.named(result, smallest)}", *kept])
    words = f"Contrast kept at the smallest size of which {result.baseline} keeps half on average. 1 is all of it."
    return Section("At a glance", words, [Table(["", *models], rows)])


def _notes(result: LesionEvaluation) -> list[Section]:
    notes = sentences(tables.remarks(result), result.seen)
    return [Section("How sure this is", notes)] if notes else []


def _cells(result: LesionEvaluation) -> list[Cell]:
    return [cell for cells in groups(result).values() for cell in cells]


def _curves(result: LesionEvaluation, measure: str) -> Section:
    """A picture a family."""
    title, text = CURVES[measure]
    families = [cells for cells in groups(result).values() if tables.measured(result, cells, [measure])]
    return Section(title, text, pictures=[figures.curves(result, cells, measure) for cells in families])


def _tables(result: LesionEvaluation, measure: str) -> list[Table]:
    """Means, and where there are models to compare their differences."""
    cells = [cell for cell in _cells(result) if tables.measured(result, [cell], [measure])]
    caption = f"{tables.label(result, measure)}: {MEASURES[measure].about}"
    means = Table(*tables.sizes_grid(result, cells, measure), caption)
    if not MEASURES[measure].better or not tables.compared(result):
        return [means]
    return [means, Table(*tables.differences_grid(result, cells, measure), f"{MEASURES[measure].label}: differences")]


def _strips(result: LesionEvaluation) -> list[Section]:
    """A section a family; the size first at which the baseline begins to keep half, then small ones."""
    sections: list[Section] = []
    shown = {example.cell.family for example in result.strips}
    for family in [family for family in groups(result) if family in shown]:
        smallest = reference(result, family)
        examples = [example for example in result.strips if example.cell.family == family]
        examples.sort(key=lambda example: _order(example, smallest))
        if smallest is None:
            words = f"{result.baseline} keeps half of the contrast at no size."
        else:
            size = tables.named(result, smallest)
            words = f"The smallest size of which {result.baseline} keeps half of the contrast is {size}."
        pictures = [figures.strip(result, example) for example in examples]
        sections.append(Section(f"Examples: {family}", words if sections else f"{STRIPS} {words}", pictures=pictures))
    return sections


def _order(example: Strip, smallest: Cell | None) -> tuple[bool, float, float]:
    first = smallest is not None and example.cell.size == smallest.size
    return not first, example.cell.size, abs(example.cell.contrast or 0)


def _places(result: LesionEvaluation) -> list[Section]:
    if not result.places:
        return []
    words = "Look whether these are places where such lesions can be."
    if len(result.places) > PLACES:
        words += f" The first {PLACES} of {len(result.places)} subjects."
    pictures = figures.places(dict(islice(result.places.items(), PLACES)))
    return [Section("Where lesions were drawn", words, pictures=pictures)]


def _figures(result: LesionEvaluation) -> Section:
    """Every measure as a table, and contrast kept by contrast."""
    grids = [table for measure in tables.measured(result, _cells(result)) for table in _tables(result, measure)]
    by_contrast = [cell for cell in result.cells if cell.contrast is not None]
    if tables.measured(result, by_contrast, ["integrated"]):
        grids.append(Table(*tables.sizes_grid(result, by_contrast, "integrated"), "contrast kept, by contrast"))
    words = "Means with 95 % intervals over subjects. These subjects can tell a difference whose interval holds no 0."
    return Section("All figures", words, grids)


def _record(result: LesionEvaluation) -> list[Section]:
    """Protocol, versions, and who is left out."""
    protocol = [[name, value] for name, value in tables.protocol(result)]
    sections = [Section("Protocol", tables=[Table(["", ""], protocol, text=True)])]
    if result.failed:
        reasons = [[outcome.input.name, names_only(str(outcome.error))] for outcome in result.failed]
        sections.append(Section("Left out", tables=[Table(["subject", "reason"], reasons, text=True)]))
    sections.append(Section("Versions", ", ".join(f"{name} {value}" for name, value in result.versions.items())))
    return sections
