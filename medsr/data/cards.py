"""Data cards: what a public data set is, how its owner ships it, and the ground truth to make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from medsr.core.resources import resource_dir
from medsr.recipe import MultiScale, check, find
from medsr.recipe.fields import Bits, Count, Flag, Probability, RecipeSection

IMAGE = "image"
PARTS = ("train", "validation", "test")
Part = Literal["train", "validation", "test"]
_FIELD = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[\d,]+\})+))?\}")
SURROGATES = re.compile("[\ud800-\udfff]")


LONGEST = 300
"""Characters of a pattern."""
MOST_REPEATS = 12
"""Of a pattern: how many of its parts may be of any length."""
_REPEAT = r"(?<!\\)(?:[*+]|\{\d*,\d*\})"


class Pattern:
    """The end of a path: literal names, `*`, `?`, and fields such as `{subject}` or `{id:[0-9]+}`. Case is ignored.

    Raises ValueError for a field whose expression is not valid, or so that a search by it might never end.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise ValueError(f"{text[:30]!r}...: longer than {LONGEST} characters")
        parts, start = [], 0
        for match in _FIELD.finditer(text):
            parts.append(_literal(text[start : match.start()]))
            parts.append(f"(?P<{match[1]}>{match[2] or '[^/]+?'})")
            start = match.end()
        parts.append(_literal(text[start:]))
        try:
            self._expression = re.compile(f"(?:(?s:.*)/)?{''.join(parts)}", re.IGNORECASE)
            self._fits = _linear(f"(?i)^(?:(?s:.*)/)?{''.join(parts)}$")
        except (re.error, SchemaError) as error:
            raise ValueError(f"{text!r}: {' '.join(str(error).split())[:200]}") from None
        if re.search(rf"\){_REPEAT}", "".join(parts)) or len(re.findall(_REPEAT, "".join(parts))) > MOST_REPEATS:
            raise ValueError(f"{text!r}: repeats a group, or more than {MOST_REPEATS} parts: simplify it")

    @property
    def fields(self) -> set[str]:
        """The names of its fields."""
        return set(self._expression.groupindex)

    def match(self, name: str) -> dict[str, str] | None:
        """The fields of a path with `/` between its names; None where it does not fit."""
        readable = SURROGATES.sub("\ufffd", name)  # bytes of a name that are not UTF-8
        match = self._expression.fullmatch(name) if self._fits(readable) else None
        return match.groupdict() if match else None


def _linear(expression: str) -> Callable[[str], bool]:
    """Whether a name fits, in a time that grows with its length alone: Python's own search may take for ever to fail.

    Raises SchemaError for an expression that looks back or ahead.
    """
    schema = core_schema.str_schema(pattern=expression, regex_engine="rust-regex")
    return SchemaValidator(schema).isinstance_python


def _literal(text: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(sign, re.escape(sign)) for sign in text)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]


class Expected(RecipeSection):
    """What a complete copy has. `size`: width and height in pixels, where all have the same."""

    images: Count | None = None
    size: tuple[Count, Count] | None = None


class SplitRule(RecipeSection):
    """Who goes where; nobody goes to two places.

    `parts`: what the values of the field `{part}` mean, where the owner has parted the set. `lists`: files of the
    owner that list names, one a line. Subjects that neither settles are dealt out by `train`, `validation` and `test`
    (their sum is 1), in an order drawn by `seed`; of those the owner has put into train, `validation` are set apart.
    """

    train: Probability = 0.8
    validation: Probability = 0.1
    test: Probability = 0.1
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    parts: dict[str, Part] = {}
    lists: dict[Part, str] = {}

    @model_validator(mode="after")
    def _whole(self) -> SplitRule:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test add up to {total:g}, not 1")
        return self


class GroundTruth(RecipeSection):
    """What is made of every image. `crop`: pieces of that many pixels, one every `stride` (default: side by side).

    `bits`: of 16-bit images that do not declare how many they hold; none: decided once for all of them.
    """

    multiscale: MultiScale | None = None
    crop: Count | None = None
    stride: Count | None = None
    grey: Flag = False
    bits: Bits | None = None

    @model_validator(mode="after")
    def _possible(self) -> GroundTruth:
        if self.stride is not None and self.crop is None:
            raise ValueError("stride: needs a crop")
        if self.stride is not None and self.crop is not None and self.stride > self.crop:
            raise ValueError(
                f"stride: {self.stride} is more than the crop of {self.crop}, pixels between would be lost"
            )
        return self


class Card(RecipeSection):
    """One data set. `files`: the patterns of the image and of what belongs to it (masks, annotations), by role."""

    name: str
    title: str
    kind: Literal["images", "volumes"] = "images"
    about: str = ""
    licence: str
    citation: str = ""
    request: str = ""
    released_weights: Annotated[str, Field(min_length=1)] = "not known"
    files: dict[str, Patterns]
    expected: Expected = Expected()
    split: SplitRule = SplitRule()
    ground_truth: GroundTruth = GroundTruth()

    @cached_property
    def patterns(self) -> dict[str, tuple[Pattern, ...]]:
        """By role."""
        return {role: tuple(map(Pattern, texts)) for role, texts in self.files.items()}

    @property
    def tells_nobody(self) -> bool:
        """Whether no pattern says anything of a file but its ending."""
        return not any(pattern.fields for pattern in self.patterns[IMAGE])

    @model_validator(mode="after")
    def _sound(self) -> Card:
        if IMAGE not in self.files:
            raise ValueError(f"files: no {IMAGE!r} among {', '.join(self.files)}")
        for role in self.files:
            if not re.fullmatch("[a-z][a-z0-9_]*", role) or role in PARTS:
                raise ValueError(f"files.{role}: a role names a folder: small letters, digits and _, none of the parts")
        every = [pattern for patterns in self.patterns.values() for pattern in patterns]
        of_image = [pattern.fields for pattern in self.patterns[IMAGE]]
        for role, patterns in self.patterns.items():
            for pattern in patterns if role != IMAGE else ():
                if not any(pattern.fields & fields - {"part"} for fields in of_image):
                    raise ValueError(f"files.{role}: shares no field with the image, so nobody knows whose it is")
        if self.split.parts and not any("part" in pattern.fields for pattern in every):
            raise ValueError("split.parts: no pattern has a field {part}")
        if self.kind == "volumes" and self.ground_truth != GroundTruth():
            raise ValueError("ground_truth: volumes are taken as they are")
        return self


def load(name: str | Path, overrides: Sequence[str] = ()) -> Card:
    """A card by the name of one that came with medsr (`drive`), or a file; `overrides`: `KEY=VALUE`.

    Raises UsageError saying what is wrong.
    """
    card = name if Path(name).is_file() else str(name).lower()
    return check(find(card, "data_prep", "data card"), Card, overrides)


def shipped() -> list[Card]:
    """Every card that came with medsr."""
    return [load(path) for path in sorted(resource_dir("data_prep").glob("*.yml"))]
