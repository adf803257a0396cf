"""BIDS datasets through pybids: which images there are, and where their derivatives go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsr.core.errors import DependencyError, UsageError
from medsr.core.version import __version__
from medsr.io.files import read_text, write_text

DESCRIPTION = "dataset_description.json"
DESC = "SR"
# pybids' own pattern for derivatives of anatomical images, less what those of ours cannot have.
PATTERN = (
    "sub-{subject}[/ses-{session}]/{datatype}/sub-{subject}[_ses-{session}][_task-{task}][_acq-{acquisition}]"
    "[_ce-{ceagent}][_rec-{reconstruction}][_dir-{direction}][_run-{run}][_echo-{echo}][_part-{part}]"
    "[_inv-{inv}][_mod-{mod}][_space-{space}][_res-{res}][_chunk-{chunk}]_desc-{desc}_{suffix}{extension<.nii|.nii.gz>}"
)
IGNORED = ("*_preview.png", "*_report.html", "status.tsv", "cohort.html", ".cohort/")


def is_dataset(root: Path) -> bool:
    """Whether a folder is the root of a raw or derived BIDS dataset."""
    return (root / DESCRIPTION).is_file()


def find(root: Path, out: Path, suffixes: Sequence[str]) -> list[tuple[Path, Path]]:
    """Every NIfTI image with one of the suffixes (such as T1w), and its derivative's place.

    Raises UsageError where there is none; DependencyError without `medsr[cohort]`.
    """
    try:
        from bids import BIDSLayout
        from bids.layout.writing import build_path
    except ImportError as error:
        raise DependencyError(f"BIDS datasets need {error.name}: pip install 'medsr[cohort]'") from error
    layout = BIDSLayout(root, validate=True)
    images = layout.get(suffix=list(suffixes), extension=[".nii", ".nii.gz"])
    if not images:
        there = ", ".join(sorted(layout.get_suffixes(extension=[".nii", ".nii.gz"])))
        raise UsageError(f"{root}: no image of {', '.join(suffixes)} in this BIDS dataset (it has {there})")
    pairs = []
    for image in sorted(images, key=lambda image: image.path):
        entities = image.get_entities() | {"desc": DESC}
        name = build_path(entities, [PATTERN], strict=False)
        if name is None:
            raise UsageError(f"{image.path}: a name that BIDS derivatives have no place for")
        pairs.append((Path(image.path), out / name))
    return pairs


def describe(root: Path, out: Path, command: str) -> None:
    """`dataset_description.json` of the derivatives, and what of it is no BIDS."""
    source = _read_description(root)
    description = {
        "Name": f"Super-resolved: {source.get('Name', root.name)}",
        "BIDSVersion": source.get("BIDSVersion", "1.9.0"),
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "medsr", "Version": __version__, "Description": command}],
        "SourceDatasets": [{"URL": source["DatasetDOI"]}] if source.get("DatasetDOI") else [],
    }
    if source.get("License"):
        description["License"] = source["License"]
    write_text(out / DESCRIPTION, json.dumps(description, indent=2) + "\n")
    write_text(out / ".bidsignore", "\n".join(IGNORED) + "\n")


def _read_description(root: Path) -> dict[str, Any]:
    """What a dataset says of itself; nothing where that is damaged: its images are read all the same."""
    try:
        description = json.loads(read_text(root / DESCRIPTION))
    except (OSError, ValueError, RecursionError):
        return {}
    return description if isinstance(description, dict) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def check(root: Path, out: Path) -> None:
    """Raise UsageError where another dataset's description would be lost."""
    if out.resolve() == root.resolve():
        raise UsageError(f"`out={out}`: is the dataset itself; give a folder for its derivatives")
    if not (out / DESCRIPTION).is_file():
        return
    description = _read_description(out)
    generators = [entry.get("Name") for entry in _as_list(description.get("GeneratedBy")) if isinstance(entry, dict)]
    if generators != ["medsr"]:
        name = description.get("Name", "without a name")
        raise UsageError(f"`out={out}`: holds another dataset ({name}); choose another")
