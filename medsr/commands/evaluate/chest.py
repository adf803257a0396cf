"""`nih-cxr`: P1's chest test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.images import ImageBenchmark, check_size, grey
from medsr.core.errors import InputError
from medsr.data import cards, layout
from medsr.metrics.psnr_ssim import eight_bit
from medsr.metrics.regions import foreground

SIDE = 1024


@dataclass
class NihCxr(ImageBenchmark):
    """The 1024x1024 originals: of the official test list where it is there, else all."""

    name: str = field(default="nih-cxr", init=False)
    selection: str = field(default="", init=False)

    def items(self) -> list[Item]:
        """Raises InputError where the folder is not NIH ChestX-ray14."""
        card = cards.load("nih_chestxray14")
        entries = layout.find(card, self.data)
        listed = card.split.lists["test"]
        tests = _names_in(self.data, listed)
        self.selection = "all in the folder"
        if any(entry.part == "test" for entry, _ in entries):
            self.selection = "the prepared test part"
            entries = [pair for pair in entries if pair[0].part == "test"]
        elif tests:
            self.selection = "those of the official test list"
            entries = [pair for pair in entries if pair[1]["image"].name in tests]
            if not entries:
                raise InputError(f"{self.data}: {listed} names none of the images there: these are not test images")
        return [Item(entry.id, files) for entry, files in entries]

    def load(self, item: Item) -> Case:
        """Grey, 8 bits. Raises InputError for a copy of another size."""
        unit = self.read(item.image)
        check_size(unit, (SIDE, SIDE), item.image, "the original, not a smaller copy")
        truth = eight_bit(grey(unit))
        return Case(item.id, truth, self.degraded(truth), {"foreground": foreground(truth)})

    def protocol(self) -> dict[str, Any]:
        """P1's, with every parameter."""
        return {
            "source": "Aghelan and Rouhani (P1), chest test",
            "images": f"NIH ChestX-ray14, {SIDE}x{SIDE} originals, {self.selection}",
            "ground_truth": "grey, 8 bits",
            **self.steps(),
            "channel": "grey",
            "regions": "whole image; _foreground: the largest part brighter than 5 %, holes filled",
        }


def _names_in(folder: Path, name: str) -> set[str]:
    """The words of the list of that name; none where there is no such file."""
    path = next((path for path in sorted(folder.rglob(name)) if path.is_file()), None)
    return set(path.read_text(encoding="utf-8", errors="replace").split()) if path else set()
