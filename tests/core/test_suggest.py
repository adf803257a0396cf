"""Names that are nearly right."""

from __future__ import annotations

from typing import Any

import pytest

import medsr
from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean


def test_the_nearest_name_or_none() -> None:
    assert did_you_mean("LANCOS", ["bicubic", "lanczos"]) == "; did you mean 'lanczos'?"
    assert did_you_mean("xyz", ["bicubic", "lanczos"]) == ""


def test_all_names_that_begin_as_typed() -> None:
    names = ["eye-x2", "eye-x4", "chest-x2", *(f"mri-{n}" for n in range(5))]
    assert did_you_mean("eye", names) == "; did you mean 'eye-x2' or 'eye-x4'?"
    assert did_you_mean("eye-x", [*names, "eye-x8"]) == "; did you mean 'eye-x2', 'eye-x4' or 'eye-x8'?"
    assert " or " not in did_you_mean("mri-", names)  # too many: the nearest alone


@pytest.mark.parametrize(
    ("function", "options", "meant"),
    [
        ("upscale", {"model": "lanczoss"}, "lanczos"),
        ("upscale", {"engine": "openvinno"}, "openvino"),
        ("upscale", {"device": "cudaa"}, "cuda"),
        ("upscale", {"device": "gpux"}, "gpu"),
        ("volume", {"kind": "lables"}, "labels"),
        ("volume", {"fuse": "meen"}, "mean"),
        ("volume", {"planes": "axal"}, "axial"),
    ],
)
def test_every_value_that_is_nearly_right_is_named(
    function: str, options: dict[str, Any], meant: str, tmp_path: Any
) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        getattr(medsr, function)(tmp_path / "a.png", tmp_path / "out", **options)


def test_benchmarks_and_exports(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'folder'"):
        medsr.evaluate("foldr", tmp_path)
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        medsr.export("medsr-retina-x2", "openvio")
