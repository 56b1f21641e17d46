"""What changed between two scans: what became open, what closed, what else is new, and what is no longer proved.

Lists are compared only where both scans asked for them. That something is missing from a list counts as closed only
where the new list is proved to be whole.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from plimsoll.scan.report import CertificateReport, EndpointReport, Features, Outcome, Preference, State, VersionReport
from plimsoll.scan.reports.text import day, plural, printable
from plimsoll.tls.versions import Version


class Kind(enum.Enum):
    """Which way a change goes."""

    #: Accepted now, and it was not: the endpoint is weaker, or there is more of it.
    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"
    #: It was known, and is not any more.
    UNPROVED = "unproved"


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `subject` says what it is about: "version", "suite", "group", "certificate", ..."""

    kind: Kind
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One endpoint's changes. `known` is False where the earlier scan has no report of it."""

    known: bool
    changes: tuple[Change, ...] = ()


_SPOKEN: Final = (State.COMPLETE, State.INCOMPLETE)
_SAID: Final = {
    Outcome.ACCEPTED: "accepted",
    Outcome.REFUSED: "refused",
    Outcome.INCONCLUSIVE: "not proved",
    Outcome.NOT_ASKED: "not asked for",
}


def compare(old: EndpointReport | None, new: EndpointReport) -> Difference:
    """What changed at one endpoint."""
    if old is None:
        return Difference(False)
    if old.state not in _SPOKEN or new.state not in _SPOKEN:
        return Difference(True, tuple(_of_state(old, new)))
    found = [*_of_versions(old, new)]
    found += _of_certificates(old.certificates, new.certificates)
    found += _of_features(old.features, new.features)
    return Difference(True, tuple(found))


def _of_state(old: EndpointReport, new: EndpointReport) -> Iterator[Change]:
    if old.state is new.state:
        return
    text = f"{new.state.value}{f' ({new.note})' if new.note else ''}, was {old.state.value}"
    if new.state in _SPOKEN:
        labels = ", ".join(version.label for version in new.accepted)
        yield Change(Kind.OPENED, "endpoint", f"speaks TLS{f' ({labels})' if labels else ''}, was {old.state.value}")
    elif old.state in _SPOKEN:
        yield Change(Kind.UNPROVED, "endpoint", text)
    else:
        yield Change(Kind.CHANGED, "endpoint", text)


def _of_versions(old: EndpointReport, new: EndpointReport) -> Iterator[Change]:
    for version in Version:
        before, after = old.versions.get(version), new.versions.get(version)
        if before is None or after is None or Outcome.NOT_ASKED in (before.outcome, after.outcome):
            continue
        if before.outcome is not after.outcome:
            text = f"{version.label} is {_SAID[after.outcome]}, was {_SAID[before.outcome]}"
            if after.outcome is Outcome.INCONCLUSIVE and after.evidence:
                text += f": {'; '.join(after.evidence)}"
            yield Change(_turned(after.outcome), "version", text)
        elif after.outcome is Outcome.ACCEPTED:
            yield from _within(before, after, old.mode == new.mode)


def _turned(after: Outcome) -> Kind:
    return {Outcome.ACCEPTED: Kind.OPENED, Outcome.REFUSED: Kind.CLOSED}.get(after, Kind.UNPROVED)


def _within(before: VersionReport, after: VersionReport, same_mode: bool) -> Iterator[Change]:
    """Changes within a version that both scans found accepted."""
    label = after.version.label
    first, second = [suite.name for suite in before.suites], [suite.name for suite in after.suites]
    if before.suites_complete or after.suites_complete:
        yield from _lists("suite", label, first, second, before.suites_complete, after.suites_complete)
        kept = set(first) & set(second)
        ordered = before.preference is after.preference is Preference.SERVER
        if ordered and [name for name in first if name in kept] != [name for name in second if name in kept]:
            yield Change(Kind.CHANGED, "order", f"{label}: the server's order of suites is another one")
    elif same_mode and first[:1] != second[:1]:
        yield Change(Kind.CHANGED, "suite", f"{label} prefers {_first(second)}, was {_first(first)}")
    if Preference.INDETERMINATE not in (before.preference, after.preference) and (
        before.preference is not after.preference
    ):
        text = f"{label}: the {after.preference.value}'s order counts, was the {before.preference.value}'s"
        yield Change(Kind.CHANGED, "order", text)
    if before.groups_complete or after.groups_complete:
        named = [group.name for group in before.groups], [group.name for group in after.groups]
        yield from _lists("group", label, *named, before.groups_complete, after.groups_complete)


