"""A folder of results that somebody sent is not believed: what its plan names is checked before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsr.commands.cohort import plan
from medsr.commands.cohort.plan import CohortItem, CohortPlan
from medsr.commands.cohort.run import cohort, retry
from medsr.core.errors import UsageError
from tests.helpers.scans import smooth_volume

Record = dict[str, Any]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file beside the folder of results."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private/thesis.txt").write_text("years of work")
    return tmp_path / "private/thesis.txt"


@pytest.fixture
def received(tmp_path: Path) -> CohortPlan:
    """A folder of results with the plan of one scan that failed."""
    stored = np.rint(smooth_volume((24, 20, 10), 0)).astype(np.int16)
    (tmp_path / "in").mkdir()
    nib.Nifti1Image(stored, np.diag([1, 1, 2, 1])).to_filename(tmp_path / "in/s.nii.gz")
    out = tmp_path / "out"
    options = {"model": "cubic"}
    cohort_plan = CohortPlan(
        "volume", out, options, (CohortItem(str(tmp_path / "in/s.nii.gz"), str(out / "s.nii.gz")),)
    )
    cohort_plan.save()
    return cohort_plan


def _rewrite(received: CohortPlan, change: Callable[[Record], object]) -> None:
    path = received.hidden / "plan.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["units"][0].update(target=str(Path(record["out"]).parent / "private/thesis.txt")),
        lambda record: record["units"][0].update(target=f"{record['out']}/../private/thesis.txt"),
        lambda record: record["units"][0].update(target=f"{record['out']}/link/thesis.txt"),
        lambda record: record.update(id="../../../private"),
        lambda record: record.update(id=str(Path(record["out"]).parent / "private")),
        lambda record: record.update(units="all"),
        lambda record: record.update(units=[{"source": 1, "target": None}]),
        lambda record: record.update(options=[]),
        lambda record: record.update(skip_done="perhaps"),
        lambda record: record.update(command="rm"),
        lambda record: record.update(more=1),
        lambda record: record.update(items=record.pop("units")),
    ],
)
def test_a_plan_that_names_what_lies_elsewhere_is_refused(
    change: Callable[[Record], object], received: CohortPlan, victim: Path
) -> None:
    assert plan.load(received.out) == received
    (received.out / "link").symlink_to(victim.parent)
    _rewrite(received, change)
    with pytest.raises(UsageError):
        plan.load(received.out)
    with pytest.raises(UsageError):
        retry(received.out)


@pytest.mark.slow
def test_a_cohort_begun_anew_removes_nothing_that_an_old_plan_names(received: CohortPlan, victim: Path) -> None:
    _rewrite(received, lambda record: record.update(id="../../private"))
    cohort("volume", received.out.parent / "in", out=received.out, model="cubic")
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("name", ["../../private", "/tmp", "", "..", "0" * 12 + "\n"])
def test_the_name_of_the_plan_that_counts_is_a_name(name: str, received: CohortPlan, victim: Path) -> None:
    (received.out / ".cohort/current").write_text(name)
    with pytest.raises(UsageError):
        plan.load(received.out)
    with pytest.raises(UsageError):
        plan.load(received.out, name or "x")
    assert victim.exists()


def test_a_work_folder_that_is_a_link_is_not_followed(received: CohortPlan, victim: Path) -> None:
    (victim.parent / received.id).mkdir()
    (received.hidden / "plan.json").rename(victim.parent / received.id / "plan.json")
    received.hidden.rmdir()
    (received.out / ".cohort/current").rename(victim.parent / "current")
    (received.out / ".cohort").rmdir()
    (received.out / ".cohort").symlink_to(victim.parent)
    with pytest.raises(UsageError, match="not its own"):
        plan.load(received.out)
