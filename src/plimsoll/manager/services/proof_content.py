"""What a bundle says, beside what handshakes showed: floors, exceptions, scope, history, the audit trail's head."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from plimsoll import RELEASE
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.audit import AuditService
from plimsoll.manager.services.ciphers import OWN
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.exceptions import ExceptionsService
from plimsoll.manager.services.proving import Proved, overall
from plimsoll.manager.services.scope import section
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import floors as floor_table
from plimsoll.manager.store import scope as scope_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.scan.proofs import SCHEMA
from plimsoll.tls.cipher_profiles import DEFAULT
from plimsoll.tls.floors import Point

_HISTORY = 50


class ProofContent:
    def __init__(self, core: Core, exceptions: ExceptionsService, audit: AuditService) -> None:
        self._core = core
        self._exceptions = exceptions
        self._audit = audit

    def of(self, who: str, found: Sequence[Proved], change: dict[str, Any] | None) -> dict[str, Any]:
        """`change` is the story of a change that stands in it too."""

        def work(connection: Connection) -> tuple[Any, ...]:
            return (
                floor_state.read(connection).floors(),
                floor_state.profiles(connection),
                floor_table.history(connection, 1000),
                marks := scope_table.all_marks(connection),
                shadow_table.read(connection),
                computer_table.find(connection, ids=[one.computer for one in marks if one.computer]),
            )

        floors, profiles, history, marks, shadows, computers = self._core.store.read(work)
        excused = self._exceptions.in_force()
        verified = self._audit.walk()
        head = verified.head
        moved = {}
        for row in reversed(history):
            moved[row.point] = row
        counts = {word: sum(one.verdict == word for one in found) for word in ("proved", "violated", "not proved")}
        return {
            "schema": SCHEMA,
            "id": uuid.uuid4().hex,
            "made": self._core.clock(),
            "by": who,
            "manager": {
                "name": manager_name(self._core),
                "installation": self._core.home.installation,
                "release": RELEASE,
            },
            "verdict": overall(found),
            "counts": counts,
            "floors": [
                {
                    "point": point.value,
                    "floor": floors[point].value,
                    "ciphers": profiles.get(point, DEFAULT).value if point in OWN else None,
                    "since": row.time if (row := moved.get(point.value)) else None,
                    "who": row.who if row else None,
                    "reason": row.reason if row else None,
                }
                for point in Point
            ],
            "places": [one.as_json() for one in found],
            "exceptions": [
                {
                    "id": view.id,
                    "for": view.source or view.name or view.computer,
                    "point": view.point.value,
                    "floor": view.floor.value,
                    "until": view.until,
                    "reason": view.reason,
                    "who": view.who,
                }
                for view in excused
            ],
            "shadow": [{"point": one.point, "floor": one.floor.value, "since": one.since} for one in shadows.values()],
            "scope": section(found, marks, excused, computers),
            "change": change,
            "history": [
                {
                    "time": row.time,
                    "point": row.point,
                    "from": row.before.value if row.before else None,
                    "to": row.floor.value,
                    "who": row.who,
                    "reason": row.reason,
                    "cause": row.cause,
                }
                for row in history[:_HISTORY]
            ],
            "audit": {
                "whole": verified.ok,
                "entry": None if head is None else head.entry,
                "hash": None if head is None else head.hash,
            },
        }


def manager_name(core: Core) -> str:
    """What reports and other managers call this one."""
    return core.home.config.public_name or os.uname().nodename


def story(view: Any) -> dict[str, Any]:
    """A change as it stands in a bundle."""
    return {
        "id": view.id,
        "to": view.target.value,
        "points": view.options["points"],
        "state": view.state,
        "who": view.who,
        "approvedBy": view.approved_by,
        "text": view.text,
        "named": view.options["named"],
        "log": [asdict(entry) for entry in view.log],
    }
