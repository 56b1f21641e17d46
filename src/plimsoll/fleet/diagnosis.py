"""What a look at an installation found: one sentence each, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: `problem` keeps somebody from working, now or soon; `warning` is worth a look; `unknown` could not be looked at.
Verdict = Literal["problem", "warning", "unknown", "good"]
_ORDER: tuple[Verdict, ...] = ("problem", "warning", "unknown", "good")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`check` is a word for programs, which does not change; `remedy` is empty where there is nothing to do."""

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""


def in_order(found: Iterable[Diagnosis]) -> list[Diagnosis]:
    """What is worst comes first; of equals, what was looked at first."""
    return sorted(found, key=lambda one: _ORDER.index(one.verdict))
