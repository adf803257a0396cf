"""Numbers and ranges as recipes write them, and what every section is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag


def _number(value: Any) -> Any:
    """YAML reads `1e-4` as text and `yes` as a truth value; the first is a number here, the second is not."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return float(value) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
CountOrNone = Annotated[int, Field(strict=True, ge=0)]
Bits = Annotated[int, Field(strict=True, ge=8, le=16)]
Flag = Annotated[bool, Field(strict=True)]


def ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the lower end {value[0]:g} is above the upper end {value[1]:g}")
    return value


Range = Annotated[tuple[NotNegative, NotNegative], AfterValidator(ascending)]
QualityRange = Annotated[
    tuple[Annotated[Number, Field(ge=1, le=100)], Annotated[Number, Field(ge=1, le=100)]], AfterValidator(ascending)
]
Three = tuple[NotNegative, NotNegative, NotNegative]


class RecipeSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def named(default: str) -> Callable[[Any], Any]:
    """The `name` of a section that comes in several kinds; `default` where it is not said."""
    return lambda value: value.get("name", default) if isinstance(value, dict) else getattr(value, "name", None)


def name_of(section: Any) -> str:
    """The `name` that chooses a section."""
    return str(section.model_fields["name"].annotation.__args__[0])


def one_of(sections: Sequence[type[RecipeSection]]) -> Any:
    """The type of a key that takes any of these sections, told apart by `name`; the first where it is not said."""
    union: Any = None
    for section in sections:
        choice: Any = Annotated[section, Tag(name_of(section))]
        union = choice if union is None else union | choice
    return Annotated[union, Discriminator(named(name_of(sections[0])))]
