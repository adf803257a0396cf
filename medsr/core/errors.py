"""The errors medsr raises on purpose. Each carries the exit code the command line ends with."""

from __future__ import annotations


class MedsrError(Exception):
    """An expected failure: its message is one line that names the culprit and says what to do."""

    exit_code = 1


class UsageError(MedsrError):
    """The command line or the recipe is wrong."""

    exit_code = 2


class ChoiceError(UsageError):
    """One of several must be named; the message lists them in words that name nobody.

    `headline`, `choices`: the same for the terminal of who owns the files. A choice may hold free text of a header, so
    neither goes into any file.
    """

    def __init__(self, message: str, headline: str = "", choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.headline = headline or message
        self.choices = choices


class InputError(MedsrError):
    """An input file is unreadable or not what it claims to be."""

    exit_code = 3


class ArchiveError(InputError):
    """An archive cannot be reached, refuses, or does not answer with what was asked for."""


class WeightsError(MedsrError):
    """Weights are missing or do not match their checksum."""

    exit_code = 4


class BatchError(MedsrError):
    """A batch finished, but some of its inputs failed."""

    exit_code = 5


class MemoryExhaustedError(MedsrError):
    """Out of memory even at the smallest tile."""

    exit_code = 6


class DependencyError(MedsrError):
    """A required package is absent or cannot be loaded."""

    exit_code = 1


class ComputationError(MedsrError):
    """A network answered with what is no number: nothing of it may be written."""

    exit_code = 1


class TrainingError(MedsrError):
    """Training cannot go on: a loss is not finite, or the run's folder cannot be written or resumed."""

    exit_code = 1


class StoppedError(MedsrError):
    """Stopped by a signal, everything saved; the exit code is that of the signal."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
