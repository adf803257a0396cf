from __future__ import annotations

import json
import subprocess
import sys

import pytest

from medsr.networks.architectures import DISCRIMINATORS, GENERATORS


@pytest.mark.slow
def test_everything_a_recipe_may_name_is_listed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medsr", "models", "--json"], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert {row["name"] for row in found} == {entry.name for entry in (*GENERATORS, *DISCRIMINATORS)}
    by_name = {(one["name"], one["scale"]): one for one in found}
    assert by_name["rrdb", 4]["parameters"] == 16_697_987
    # A multiply-add for every weight and low-resolution pixel, and the layers after enlarging.
    assert 1.0e12 < by_name["rrdb", 4]["operations"] < 1.2e12
    assert by_name["srresnet", 3]["parameters"] == 1_586_389
    assert all(one["source"] and one["operations"] > 0 for one in found)
