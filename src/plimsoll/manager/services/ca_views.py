"""How the CA and its rotation are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.fleet.ca_rotation import Goal, Stand, judge
from plimsoll.manager.ca import Authority
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.services import ca_end
from plimsoll.manager.store import Connection
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.ca import LogRecord, MemberRecord, RotationRecord

#: How many entries of a rotation's log, and how many of the computers in the way, are shown.
LOGGED = 100
BEHIND = 100


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """One CA that is trusted. `key_hash` is what activation tokens carry; `advice` says what to do about its end, from
    a year before, and is empty else.
    """

    fingerprint: str
    key_hash: str
    not_before: float
    not_after: float
    issues: bool
    pem: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class MemberView:
    """One computer: `stand` is how far it is, `trusts` which CAs it says it trusts, `shown` the one whose certificate
    it last showed in a handshake.
    """

    computer: str
    name: str
    kind: str
    stand: str
    online: bool
    last_seen: float | None
    trusts: tuple[str, ...]
    shown: str

    @classmethod
    def of(cls, one: MemberRecord, stand: Stand) -> MemberView:
        trusts = tuple(filter(None, one.ca_trusts.split(",")))
        return cls(one.id, one.name, one.kind, stand.value, one.online, one.last_seen, trusts, one.ca_shown)


@dataclass(frozen=True, slots=True)
class RotationView:
    """A rotation as it stands. `stands` counts computers by `Stand`; `old_tokens` are activation tokens that name a CA
    which will not be trusted at the end.
    """

    id: int
    created: float
    who: str
    state: str
    entered: float
    soaked: float
    soak: float
    by_itself: bool
    old: str
    new: str
    text: str
    stands: Mapping[str, int]
    behind: tuple[MemberView, ...]
    old_tokens: int
    reasons: Mapping[str, str] = field(default_factory=dict)
    ended: float | None = None
    log: tuple[LogRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CaView:
    authorities: tuple[AuthorityView, ...]
    rotation: RotationView | None


def goal_of(record: RotationRecord | None, standing: Standing) -> Goal:
    """What is wanted of everybody now."""
    if record is not None and record.state in (table.SWITCH, table.BACK):
        return Goal(shown=standing.issuing.fingerprint)
    return Goal(trusts=",".join(standing.fingerprints))


def view(connection: Connection, standing: Standing, record: RotationRecord | None, now: float) -> CaView:
    rotating = record is not None and record.state in table.OPEN
    shown = tuple(
        _authority(one, one is standing.issuing, ca_end.advice(one, now, rotating=rotating)) for one in standing.trusted
    )
    return CaView(shown, None if record is None else _rotation(connection, standing, record, now))


def _authority(one: Authority, issues: bool, advice: str) -> AuthorityView:
    certificate = one.certificate
    return AuthorityView(
        one.fingerprint,
        one.key_hash,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        issues,
        one.certificate_pem,
        advice,
    )


def _rotation(connection: Connection, standing: Standing, record: RotationRecord, now: float) -> RotationView:
    goal = goal_of(record, standing)
    behind = table.without(connection, trusts=goal.trusts, shown=goal.shown, limit=BEHIND)
    before = now + 1.0 if record.switched is None else record.switched
    tokens = table.tokens_before(connection, before, now) if record.state in (table.ANNOUNCE, table.SWITCH) else 0
    return RotationView(
        id=record.id,
        created=record.created,
        who=record.who,
        state=record.state,
        entered=record.entered,
        soaked=record.soaked,
        soak=record.options["soak"],
        by_itself=record.options["by_itself"],
        old=record.old,
        new=record.new,
        text=record.text,
        stands={stand.value: count for stand, count in judge(goal, table.counts(connection)).counts.items()},
        behind=tuple(MemberView.of(one, goal.stand(one.fact)) for one in behind),
        old_tokens=tokens,
        reasons=record.options["reasons"],
        ended=record.ended,
        log=table.logs(connection, record.id, LOGGED),
    )
