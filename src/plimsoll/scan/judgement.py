"""Verdicts with three values: what is not proved is neither a pass nor a failure."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Verdict(enum.Enum):
    """What a rule, a whole profile, or a profile over many endpoints comes to."""

    HOLDS = "holds"
    NOT_PROVED = "not proved"
    FAILS = "does not hold"

    @classmethod
    def of_all(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """One failure fails all, else one open question leaves all open; of none at all, nothing is proved."""
        seen = set(verdicts)
        if cls.FAILS in seen:
            return cls.FAILS
        return cls.HOLDS if seen == {cls.HOLDS} else cls.NOT_PROVED


class Judgement:
    """Grows while a check looks. `fail` and `leave_open` take the reason, `note` what speaks for it."""

    __slots__ = ("_failed", "_noted", "_open")

    def __init__(self) -> None:
        self._failed: dict[str, None] = {}
        self._open: dict[str, None] = {}
        self._noted: dict[str, None] = {}

    def fail(self, reason: str) -> None:
        self._failed[reason] = None

    def leave_open(self, reason: str) -> None:
        self._open[reason] = None

    def note(self, reason: str) -> None:
        self._noted[reason] = None

    @property
    def verdict(self) -> Verdict:
        """What failed outweighs what is open, and what is open outweighs the rest."""
        if self._failed:
            return Verdict.FAILS
        return Verdict.NOT_PROVED if self._open else Verdict.HOLDS

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for the verdict, and for a failure what is open besides."""
        return (*self._failed, *self._open) if self._failed or self._open else tuple(self._noted)
