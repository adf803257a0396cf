"""The networks a recipe may name, and their sizes: sections made from the entries of `networks.architectures`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from medsr.networks import architectures
from medsr.networks.architectures import Architecture
from medsr.recipe.fields import Count, Flag, RecipeSection, one_of

LARGEST_SCALES = 4


class NetworkSection(RecipeSection):
    """A network by its name, and its sizes."""

    architecture: ClassVar[Architecture]
    name: str = ""

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments of the network's builder."""
        return self.model_dump(exclude={"name"})


def _section(entry: Architecture) -> type[NetworkSection]:
    fields: dict[str, Any] = {"name": (Literal[entry.name], entry.name)}  # type: ignore[valid-type]
    for size, default in entry.sizes.items():
        if size == "scales":
            kind: Any = Annotated[int, Field(ge=1, le=LARGEST_SCALES)]
        elif size == "fold":
            kind = Literal[1, 2, 4]
        else:
            kind = Flag if isinstance(default, bool) else Count
        fields[size] = (kind, default)
    section = create_model(entry.name, __base__=NetworkSection, __doc__=entry.summary, **fields)
    section.architecture = entry
    return section


SECTIONS = {entry.name: _section(entry) for entry in (*architectures.GENERATORS, *architectures.DISCRIMINATORS)}
if TYPE_CHECKING:
    Generator = NetworkSection
    DiscriminatorConfig = NetworkSection
else:
    Generator = one_of([SECTIONS[entry.name] for entry in architectures.GENERATORS])
    DiscriminatorConfig = one_of([SECTIONS[entry.name] for entry in architectures.DISCRIMINATORS])
