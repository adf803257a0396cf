"""The networks a recipe may name, and their sizes: sections made from the entries of `networks.architectures`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from medsr.networks import architectures
from medsr.networks.architectures import Architecture
from medsr.recipe.fields import Count, Flag, RecipeSection, one_of

if TYPE_CHECKING:
    from torch import nn

LARGEST_SCALES = 4
OWN = "medsr"
"""The implementation that is there on every Python."""


class NetworkSection(RecipeSection):
    """A network by its name, its sizes, and whose program it is."""

    architecture: ClassVar[Architecture]
    name: str = ""
    implementation: str = OWN

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments of the network's builder."""
        return self.model_dump(exclude={"name", "implementation"})

    def build(self, *arguments: int, **further: int) -> nn.Module:
        """The network with fresh weights, of the implementation that the recipe asks for."""
        build = self.architecture.build if self.implementation == OWN else self.architecture.build_original
        return build(*arguments, **self.sizes, **further)


def _section(entry: Architecture) -> type[NetworkSection]:
    fields: dict[str, Any] = {"name": (Literal[entry.name], entry.name)}  # type: ignore[valid-type]
    implementations = (OWN, entry.original) if entry.original else (OWN,)
    fields["implementation"] = (Literal[implementations], OWN)
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
