"""The question before every raise: who would be cut off (R12)?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from plimsoll.fleet.parts import Fleet
from plimsoll.fleet.preflight import Preflight, judge
from plimsoll.manager.ports import BadInput, Blocked, Forbidden, Principal
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: How many names a message lists; the preflight itself has them all.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Consent:
    """`force` goes on although parts would be cut off, and needs a reason that is kept."""

    force: bool = False
    reason: str | None = None

    def checked(self) -> Consent:
        reason = (self.reason or "").strip() or None
        if self.force and reason is None:
            raise BadInput("a raise is forced only with a reason, which is kept and shown; nothing was changed")
        return Consent(self.force, reason)


@dataclass(frozen=True, slots=True)
class Judged:
    """A raise that may go on. `forced` where blockers, in `named`, were overridden."""

    preflight: Preflight | None
    forced: bool = False
    named: tuple[str, ...] = ()


def judge_raise(fleet: Callable[[], Fleet], target: Version, raised: Collection[Point], consent: Consent) -> Judged:
    """Raises Blocked where parts would be cut off and nobody consented."""
    if not raised:
        return Judged(None)
    preflight = judge(fleet(), target, raised)
    named = tuple(dict.fromkeys(finding.who for finding in preflight.blockers))
    if not preflight.blocked:
        return Judged(preflight)
    if not consent.force:
        points = ", ".join(point.value for point in preflight.points)
        raise Blocked(
            f"raising {points} to {target} would cut off {some_of(named)}; nothing was changed."
            " Upgrade them, or force it with a reason",
            preflight,
        )
    return Judged(preflight, True, named)


def check_seen(preflight: Preflight | None, seen: Collection[str] | None, kept: str = "nothing was changed") -> None:
    """A force reaches no further than the names that were shown. `seen` are the ids of the findings that whoever asks
    saw (None: nobody was shown any, and nobody is held to them), `kept` says what stays as it was.

    Raises Blocked where somebody would be cut off who is not among them.
    """
    if seen is None or preflight is None:
        return
    known = frozenset(seen)
    new = [one.who for one in (*preflight.blockers, *preflight.affected) if one.id not in known]
    if new:
        raise Blocked(
            f"{some_of(new)} would be cut off too, and stood in no list that you were shown; {kept}."
            " Look at the names again",
            preflight,
        )


def some_of(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def check_not_locked_out(principal: Principal, gui_before: Version, gui_after: Version) -> None:
    """A session or key that is itself below the new floor of 4119 may not raise it: it could not take it back."""
    if gui_after > gui_before and principal.tls is not None and principal.tls < gui_after:
        raise Forbidden(
            f"your own connection uses {principal.tls} and would be refused at floor {gui_after}; nothing was changed."
            " Connect with a newer version, or do it on the manager's computer"
        )
