"""Where the files that travel with medsr are: recipes, data cards, pretrained models; and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def resource_dir(name: str) -> Path:
    """The folder `recipes`, `data_prep` or `pretrained`: inside an installed wheel, else in the checkout."""
    installed = PACKAGE / "_resources" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def home() -> Path:
    """Where downloaded and imported weights live: `MEDSR_HOME`, else the platform's cache folder.

    A place where nothing is and nothing can be written, where the user has no home folder.
    """
    if chosen := os.environ.get("MEDSR_HOME"):
        return expanded(chosen)
    from platformdirs import user_cache_dir

    try:
        return Path(user_cache_dir("medsr", appauthor=False))
    except (RuntimeError, KeyError):  # a user without HOME, whom the system does not know: as in a container
        return Path(os.devnull, "no home folder here: set MEDSR_HOME")


def expanded(name: str | Path) -> Path:
    """A path with `~` replaced by the user's home folder; as it is where nobody knows that."""
    return Path(os.path.expanduser(name))
