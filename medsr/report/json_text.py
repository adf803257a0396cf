"""JSON as a page shows it: a list of numbers or names stays on one line."""

from __future__ import annotations

import json
from typing import Any

STEP = 2


def json_text(value: Any, indent: int = 0) -> str:
    """As `json.dumps(value, indent=2)`, but for lists that hold no others and no keys."""
    inner, ends = " " * (indent + STEP), " " * indent
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {json_text(item, indent + STEP)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{ends}}}"
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        lines = [f"{inner}{json_text(item, indent + STEP)}" for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{ends}]"
    return json.dumps(value)
