"""Notifications out: syslog receivers and webhooks that are told of events, each from where it stands.

Rules of this file: an event is told at least once and in order; a target that does not take it keeps its place and
holds up nobody else; what signs a webhook is shown once and never stands in an answer, an audit entry or a log.
"""

from __future__ import annotations

import base64
import functools
import secrets
import ssl
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.notify.formats import FACILITIES, SECRET_PREFIX
from plimsoll.manager.notify.senders import DeliveryError, Sender, sender_for
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import events as numbers_of
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import LEVELS, EventView, NewEvent, event_view
from plimsoll.manager.store import Connection
from plimsoll.manager.store import events as event_table
from plimsoll.manager.store import notifications as table
from plimsoll.manager.store.notifications import TargetRecord

SYSLOG = "syslog"
WEBHOOK = "webhook"
TRANSPORTS = ("tls", "tcp", "udp")
#: RFC 5425 §4.1 and RFC 5426 §3.3; plain TCP has no port of its own, 601 is the one of RFC 3195.
PORTS: Mapping[str, int] = {"tls": 6514, "tcp": 601, "udp": 514}
FORMS = ("cef", "text")
#: How many events one delivery carries.
PAGE = 100
#: A target that failed for so long is told of as an event, in seconds.
PATIENCE = 60.0
_MOST = 20
_NAME = 100
_LONGEST_CA = 1 << 20


