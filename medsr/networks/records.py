"""What this machine has recorded of weights: hashes of first downloads, and the user's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core.errors import WeightsError
from medsr.core.resources import home
from medsr.io.files import write_text

if TYPE_CHECKING:
    from filelock import FileLock


def held() -> FileLock:
    """Two processes that fetch at once must not lose each other's record."""
    from filelock import FileLock

    _file().parent.mkdir(parents=True, exist_ok=True)
    return FileLock(_file().with_suffix(".lock"), timeout=60)


def _file() -> Path:
    return home() / "weights" / "recorded.json"


def read() -> dict[str, dict[str, Any]]:
    """`hashes`: name to sha256; `own`: name to the fields of its entry. Raises WeightsError for a damaged file."""
    file = _file()
    if not file.is_file():
        return {"hashes": {}, "own": {}}
    try:
        records: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        _check(records)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: damaged; delete it and import or fetch the weights again") from error
    return records


def _check(records: object) -> None:
    """Raise ValueError where an entry is not as `write` was given it."""
    from pydantic import BaseModel, ConfigDict

    from medsr.io.confined import check_path

    class Own(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")
        name: str
        file: str
        role: str
        architecture: str
        scale: int | None
        licence: str
        source: str
        sha256: str
        size: int

    class Form(BaseModel):
        file: str
        sha256: str
        form: str

    class Records(BaseModel):
        hashes: dict[str, str]
        own: dict[str, Own]
        forms: dict[str, Form] = {}

    whole = Records.model_validate(records)
    files = [weights.file for weights in whole.own.values()] + [form.file for form in whole.forms.values()]
    for file in files:
        if check_path(file) != Path(file).name:
            raise ValueError(f"{file!r} is not the name of a file")


def write(records: dict[str, dict[str, Any]]) -> None:
    write_text(_file(), json.dumps(records, indent=1, sort_keys=True) + "\n")
