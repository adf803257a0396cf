"""The authors' programs as oracles, where they can be installed."""

from __future__ import annotations

import pytest

from medsr.networks import upstream

needs_upstream = pytest.mark.skipif(
    not upstream.is_installed("basicsr"), reason=f"the oracle is absent: {upstream.why_absent('basicsr')}"
)
"""For tests that compare with basicsr or realesrgan."""