@dataclass(frozen=True, slots=True)
class TargetView:
    """`waiting` counts events after the last that arrived; `problem` is why the last delivery failed, if it did."""

    id: int
    name: str
    kind: str
    settings: dict[str, Any]
    level: str
    numbers: tuple[int, ...]
    active: bool
    created: float
    who: str
    delivered: float | None
    failing_since: float | None
    problem: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new target and, for a webhook, the secret that signs it: shown this once."""

    target: TargetView
    secret: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """What a target is to be told next; with no events everything up to `cursor` was not wanted there."""

    target: TargetRecord
    events: tuple[EventView, ...]
    cursor: int


class NotificationsService:
    def __init__(self, core: Core, sender: Callable[[str, TargetRecord], Sender] = sender_for) -> None:
        self._core = core
        self._sender = functools.partial(sender, core.home.installation)

    @permits(Permission.NOTIFICATIONS_READ)
    def list(self, principal: Principal) -> tuple[TargetView, ...]:
        return self._core.store.read(lambda c: tuple(_view(c, one) for one in table.find(c)))

    @permits(Permission.NOTIFICATIONS_CHANGE)
    def add(
        self,
        principal: Principal,
        *,
        name: str,
        kind: str,
        settings: Mapping[str, Any],
        level: str = "info",
        numbers: Sequence[int] = (),
    ) -> Made:
        """Told from the next event on. Raises BadInput, Conflict; nothing was changed then."""
        called = _name(name)
        checked = _settings(kind, settings)
        wanted = _numbers(numbers)
        _level(level)
        secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode() if kind == WEBHOOK else ""

        def work(unit: Unit) -> TargetView:
            known = table.find(unit.connection)
            if len(known) >= _MOST:
                raise Conflict(f"there are {_MOST} targets already; remove one first. Nothing was changed")
            _check_free(known, called, None)
            identifier = table.add(
                unit.connection, name=called, kind=kind, settings=checked, secret=secret, level=level, numbers=wanted,
                active=True, cursor=table.newest_event(unit.connection), created=unit.now, who=principal.who,
                problem="", told=False,
            )  # fmt: skip
            made = _known(unit.connection, identifier)
            unit.audit(principal, "notifications.add", called, None, _said(made))
            return _view(unit.connection, made)

        return Made(self._core.write(work), secret or None)

    @permits(Permission.NOTIFICATIONS_CHANGE)
    def change(
        self,
        principal: Principal,
        target: int,
        *,
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
        level: str | None = None,
        numbers: Sequence[int] | None = None,
        active: bool | None = None,
        skip: bool = False,
    ) -> TargetView:
        """What is None stays. A target that is switched on again is told what it missed, unless `skip` leaves that out.

        Raises as `add`, and NotFound.
        """
        if level is not None:
            _level(level)

        def work(unit: Unit) -> TargetView:
            found = _known(unit.connection, target)
            values: dict[str, Any] = {}
            if name is not None:
                values["name"] = _name(name)
                _check_free(table.find(unit.connection), values["name"], target)
            if settings is not None:
                values["settings"] = _settings(found.kind, {**found.settings, **settings})
            if level is not None:
                values["level"] = level
            if numbers is not None:
                values["numbers"] = _numbers(numbers)
            if active is not None:
                values |= {"active": active, "failing_since": None, "problem": "", "told": False}
            if skip:
                values["cursor"] = table.newest_event(unit.connection)
            if not values:
                raise BadInput(
                    "say what is to change: name, settings, level, numbers, active, skip; nothing was changed"
                )
            table.save(unit.connection, target, **values)
            changed = _known(unit.connection, target)
            unit.audit(principal, "notifications.change", found.name, _said(found), _said(changed))
            return _view(unit.connection, changed)

        return self._core.write(work)

    @permits(Permission.NOTIFICATIONS_CHANGE)
    def remove(self, principal: Principal, target: int) -> None:
        """What had not arrived there stays an event, and is told nobody else."""

        def work(unit: Unit) -> None:
            found = _known(unit.connection, target)
            table.remove(unit.connection, target)
            unit.audit(principal, "notifications.remove", found.name, _said(found), None)

        self._core.write(work)

    @permits(Permission.NOTIFICATIONS_CHANGE)
    def trial(self, principal: Principal, target: int) -> str:
        """Sends an event that was made up for it; what the receiver answered. Raises Conflict where it fails."""
        found = self._core.store.read(lambda c: _known(c, target))
        text = f"a trial by {principal.name}: if you read this, notifications of Plimsoll arrive here"
        event = EventView(1, self._core.clock(), 0, "Trial", "info", text, None, "", "manager", {"trial": True})
        sender = self._sender(found)
        try:
            return sender.send([event])
        except DeliveryError as error:
            raise Conflict(f"{found.name}: {error}; nothing was changed") from None
        finally:
            sender.close()

    @internal
    def sender(self, target: TargetRecord) -> Sender:
        """What carries events there; it may keep a connection, and is closed by who asked for it."""
        return self._sender(target)

    @internal
    def targets(self) -> tuple[TargetRecord, ...]:
        """Those that are switched on."""
        return self._core.store.read(lambda c: tuple(one for one in table.find(c) if one.active))

    @internal
    def due(self, target: TargetRecord, cursor: int) -> Due | None:
        """What comes after `cursor` for that target, in order; None where nothing has happened since."""

        def work(connection: Connection) -> tuple[event_table.EventRecord, ...]:
            stored = table.get(connection, target.id)
            # The stored place is ahead only where somebody chose to leave out what waits.
            after = cursor if stored is None else max(cursor, stored.cursor)
            return event_table.find(connection, after=after, limit=PAGE)

        page = self._core.store.read(work)
        if not page:
            return None
        least = LEVELS.index(target.level)
        wanted = tuple(
            event_view(one)
            for one in page
            if (not target.numbers or one.number in target.numbers) and _rank(one.level) >= least
        )
        return Due(target, wanted, page[-1].id)

    @internal
    def arrived(self, target: TargetRecord, cursor: int, told: bool) -> bool:
        """It has everything up to `cursor`. False where the target was removed meanwhile."""

        def work(unit: Unit) -> bool:
            values: dict[str, Any] = {"cursor": cursor}
            if told:
                values |= {"delivered": unit.now, "failing_since": None, "problem": "", "told": False}
            found = table.get(unit.connection, target.id)
            if found is None:
                return False
            table.save(unit.connection, target.id, **values)
            if told and found.told:
                text = f"notifications arrive at {found.name} again; nothing was lost"
                unit.event(NewEvent(numbers_of.NOTIFY_RECOVERED, "info", text, target=found.name))
            return True

        return self._core.write(work)

    @internal
    def failed(self, target: TargetRecord, problem: str, *, gone: bool = False) -> None:
        """A delivery failed. `gone`: the receiver wants no more, and the target is switched off."""

        def work(unit: Unit) -> None:
            found = table.get(unit.connection, target.id)
            if found is None:
                return
            since = found.failing_since or unit.now
            values: dict[str, Any] = {"failing_since": since, "problem": problem[:500]}
            if gone:
                values["active"] = False
            late = unit.now - since >= PATIENCE and not found.told
            if gone or late:
                values["told"] = True
                what = "was switched off" if gone else "is tried again, and nothing is lost"
                text = f"notifications do not arrive at {found.name}: {problem}. It {what}"
                unit.event(NewEvent(numbers_of.NOTIFY_FAILS, "warning", text, target=found.name))
            table.save(unit.connection, target.id, **values)

        self._core.write(work)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else 0


def _known(connection: Connection, target: int) -> TargetRecord:
    found = table.get(connection, target)
    if found is None:
        raise NotFound(f"there is no notification target {target}; nothing was changed. The list shows their ids")
    return found


def _check_free(known: Sequence[TargetRecord], name: str, but: int | None) -> None:
    if any(one.name == name and one.id != but for one in known):
        raise Conflict(f"there is a target {name!r} already; nothing was changed")


def _name(name: str) -> str:
    called = name.strip()
    if not called or len(called) > _NAME or not called.isprintable():
        raise BadInput(f"a target's name has 1 to {_NAME} printable characters; nothing was changed")
    return called


def _level(level: str) -> None:
    if level not in LEVELS:
        raise BadInput(f"level is one of {', '.join(LEVELS)}, not {level!r}; nothing was changed")


def _numbers(numbers: Sequence[int]) -> list[int]:
    if any(number < 0 for number in numbers) or len(numbers) > 100:
        raise BadInput("event numbers are positive, and at most 100 of them; nothing was changed")
    return sorted(set(numbers))


def _settings(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if kind == SYSLOG:
        return _syslog(given)
    if kind == WEBHOOK:
        return _webhook(given)
    raise BadInput(f"a target is {SYSLOG} or {WEBHOOK}, not {kind!r}; nothing was changed")


def _only(given: Mapping[str, Any], valid: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(valid))
    if unknown:
        raise BadInput(f"unknown setting {unknown[0]!r}; valid are {', '.join(valid)}. Nothing was changed")


def _syslog(given: Mapping[str, Any]) -> dict[str, Any]:
    _only(given, ("host", "port", "transport", "form", "facility", "ca"))
    host = str(given.get("host") or "").strip()
    if not host or any(mark.isspace() for mark in host):
        raise BadInput("a syslog receiver has a host; nothing was changed")
    transport = _one_of("transport", given.get("transport") or "tls", TRANSPORTS)
    port = given.get("port") or PORTS[transport]
    if not isinstance(port, int) or not 0 < port < 65536:
        raise BadInput("a port is a number from 1 to 65535; nothing was changed")
    ca = _ca(given.get("ca"))
    if ca and transport != "tls":
        raise BadInput("only a receiver over TLS shows a certificate: ca goes with transport tls; nothing was changed")
    return {
        "host": host,
        "port": port,
        "transport": transport,
        "form": _one_of("form", given.get("form") or "cef", FORMS),
        "facility": _one_of("facility", given.get("facility") or "local0", tuple(FACILITIES)),
        "ca": ca,
    }


def _webhook(given: Mapping[str, Any]) -> dict[str, Any]:
    _only(given, ("url", "ca"))
    url = str(given.get("url") or "").strip()
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(mark.isspace() for mark in url) or len(url) > 2000:
        raise BadInput(
            "a webhook is an https:// address: what happened in a fleet is not sent in clear text; nothing was changed"
        )
    if parts.username or parts.password:
        raise BadInput("put no user or password into a webhook's address: it is shown; nothing was changed")
    return {"url": url, "ca": _ca(given.get("ca"))}


def _one_of(what: str, value: Any, valid: Sequence[str]) -> str:
    if value not in valid:
        raise BadInput(f"{what} is one of {', '.join(valid)}, not {value!r}; nothing was changed")
    return str(value)


def _ca(given: Any) -> str:
    """PEM certificates by which the receiver is checked; without them the system's own."""
    pem = str(given or "")
    if not pem:
        return ""
    try:
        if len(pem) > _LONGEST_CA:
            raise ValueError("too long")
        ssl.create_default_context(cadata=pem)
    except (ValueError, ssl.SSLError):
        raise BadInput("ca does not hold certificates in PEM; nothing was changed") from None
    return pem


def _said(one: TargetRecord) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "settings": one.settings,
        "level": one.level,
        "numbers": one.numbers,
        "active": one.active,
    }


def _view(connection: Connection, one: TargetRecord) -> TargetView:
    return TargetView(
        id=one.id,
        name=one.name,
        kind=one.kind,
        settings=one.settings,
        level=one.level,
        numbers=tuple(one.numbers),
        active=one.active,
        created=one.created,
        who=one.who,
        delivered=one.delivered,
        failing_since=one.failing_since,
        problem=one.problem,
        waiting=table.waiting(connection, one.cursor),
    )
