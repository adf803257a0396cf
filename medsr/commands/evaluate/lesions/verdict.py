"""What an evaluation of lesions comes to, in a few sentences for each model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, Cell, LesionEvaluation
from medsr.metrics.bootstrap import IntervalSummary, summarize

HALF = 0.5
TOLERATED = 1.1
"""False finds, in parts of those in the ground truth, from which on a model invents."""


def groups(result: LesionEvaluation) -> dict[str, list[Cell]]:
    """By family one cell a size, all contrasts together, small ones first."""
    cells: dict[str, list[Cell]] = {}
    for cell in result.cells:
        if cell.contrast is None:
            cells.setdefault(cell.family, []).append(cell)
    return cells


def reference(result: LesionEvaluation, family: str) -> Cell | None:
    """The smallest size of which the baseline keeps half of the contrast; None where it never does."""
    for cell in groups(result).get(family, []):
        kept = result.mean(result.baseline, cell, "integrated")
        if kept is not None and kept.mean >= HALF:
            return cell
    return None


def verdict(result: LesionEvaluation, model: str) -> str:
    """Whether `model` keeps lesions better than the baseline, which it erases, and whether it invents."""
    cells = [cell for family in groups(result).values() for cell in family]
    sentences = [_erased(result, model, cells), _finds(result, model, cells)]
    if model != result.baseline:
        sentences = [*_kept(result, model, cells), *_worse(result, model, cells), *sentences]
    elif set(result.models) - {GROUND_TRUTH, model}:
        sentences.insert(0, "The other models are compared to this one.")
    return " ".join(filter(None, sentences)) or "No lesion was measured."


def _kept(result: LesionEvaluation, model: str, cells: Sequence[Cell]) -> list[str]:
    gains = {cell: gain for cell in cells if (gain := result.difference(model, cell, "integrated")) is not None}
    more = [cell for cell, gain in gains.items() if gain.above_zero]
    less = [cell for cell, gain in gains.items() if gain.below_zero]
    untold = [cell for cell in gains if cell not in more and cell not in less]
    sentences = []
    if more:
        sentences.append(f"It keeps more contrast than {result.baseline}: {_named(result, more)}.")
    if less:
        sentences.append(f"It keeps less contrast than {result.baseline}: {_named(result, less)}.")
    if untold:
        than = f"Whether it keeps more than {result.baseline}"
        sentences.append(f"{than}, {_subjects(result)} cannot tell: {_named(result, untold)}.")
    return sentences


def _subjects(result: LesionEvaluation) -> str:
    many = len(result.subjects)
    return f"these {many} subjects" if many > 1 else "one subject"


def _worse(result: LesionEvaluation, model: str, cells: Sequence[Cell]) -> list[str]:
    """What must not be: more lesions erased than by the baseline, or harder to detect."""
    sentences = []
    if erased := [cell for cell in cells if _is_clear(result.difference(model, cell, "erased_half"), above=True)]:
        sentences.append(f"It erases more lesions than {result.baseline}: {_named(result, erased)}.")
    if harder := [cell for cell in cells if _is_clear(result.difference(model, cell, "cho_d"), above=False)]:
        sentences.append(f"Lesions are harder to detect than in {result.baseline}: {_named(result, harder)}.")
    return sentences


def _is_clear(gain: IntervalSummary | None, above: bool) -> bool:
    return gain is not None and (gain.above_zero if above else gain.below_zero)


def _erased(result: LesionEvaluation, model: str, cells: Sequence[Cell]) -> str:
    shares = {cell: share.mean for cell in cells if (share := result.mean(model, cell, "erased_half")) is not None}
    if not shares:
        return ""
    erased = [cell for cell, share in shares.items() if share >= HALF]
    if not erased:
        return "It erases fewer than half of the lesions at every size."
    return f"It erases half of the lesions or more: {_named(result, erased)}."


def _finds(result: LesionEvaluation, model: str, cells: Sequence[Cell]) -> str:
    """By the differences to what is tolerated, on the same subjects."""
    excess = {cell: gain for cell in cells if (gain := _excess(result, model, cell)) is not None}
    if not excess:
        return ""
    beyond = [cell for cell, gain in excess.items() if gain.above_zero]
    if beyond:
        more = "It may invent. A search has over 10 % more false finds in it than in the ground truth"
        return " ".join(filter(None, [f"{more}: {_named(result, beyond)}.", _finds_beside(result, model, beyond)]))
    if all(gain.high is not None and gain.high <= 0 for gain in excess.values()):
        return (
            "Nothing shows that it invents. A search has at most 10 % more false finds in it than in the ground truth."
        )
    return f"Whether it invents, {_subjects(result)} cannot tell."


def _finds_beside(result: LesionEvaluation, model: str, cells: Sequence[Cell]) -> str:
    """Weak lesions need a low threshold, in the baseline too: is it worse than that?"""
    gains = [result.difference(model, cell, "false_finds") for cell in cells if model != result.baseline]
    if gains and all(_is_clear(gain, above=False) for gain in gains):
        return f"There are even more in {result.baseline}."
    more = [cell for cell, gain in zip(cells, gains, strict=False) if _is_clear(gain, above=True)]
    return f"There are more than in {result.baseline} too: {_named(result, more)}." if more else ""


def _excess(result: LesionEvaluation, model: str, cell: Cell) -> IntervalSummary | None:
    own, truth = (result.values(name, cell, "false_finds") for name in (model, GROUND_TRUTH))
    gains = [own[subject] - TOLERATED * truth[subject] for subject in own if subject in truth]
    return summarize(gains) if gains else None


def _named(result: LesionEvaluation, cells: Iterable[Cell]) -> str:
    """`hyperintense up to 3 mm; hypointense 2 and 4 mm`."""
    chosen = set(cells)
    measured = groups(result)
    if len(measured) > 1 and all(cell in chosen for family in measured.values() for cell in family):
        return "every lesion, at every size"
    parts = []
    for family, all_of_it in measured.items():
        sizes = [cell for cell in all_of_it if cell in chosen]
        if sizes:
            parts.append(f"{family} {_sizes(sizes, all_of_it)}{'' if sizes == all_of_it else f' {result.unit}'}")
    return "; ".join(parts)


def _sizes(sizes: Sequence[Cell], all_of_it: Sequence[Cell]) -> str:
    if list(sizes) == list(all_of_it):
        return "at every size"
    numbers = [f"{cell.size:g}" for cell in sizes]
    if len(numbers) > 1 and list(sizes) == list(all_of_it[: len(sizes)]):
        return f"up to {numbers[-1]}"
    if len(numbers) > 1 and list(sizes) == list(all_of_it[-len(sizes) :]):
        return f"from {numbers[0]}"
    return listed(numbers)


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
