from __future__ import annotations

import json

from medsr.report.json_text import json_text


def test_lists_of_numbers_stay_on_one_line_and_nothing_is_lost() -> None:
    value = {
        "spacing": [0.5, 0.5, 4],
        "motion": [[1.0, 0.0], [0.0, 1.0]],
        "none": {},
        "scans": [{"name": "a"}],
        "x": None,
    }
    text = json_text(value)
    assert json.loads(text) == value
    assert text.splitlines()[1:5] == [
        '  "spacing": [0.5, 0.5, 4],',
        '  "motion": [',
        "    [1.0, 0.0],",
        "    [0.0, 1.0]",
    ]
