"""Functions named by text, so that a registry that nobody may find heavy can name those that import much."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def resolve(reference: str) -> Callable[..., Any]:
    """The function that "module:function" names; its module is imported now."""
    module, name = reference.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
