"""Mutated files against one reader, in a process of its own: `python -m tests.fuzz.attack READER COUNT SEED`.

`python -m tests.fuzz.attack READER FILE... [-- READER FILE...]` reads those files, one after the other, under the same
limits.

Every input must end in a result or one of medsr's own errors, within 10 seconds and 1 GB more than the process has.
Prints one JSON line, with the seconds of one core; an input that ends otherwise is kept in the folder that
MEDSR_CRASHERS names, if it names one.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from itertools import groupby
from pathlib import Path
from types import FrameType

from medsr.core.errors import MedsrError
from tests.fuzz.readers import READERS

SECONDS, BYTES = 10, 1_000_000_000
LARGEST_SEED = 300_000
BUG = "this is a bug in medsr"
"""What batches say of an exception that nobody expected: they go on, but it counts here."""


class TooLong(BaseException):
    """Not an Exception: no reader may swallow it."""


def one(name: str, path: Path) -> str:
    """Read one file: `result`, `error`, or what went wrong."""
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        READERS[name].read(path)
        end = "result"
    except MedsrError as error:
        end = f"a bug, caught: {error}"[:300] if BUG in str(error) else "error"
    except TooLong:
        end = "took too long"
    except BaseException as problem:
        end = f"{type(problem).__name__}: {str(problem)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return end if time.monotonic() - began <= SECONDS else "took too long"


def seeds_of(name: str) -> dict[str, bytes]:
    """The reader's own seeds and the small real ones."""
    reader = READERS[name]
    seeds = reader.seeds() | reader.refused()
    if folder := os.environ.get("MEDSR_TEST_DATA"):
        for pattern in reader.real:
            for path in sorted(Path(folder).glob(pattern)):
                if path.stat().st_size <= LARGEST_SEED:
                    seeds.setdefault(path.name, path.read_bytes())
    return seeds


def attack(name: str, count: int, seed: int) -> dict[str, object]:
    """`count` mutated inputs; how they ended."""
    warnings.simplefilter("ignore")
    os.fsync = lambda _: None  # what is written here need not last
    began = sum(os.times()[:4])
    signal.signal(signal.SIGALRM, _too_long)
    seeds = seeds_of(name)
    with tempfile.TemporaryDirectory() as folder:
        for file, content in seeds.items():  # everything is imported before memory is counted
            Path(folder, file).write_bytes(content)
            one(name, Path(folder, file))
        _limit_memory()
        ends: Counter[str] = Counter()
        unexpected: list[str] = []
        rng = random.Random(f"{name} {seed}")
        names, others = list(seeds), list(seeds.values())
        for number in range(count):
            file = rng.choice(names)
            content = READERS[name].change(file, seeds[file], others, rng)
            path = Path(folder, file)
            path.write_bytes(content)
            if crashers := os.environ.get("MEDSR_CRASHERS"):  # should the process die, this is what it died of
                Path(crashers).mkdir(parents=True, exist_ok=True)
                Path(crashers, f"{name}-{seed}-last-{file}").write_bytes(content)
            end = one(name, path)
            ends["unexpected" if end not in ("result", "error") else end] += 1
            if end not in ("result", "error"):
                unexpected.append(f"{file} {number}: {end}")
                _keep(name, seed, number, file, content)
    _lift_memory_limit()
    return {
        "reader": name,
        "tried": count,
        **ends,
        "seconds": round(sum(os.times()[:4]) - began),
        "ends": unexpected[:20],
    }


def read_these(name: str, paths: list[Path]) -> None:
    """Print how each file ends, under the same limits, as soon as it has."""
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        for file, content in READERS[name].seeds().items():
            Path(folder, file).write_bytes(content)
            one(name, Path(folder, file))
    _limit_memory()
    for path in paths:
        print(one(name, path), flush=True)
    _lift_memory_limit()


def _keep(name: str, seed: int, number: int, file: str, content: bytes) -> None:
    if folder := os.environ.get("MEDSR_CRASHERS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}-{seed}-{number}-{file}").write_bytes(content)


def _limit_memory() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _lift_memory_limit() -> None:
    """For what the next kind of file imports."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _too_long(_: int, __: FrameType | None) -> None:
    raise TooLong


if __name__ == "__main__":
    if sys.argv[2].isdigit():
        for name in sys.argv[1].split(","):
            print(name, file=sys.stderr, flush=True)  # the last one is where a crash happened
            print(json.dumps(attack(name, int(sys.argv[2]), int(sys.argv[3]))), flush=True)
    else:
        for is_end, group in groupby(sys.argv[1:], "--".__eq__):
            if not is_end:
                name, *paths = group
                read_these(name, [Path(path) for path in paths])
