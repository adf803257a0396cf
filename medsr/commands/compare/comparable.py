"""Whether recipes can be compared: the same scale, protocol and data, and the same held-out images."""

from __future__ import annotations

from pathlib import Path

from medsr.core.errors import UsageError
from medsr.data import changes, file_list
from medsr.recipe import Recipe
from medsr.recipe.degradation import low_resolution_folder
from medsr.training.degradations import strategy_of
from medsr.training.trainer import find_files


def check_comparable(candidates: list[Recipe]) -> None:
    """Raise UsageError where a recipe stands twice, or two differ in what is measured: scale, protocol, data, seed."""
    first = candidates[0]
    names = [recipe.name for recipe in candidates]
    if len(set(names)) < len(names):
        raise UsageError(f"compare: every recipe once, got {', '.join(names)}")
    for recipe in candidates:
        for part in [recipe, *(recipe.stage(index) for index in range(len(recipe.stages)))]:
            for key, value, expected in (
                ("scale", part.scale, first.scale),
                ("channels", part.channels, first.channels),
                ("protocol", strategy_of(part).describe(part), strategy_of(first).describe(first)),
                ("data.train", part.data.train, first.data.train),
                (
                    "degradation.low_resolution",
                    low_resolution_folder(part.degradation),
                    low_resolution_folder(first.degradation),
                ),
                ("data.validation", part.data.validation, first.data.validation),
                ("data.bits", part.data.bits, first.data.bits),
                ("data.pattern", part.data.pattern, first.data.pattern),
                ("seed", part.seed, first.seed),
                ("volumes", part.thick_slices is not None, first.thick_slices is not None),
            ):
                if value != expected:
                    raise UsageError(
                        f"compare: {part.name} and {first.name} differ in {key} ({value} and {expected}); "
                        "`overrides=KEY=VALUE` changes all"
                    )


def same_held_out(candidates: list[Recipe], folder: Path, accept_new_data: bool) -> tuple[Path, ...]:
    """The images all are measured on: those of the list in `folder`, else drawn, and written down there.

    Raises UsageError where there are none, or not the same.
    """
    changes.settle(folder, candidates[0], accept_new_data)
    files = file_list.of(folder, candidates[0])
    splits = [find_files(recipe, files) for recipe in candidates]
    held_out = [split.held_out for split in splits]
    if not held_out[0]:
        raise UsageError("compare: data.validation is 0, there is nothing to measure on")
    for recipe, paths in zip(candidates, held_out, strict=True):
        if paths != held_out[0]:
            raise UsageError(
                f"compare: {recipe.name} holds out other images than {candidates[0].name} (some are too small for "
                "one's crop); name them: `overrides=data.validation=FOLDER_OR_PATTERN`"
            )
    file_list.write(folder, file_list.of_split(candidates[0], splits[0], files))
    return held_out[0]
