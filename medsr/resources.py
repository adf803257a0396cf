"""Where the files that travel with medsr are: recipes, data cards, pretrained models; and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def resource_dir(name: str) -> Path:
    """The folder `recipes`, `data_prep` or `pretrained`: inside an installed wheel, else in the checkout."""
    installed = PACKAGE / "_resources" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def home() -> Path:
    """Where downloaded and imported weights live: `MEDSR_HOME`, else the platform's cache folder."""
    if chosen := os.environ.get("MEDSR_HOME"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("medsr", appauthor=False))
