"""A fault script: what goes wrong for a simulated fleet, from which second on, for how long, and for how many.

It is TOML, so that a run can be repeated and kept beside its figures::

    [[fault]]
    at = 30.0          # seconds after the start
    for = 10.0         # seconds
    kind = "delay"     # drop, delay, half-open, reset or skew
    share = 0.2        # of the attempts (of the agents, for skew)
    seconds = 1.5      # delay: how long; skew: how far, and which way, the clock is off
"""

from __future__ import annotations

import enum
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: No script lasts longer than a simulation may.
LONGEST = 86_400.0
#: More lines than this are a mistake.
MOST = 1_000


class FaultKind(enum.Enum):
    """What happens to an attempt: its connection ends after the hello; it waits between handshake and request; another
    connection of the same agent says nothing and stays; it ends by a reset in the middle of the request; or the
    agent's clock is off.
    """

    DROP = "drop"
    DELAY = "delay"
    HALF_OPEN = "half-open"
    RESET = "reset"
    SKEW = "skew"


#: The kinds that need `seconds`.
_WITH_SECONDS = (FaultKind.DELAY, FaultKind.SKEW)


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the script. Times in seconds; `share` from 0 to 1."""

    at: float
    lasts: float
    kind: FaultKind
    share: float = 1.0
    seconds: float = 0.0

    def holds(self, elapsed: float) -> bool:
        return self.at <= elapsed < self.at + self.lasts

    def as_data(self) -> dict[str, Any]:
        """As it stands in a script."""
        found = {"at": self.at, "for": self.lasts, "kind": self.kind.value, "share": self.share}
        return found | ({"seconds": self.seconds} if self.kind in _WITH_SECONDS else {})


class FaultScript:
    """Pure: the time since the start and the chance are arguments."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults = tuple(faults)

    def drawn(self, elapsed: float, rng: random.Random) -> Fault | None:
        """What happens to an attempt that begins now: the first line of the script that holds and hits it."""
        for fault in self.faults:
            if fault.kind is not FaultKind.SKEW and fault.holds(elapsed) and rng.random() < fault.share:
                return fault
        return None

    def skew(self, elapsed: float, agent: int) -> float:
        """How far that agent's clock is off now, in seconds: the same agents as long as the fault lasts."""
        place = (agent * 2_654_435_761 % 4_294_967_296) / 4_294_967_296  # Knuth's multiplicative hash
        return sum(
            fault.seconds
            for fault in self.faults
            if fault.kind is FaultKind.SKEW and fault.holds(elapsed) and place < fault.share
        )


def read_script(path: Path) -> FaultScript:
    """The script in that file. Raises ValueError, which names the line of the script that cannot be."""
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    alien = sorted(set(data) - {"fault"})
    if alien:
        raise ValueError(f"{path}: {alien[0]!r} is not known here; a script is a list of [[fault]]")
    try:
        return parse_script(data.get("fault", []))
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None


def parse_script(lines: object) -> FaultScript:
    """The script of these lines, as TOML or JSON gives them. Raises ValueError."""
    if not isinstance(lines, list) or len(lines) > MOST:
        raise ValueError(f"a script is a list of at most {MOST:,} [[fault]]")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_fault(line))
        except ValueError as error:
            raise ValueError(f"fault {number}: {error}") from None
    return FaultScript(found)


def _fault(line: object) -> Fault:
    if not isinstance(line, dict):
        raise ValueError("expected names with values")  # noqa: TRY004 - whoever wrote the script gets one kind of error
    alien = sorted(set(line) - {"at", "for", "kind", "share", "seconds"})
    if alien:
        raise ValueError(f"{alien[0]!r} is not known here; valid are at, for, kind, share and seconds")
    kinds = ", ".join(kind.value for kind in FaultKind)
    if line.get("kind") not in {kind.value for kind in FaultKind}:
        raise ValueError(f"kind is {line.get('kind')!r}; valid are {kinds}")
    kind = FaultKind(line["kind"])
    if kind not in _WITH_SECONDS and "seconds" in line:
        raise ValueError(f"{kind.value} has no seconds")
    most = LONGEST if kind is FaultKind.DELAY else 1e9
    seconds = _number(
        line, "seconds", -1e9 if kind is FaultKind.SKEW else 0.0, most, None if kind in _WITH_SECONDS else 0.0
    )
    return Fault(
        at=_number(line, "at", 0.0, LONGEST),
        lasts=_number(line, "for", 0.0, LONGEST),
        kind=kind,
        share=_number(line, "share", 0.0, 1.0, 1.0),
        seconds=seconds,
    )


def _number(line: dict[str, Any], name: str, least: float, most: float, default: float | None = None) -> float:
    value = line.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}; it must be a number from {least:g} to {most:g}")
    return float(value)
