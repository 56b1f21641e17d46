"""A home in which every kind of thing is there once, for tests that ask everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.serve import App
from plimsoll.manager.ports import Permission, Principal, require
from plimsoll.manager.services.proving import Proved
from plimsoll.manager.services.scope import PCI
from plimsoll.manager.store import Connection, scans
from plimsoll.manager.store import upgrades as upgrade_table
from plimsoll.messages import Kind
from plimsoll.scan.profiles import judge
from plimsoll.scan.report import EndpointReport, State, Target
from plimsoll.scan.reports.json_report import line_of
from tests.support.application import application
from tests.support.homes import ROOT, Desk, desk
from tests.unit.manager.api.client import Client, GateConnection


@dataclass
class Seeded:
    """`known` are values of path parameters that name something that is there."""

    at: Desk
    app: App
    known: dict[str, str]

    def local(self) -> Client:
        return Client(self.app)

    def remote(self, key: str | None = None) -> Client:
        return Client(self.app, GateConnection(), {} if key is None else {"api-secret-key": key})


@contextmanager
def seeded(folder: Path) -> Iterator[Seeded]:
    """Nothing of it calls anybody: no port is asked, and no target of notifications is reached."""
    with desk(folder) as at:
        at.activate("relay-1.example.test", kind=Kind.RELAY, address="127.0.0.8")
        at.activate("web-1.example.test")
        at.services.proof._proving.prove = _unasked  # type: ignore[method-assign]
        at.services.notifications.trial = _unsent  # type: ignore[method-assign, assignment]
        made = Seeded(at, application(Backend(at.services, at.home.installation)), {})
        client = made.local()
        for path, body in (
            ("/api/policies", {"name": "Web servers"}),
            ("/api/relaygroups", {"name": "East"}),
            ("/api/computergroups", {"name": "Berlin"}),
            (
                "/api/tls/exceptions",
                {"floor": "TLSv1", "source": "10.0.0.7", "until": time.time() + 86400, "reason": "a machine tool"},
            ),
            ("/api/tls/shadow", {"floor": "TLSv1.3"}),
            ("/api/tls/scope", {"point": "gui"}),
            ("/api/tls/changes", {"to": "TLSv1.3", "points": ["gui"], "acceptAffected": True}),
            ("/api/apikeys", {"name": "second", "role": "auditor"}),
            ("/api/scheduledtasks", {"name": "nightly", "type": "send-policy"}),
            ("/api/administrators", {"username": "anna", "password": "a long enough one", "role": "operator"}),
        ):
            client.post(path, body)
        at.home.store.write(_upgrade)
        client.post("/api/notifications", {"name": "log", "kind": "syslog", "settings": {"host": "h.test"}}, expect=201)
        token = client.post("/api/activationtokens", {})["ID"]
        made.known |= dict.fromkeys(
            ("computer", "policy", "group", "exception", "change", "upgrade", "number", "target"), "1"
        )
        made.known |= {
            "key": "2",
            "username": "anna",
            "administrator": "anna",
            "role": "1",
            "tenant": "1",
            "task": "1",
            "profile": "1",
            "control": "1",
            "certificate": "1",
            "node": "b.example.test",
            "token": token,
            "software": "1",
            "session": "0123456789abcdef",
        }
        at.services.proof.begin(ROOT)
        at.services.proof.wait()
        made.known["proof"] = at.services.proof.made(ROOT)[0].id
        made.known["scan"] = str(_finished_scan(at))
        made.known["position"] = "0"
        made.known["name"] = "platformSettingHeartbeatInterval"
        yield made


def _finished_scan(at: Desk) -> int:
    """As if it had been run: nothing runs here, and what is asked for later stays in the queue."""
    scan = at.services.scans.start(ROOT, fleet=True).id
    target = Target("127.0.0.1", at.home.config.gui_port)
    line = line_of(EndpointReport(target, State.UNREACHABLE, note="nobody asked"), lambda one: (judge(one, PCI),))

    def work(connection: Connection) -> None:
        scans.move(connection, scan, scans.QUEUED, state=scans.DONE, done=1, started=1.0, ended=2.0)
        for one in scans.endpoints(connection, scan, -1, 100):
            if (one.host, one.port) == (target.host, target.port):
                scans.saw(connection, scan, one.position, line, state=State.UNREACHABLE.value)

    at.home.store.write(work)
    return scan


def _upgrade(connection: Connection) -> None:
    """One that is over: another could not begin while a change is under way."""
    options = {
        "left": {"it runs no agent of ours": ["printer-1"]},
        "waves": [{"layer": "computers", "share": 1.0, "size": 1}],
        "soak": 60.0,
        "failed": 0.02,
        "watch": 600.0,
        "patience": 3600.0,
        "at_once": 10,
    }
    made = upgrade_table.UpgradeRecord(
        0, 1.0, "socket:uid 0", "uid 0", "socket", "12.0.0", "done", 0, 1.0, 60.0, options, {}, "all run 12.0.0", 2.0
    )
    upgrade_table.add(connection, made)


def _unsent(principal: Principal, _: int, /) -> str:
    require(principal, Permission.NOTIFICATIONS_CHANGE)
    return "not sent"


def _unasked(*_: object, **__: object) -> tuple[Proved, ...]:
    return ()
