"""What a processor gains by fewer bits: measured once for each kind of it, and the same for all processes."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from medsr.engines import speed

DIGEST = "d" * 64
SECONDS = {"fp32": 1.0, "int8": 0.5}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(speed, "_here", lambda: {"processor": "A"})
    assert speed.can_record(DIGEST)


def measure(monkeypatch: pytest.MonkeyPatch, fp32: float, int8: float, wanted: str = "auto") -> dict[str, float]:
    monkeypatch.setattr(speed, "seconds_of", lambda *_: [fp32, int8])
    return speed.measure(DIGEST, wanted, dict.fromkeys(SECONDS), {})  # type: ignore[arg-type]


def test_who_measures_second_takes_the_first_ones_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two workers of a cohort that begin together compute its scans in different precisions."""
    answers: list[dict[str, float]] = []
    second = Thread(target=lambda: answers.append(speed.measure(DIGEST, "auto", {}, {})))

    def measured(*_: Any) -> list[float]:
        second.start()
        second.join(0.2)
        assert not answers, "measured beside the first"
        return list(SECONDS.values())

    monkeypatch.setattr(speed, "seconds_of", measured)
    assert speed.measure(DIGEST, "auto", dict.fromkeys(SECONDS), {}) == SECONDS  # type: ignore[arg-type]
    second.join(10)
    assert answers == [SECONDS]


def test_processors_that_share_a_home_do_not_measure_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure(monkeypatch, 1.0, 0.89) == {"fp32": 1.0, "int8": 0.89}
    monkeypatch.setattr(speed, "_here", lambda: {"processor": "B"})
    assert speed.recorded(DIGEST, "auto") == {}
    assert measure(monkeypatch, 1.0, 0.5)["int8"] == 0.5
    monkeypatch.setattr(speed, "_here", lambda: {"processor": "A"})
    assert measure(monkeypatch, 1.0, 0.91)["int8"] == 0.89
    speed.forget(DIGEST)
    assert measure(monkeypatch, 1.0, 0.91)["int8"] == 0.91


def test_what_computes_fp32_is_measured_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure(monkeypatch, 1.0, 0.5)["fp32"] == 1.0
    assert measure(monkeypatch, 2.0, 0.5, "openvino")["fp32"] == 2.0
    assert speed.recorded(DIGEST, "auto")["fp32"] == 1.0


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "null", '{"on": 3}', "[" * 100_000),
        '{"on": {"processor": "A"}, "seconds": {"int8": "x"}}',
        '{"on": {"processor": "A"}, "seconds": {"int8": 0.5}}',
        '{"on": {"processor": "A"}, "seconds": {"fp32": 1' + "0" * 400 + "}}",
    ],
)
def test_a_damaged_record_is_measured_anew(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, 9.0, 9.0)
    [path] = (tmp_path / "home").rglob("speed-*.json")
    path.write_text(content)
    assert speed.recorded(DIGEST, "auto") == {}
    assert measure(monkeypatch, 1.0, 0.5) == SECONDS
    assert speed.recorded(DIGEST, "auto") == SECONDS
