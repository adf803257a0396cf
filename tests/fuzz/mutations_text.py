"""What is changed in texts that medsr writes and reads back: values in JSON, lines of a journal, cells of a table."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.fuzz.mutations import mutated

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1e300, 2**63, "", "x", "0", "-1", "nan", "1e999", "x" * 3000),
    *("\ud800", "\0", "\x1b[2J", "../../x", "/", ".", "~", "a\nb", "=1+1", "auto", "cubic", "bicubic", "cuda", "all"),
    *([], {}, [None], [0, 0], [1, 2, 3], ["x"], {"x": 1}, [[]], {"": None}, [1e300] * 3, [-1, 2, 3], {"0": {"0": []}}),
    *("<deep>", "<digits>", "<infinite>", "<nan>"),
)
RAW = {"<deep>": "[" * 99_999, "<digits>": "9" * 5000, "<infinite>": "1e999", "<nan>": "NaN"}
"""What `json.dumps` does not write."""
CELLS = (
    "",
    "done",
    "failed",
    "1e999",
    "nan",
    "-1",
    "x" * 3000,
    '"',
    "'",
    "\0",
    "..",
    "/",
    "a\\x41",
    "\\",
    "é",
    "=1",
    "\r",
)


def changed_json(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four values replaced, moved, removed, named otherwise; or any bytes."""
    if rng.random() < 0.15:
        return mutated(content, others, rng)
    tree = json.loads(content)
    for _number in range(1 << rng.randrange(3)):
        tree = _changed(tree, rng)
    text = json.dumps(tree)
    for mark, raw in RAW.items():
        text = text.replace(f'"{mark}"', raw)
    return text.encode()


def changed_lines(file: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A line of JSON or several changed; lines gone, twice, in another order, cut."""
    if rng.random() < 0.1:
        return mutated(content, others, rng)
    lines = content.splitlines()
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(12)
        if kind <= 8 and lines[at].startswith((b"[", b"{")):
            try:
                lines[at] = changed_json(file, lines[at], others, rng)
            except (ValueError, RecursionError):  # was changed to no JSON before
                continue
        elif kind == 9:
            lines.append(lines[at])
        elif kind == 10 and len(lines) > 1:
            del lines[at]
        else:
            rng.shuffle(lines)
    return b"\n".join(lines) + b"\n" * rng.randrange(2)


def changed_table(_: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Cells replaced, removed, added, exchanged; rows gone, twice, in another order; or any bytes."""
    if rng.random() < 0.15:
        return mutated(content, others, rng)
    rows = [line.split("\t") for line in content.decode().splitlines()]
    for _number in range(1 << rng.randrange(3)):
        row = rng.choice(rows[1:] if len(rows) > 1 and rng.random() < 0.9 else rows)
        at = rng.randrange(len(row)) if row else 0
        kind = rng.randrange(9)
        if kind <= 3 and row:
            row[at] = rng.choice(CELLS)
        elif kind == 4 and row:
            row[at] = rng.choice(rng.choice(rows) or [""])
        elif kind == 5 and row:
            del row[at]
        elif kind == 6:
            row.insert(at, rng.choice(CELLS))
        elif kind == 7:
            rows.append(list(row))
        else:
            rows.remove(row) if len(rows) > 1 else row.clear()
    return "\n".join("\t".join(row) for row in rows).encode() + b"\n" * rng.randrange(2)


def changed_weights(file: str, content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Of safetensors mostly the header, and the JSON within its metadata; of a card beside them any bytes."""
    if not file.endswith(".safetensors") or rng.random() < 0.15:
        return mutated(content, others, rng)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    name = rng.choice(list(metadata))
    if metadata[name].startswith("{") and rng.random() < 0.7:
        metadata[name] = changed_json("", metadata[name].encode(), others, rng).decode(errors="replace")
        packed = json.dumps(header).encode()
    else:
        packed = changed_json("", content[8 : 8 + length], others, rng)
    return len(packed).to_bytes(8, "little") + packed + content[8 + length :]


def _changed(tree: Any, rng: random.Random) -> Any:
    places = list(_places(tree))
    if not places or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(ODD))
    holder, key = rng.choice(places)
    kind = rng.randrange(9)
    if kind <= 4:
        holder[key] = copy.deepcopy(rng.choice(ODD))
    elif kind == 5:
        there, name = rng.choice(places)
        holder[key] = copy.deepcopy(there[name])
    elif kind == 6:
        del holder[key]
    elif kind == 7 and isinstance(holder, dict):
        holder[rng.choice(("x", "", f"{key}x", "file", "name"))] = holder.pop(key)
    elif isinstance(holder[key], str):
        at = rng.randrange(len(holder[key]) + 1)
        holder[key] = holder[key][:at] + str(rng.choice(CELLS)) + holder[key][at + rng.randrange(3) :]
    else:
        holder[key] = rng.choice(([holder[key]], {"x": holder[key]}, str(holder[key])))
    return tree


def _places(tree: Any) -> Any:
    """Every (dict or list, key or index)."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])
