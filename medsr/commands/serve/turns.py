"""Whose turn it is: nobody who asks for much delays those who ask for little."""

from __future__ import annotations


class Turns:
    """Start-time fair queueing (Goyal et al. 1996), everything counted alike.

    A user's k-th waiting request comes after every other user's k-th.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._last: dict[str, float] = {}

    def take(self, user: str) -> float:
        """A new turn of this user's: the lower, the earlier."""
        turn = self._last[user] = max(self._now, self._last.get(user, -1.0) + 1)
        return turn

    def reach(self, turn: float) -> None:
        """This turn begins."""
        self._now = max(self._now, turn)
        self._last = {user: last for user, last in self._last.items() if last >= self._now}
