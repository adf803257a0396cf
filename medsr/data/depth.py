"""How many bits the 16-bit images of a data set hold that do not declare it: decided once, and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medsr.core.resources import expanded
from medsr.data import manifest
from medsr.data.own_outputs import part_own
from medsr.data.sources import folder_of
from medsr.io.images import image as image_io
from medsr.recipe import Recipe
from medsr.recipe.degradation import low_resolution_folder


@dataclass(frozen=True)
class SettledDepth:
    """`bits` of every image that leaves them open, None where none does; `told`: the line for the user."""

    bits: int | None
    line: str = ""


def depth_of(bits: int | None, folder: Path | None, paths: Iterable[Path]) -> SettledDepth:
    """`bits` where they are given, else what the folder's manifest says, else the most that one of `paths` needs."""
    if bits is not None:
        return SettledDepth(bits)
    if prepared := manifest.bits_of(manifest.read(folder) or []) if folder else None:
        return SettledDepth(prepared, f"16-bit images without declared depth: read as {prepared}-bit, as {folder} says")
    if decided := image_io.decide_depth(paths):
        most = max(decided.values())
        return SettledDepth(most, f"16-bit images without declared depth: all of them read as {most}-bit")
    return SettledDepth(None)


def with_depth(recipe: Recipe) -> tuple[Recipe, str]:
    """The recipe with `data.bits` settled for all images it trains and validates on, and the line for the user."""
    data = recipe.data
    if data.bits is not None or data.train is None or recipe.thick_slices:
        return recipe, ""
    folders = [folder_of(data.train, "data.train")]
    low = low_resolution_folder(recipe.degradation)
    for name in (low, data.validation):
        if isinstance(name, str) and expanded(name).is_dir():
            folders.append(expanded(name))
    paths = image_io.list_images(folders[0], data.pattern)
    paths += [path for folder in folders[1:] for path in image_io.list_images(folder)]
    depth = depth_of(None, folders[0], part_own(folders[0], paths)[0])
    if depth.bits is None:
        return recipe, ""
    line = f"{depth.line}; data.bits says otherwise"
    return recipe.model_copy(update={"data": data.model_copy(update={"bits": depth.bits})}), line
