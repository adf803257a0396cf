"""The same image twice: under another name, in another file format, or saved again with a little loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medsr.commands.prepare.inspect_images import Inspection

ALIKE = 0.999
"""Correlation of two thumbnails from which they show the same picture. On DRIVE and ChestX-ray14 different eyes reach
0.995 and different chests 0.91; the same one saved as JPEG, at half its size or a little darker 0.9999."""
BLOCK = 1024


def exact(inspections: Mapping[str, Inspection]) -> dict[str, str]:
    """Every item whose pixels another has -> that one: the one with the shorter name, which is mostly the original."""
    by_pixels: dict[str, str] = {}
    originals = {}
    for item_id in sorted(inspections, key=lambda name: (len(name), name)):
        if (pixels := inspections[item_id].pixels) in by_pixels:
            originals[item_id] = by_pixels[pixels]
        else:
            by_pixels[pixels] = item_id
    return originals


def near(inspections: Mapping[str, Inspection]) -> list[tuple[str, str]]:
    """Pairs of items that show the same picture though their pixels differ: rescaled, compressed again."""
    ids = sorted(item_id for item_id, inspection in inspections.items() if inspection.thumbnail)
    if not ids:
        return []
    values = np.stack(
        [np.frombuffer(bytes.fromhex(inspections[item_id].thumbnail), np.int8) for item_id in ids]
    ).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    pairs = []
    for start in range(0, len(ids), BLOCK):
        alike = values[start : start + BLOCK] @ values[start:].T > ALIKE
        for row, column in zip(*np.nonzero(alike), strict=True):
            if column > row:
                pairs.append((ids[start + row], ids[start + column]))
    return pairs