def _first(names: Sequence[str]) -> str:
    return names[0] if names else "none that is known"


def _lists(
    subject: str, label: str, before: Sequence[str], after: Sequence[str], was_whole: bool, is_whole: bool
) -> Iterator[Change]:
    """What is in one list and not in the other; a list that is not whole says nothing of what it lacks."""
    if was_whole:
        for name in after:
            if name not in before:
                yield Change(Kind.OPENED, subject, f"{label} accepts {name}")
    missing = [name for name in before if name not in after]
    for name in missing:
        if is_whole:
            yield Change(Kind.CLOSED, subject, f"{label} does not accept {name} any more")
        else:
            text = f"{label}: {name} was not seen, and the list is not proved to be whole"
            yield Change(Kind.UNPROVED, subject, text)


def _of_certificates(before: Sequence[CertificateReport], after: Sequence[CertificateReport]) -> Iterator[Change]:
    known = {leaf.fingerprint: leaf for leaf in before}
    seen = {leaf.fingerprint for leaf in after}
    for leaf in after:
        was = known.get(leaf.fingerprint)
        if was is None:
            yield Change(Kind.CHANGED, "certificate", f"new certificate {_named(leaf)}")
        elif was.trust != leaf.trust:
            yield Change(Kind.CHANGED, "certificate", f"certificate {_named(leaf)}: {leaf.trust}, was {was.trust}")
    if after:
        for leaf in before:
            if leaf.fingerprint not in seen:
                yield Change(Kind.CHANGED, "certificate", f"certificate {_named(leaf)} is not served any more")


def _named(leaf: CertificateReport) -> str:
    until = f", until {day(leaf.not_after)}" if leaf.not_after else ""
    return f"{leaf.subject or 'without a subject'} ({leaf.fingerprint[:16]}{until})"


def _of_features(before: Features, after: Features) -> Iterator[Change]:
    for name in Features.__dataclass_fields__:
        was, now = getattr(before, name), getattr(after, name)
        if was == now or was in (None, (), {}, "") or now in (None, (), {}, ""):
            continue
        yield Change(Kind.CHANGED, "feature", f"{name.replace('_', ' ')}: {_value(now)}, was {_value(was)}")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
    return str(value)


def exit_code(kinds: Iterable[Kind]) -> int:
    """3 where something became open, else 4 where something is no longer proved, else 0."""
    seen = set(kinds)
    if Kind.OPENED in seen:
        return 3
    return 4 if Kind.UNPROVED in seen else 0


_MARKS: Final = {
    Kind.OPENED: ("+", "\x1b[31m"),
    Kind.CLOSED: ("-", "\x1b[32m"),
    Kind.CHANGED: ("~", ""),
    Kind.UNPROVED: ("?", "\x1b[33m"),
}


class DiffWriter:
    """The readable form: the endpoints that changed, a line for each change, and what was compared."""

    def __init__(self, out: IO[str], *, colour: bool) -> None:
        self._out = out
        self._colour = colour
        self._same = 0
        self._changed = 0
        self._new = 0

    def add(self, target: str, difference: Difference) -> None:
        """One endpoint; nothing is written where nothing changed."""
        if not difference.known:
            self._new += 1
            self._out.write(f"{printable(target)}\n  ! not in the earlier scan\n")
            return
        if not difference.changes:
            self._same += 1
            return
        self._changed += 1
        self._out.write(f"{printable(target)}\n")
        for change in difference.changes:
            mark, colour = _MARKS[change.kind]
            text = f"  {mark} {printable(change.text)}"
            self._out.write(f"{colour}{text}\x1b[0m\n" if self._colour and colour else f"{text}\n")

    def end(self, gone: Iterable[str], since: str) -> None:
        """`gone` are the endpoints that only the earlier scan has, `since` says when that was."""
        missing = 0
        for target in gone:
            missing += 1
            self._out.write(f"{printable(target)}\n  ! only in the earlier scan\n")
        self._out.write(
            f"{plural(self._same + self._changed, 'endpoint')} compared with the scan of {since}: {self._changed} "
            f"changed, {self._same} the same; {self._new} new, {missing} not scanned this time\n"
        )
