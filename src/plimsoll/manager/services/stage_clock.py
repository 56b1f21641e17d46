"""How long a stage of durable work has lasted, by a clock that cannot jump, and whether the wall clock did."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

#: A step of the wall clock that is more than this beside the steady one is a jump, in seconds.
JUMP = 5.0


@dataclass(slots=True)
class _Stage:
    key: Hashable
    soaked: float
    steady: float
    wall: float
    noted: float = 0.0


class StageClock:
    """In memory alone: after a restart a stage goes on from the soak that was stored. `steady` cannot jump."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.steady = steady
        self._stage: _Stage | None = None

    def idle(self) -> None:
        """There is no stage."""
        self._stage = None

    def follow(self, key: Hashable, soaked: float, now: float, *, counts: bool) -> bool:
        """Call at every look. The time since the last one is soak where it `counts`. True where the wall clock jumped.

        `key` says which stage this is; of a new one, `soaked` seconds were stored.
        """
        steady, stage = self.steady(), self._stage
        if stage is None or stage.key != key:
            self._stage = _Stage(key, soaked, steady, now)
            return False
        passed = steady - stage.steady
        jumped = abs((now - stage.wall) - passed) > JUMP
        stage.steady, stage.wall = steady, now
        if counts and not jumped:
            stage.soaked += passed
        return jumped

    @property
    def looked(self) -> float:
        """The steady clock's time at the last look, in seconds."""
        return self._now().steady

    @property
    def soaked(self) -> float:
        """How long the stage has soaked, in seconds."""
        return self._now().soaked

    def begin_anew(self) -> None:
        """The soak of this stage begins again."""
        self._now().soaked = 0.0

    def due(self, every: float) -> bool:
        """Whether figures were last noted that long ago; they are now."""
        stage = self._now()
        if stage.steady - stage.noted < every:
            return False
        stage.noted = stage.steady
        return True

    def _now(self) -> _Stage:
        assert self._stage is not None, "the stage is followed before anybody asks"
        return self._stage
