"""Computers that are put into a stopped home: active, known by their certificates, and nothing to write about them; and
with them, that a heartbeat costs no statement of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from cryptography import x509
from tests.support.homes import DATABASES, ROOT, new_home
from tests.unit.manager.fakes import FakeConnection

from plimsoll.manager.ca import fingerprint as fingerprint_of
from plimsoll.manager.heartbeat.door import HeartbeatDoor
from plimsoll.manager.home import open_home
from plimsoll.manager.ports import BadInput, Presence
from plimsoll.manager.registry import Registry
from plimsoll.manager.seeding import seed_fleet
from plimsoll.manager.services import Services
from plimsoll.messages import CAPABILITY, HEARTBEAT, Heartbeat, Inventory, fingerprint
from plimsoll.net.http import Request, Response
from plimsoll.net.identity import Identity
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.testing.herd import simulated_inventory, simulated_name
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


def inventories(count: int) -> list[Inventory]:
    return [simulated_inventory("sim", number, "12.0.0") for number in range(count)]


class Seen:
    """What a running manager would hand over: the registry's presence, and a sighting of each who was there."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._waiting: list[Sighting] = []

    def presence(self) -> list[Presence]:
        found = list(self._registry.take_presence())
        self._waiting += [_sighting(one.computer) for one in found]
        return found

    def sightings(self) -> list[Sighting]:
        given, self._waiting = self._waiting, []
        return given


def _sighting(computer: str) -> Sighting:
    return Sighting(
        Point.HEARTBEAT, "127.1.0.1", Version.TLS1_3, (Version.TLS1_3,), "t13", None, Outcome.ADMITTED,
        Version.TLS1_3, f"computer:{computer}", 1, 1.0, 2.0,
    )  # fmt: skip


def test_seeded_computers_are_as_if_they_had_been_here_long(tmp_path: Path) -> None:
    home_path, _ = new_home(tmp_path)
    kept: list[str] = []
    done: list[int] = []
    made = seed_fleet(home_path, inventories(60), kept.extend, 1, done.append)
    assert (made.count, len(kept), done) == (60, 60, [60])
    home = open_home(home_path)
    try:
        services = Services(home.store, home)
        listed = services.computers.list(ROOT)
        assert {one.hostname for one in listed} == {simulated_name("sim", number) for number in range(60)}
        assert sorted(one.number for one in listed) == list(range(1, 61))
        registry = Registry()
        registry.load(services.computers.registry())
        for number, text in enumerate(kept):
            certificate = x509.load_pem_x509_certificates(text.encode())[0]
            known = registry.by_fingerprint[fingerprint_of(certificate)]
            assert known.entry.hostname == simulated_name("sim", number)
            assert registry.identify(Identity(home.installation, "agent", known.id, fingerprint_of(certificate)))
        assert services.audit.verify(ROOT).ok
        said = home.store.read(
            lambda c: c.execute(sa.text("select target from audit where action = 'computers.seed'")).scalars().all()
        )
        assert said == ["60 simulated computers"]
    finally:
        home.close()


@pytest.mark.parametrize("kind", DATABASES)
def test_heartbeats_touch_the_database_in_batches_only(tmp_path: Path, kind: str) -> None:
    """The design's rule of the hot path: so many statements a second, whatever the number of heartbeats."""
    home_path, _ = new_home(tmp_path, kind)
    made = seed_fleet(home_path, inventories(120), lambda identities: None, 1)
    home = open_home(home_path)
    registry = Registry()
    statements: list[str] = []

    def note(_: Any, cursor: Any, statement: str, *more: Any) -> None:
        statements.append(statement)

    services = Services(home.store, home, observed=Seen(registry))
    registry.load(services.computers.registry())
    door = HeartbeatDoor(services, registry, home.installation, talked=lambda known, now: None)
    door.trust(made.trusts, [made.ca])

    def beat(count: int) -> tuple[int, int]:
        """Statements of so many heartbeats, and of the batch that stores who was there."""
        statements.clear()
        for known in list(registry.by_id.values())[:count]:
            message = Heartbeat(
                capability=CAPABILITY,
                sequence=1,
                time=1.0,
                policy_fingerprint=fingerprint(made.policy),
                trusts=list(made.trusts),
            )
            who = Identity(home.installation, "agent", known.id, known.entry.fingerprints[0])
            body = msgspec.json.encode(message)
            answer = door(Request("POST", HEARTBEAT, {}, {}, body, FakeConnection(who).real()))
            assert isinstance(answer, Response)
            assert answer.status == 200, answer.body
        during = len(statements)
        services.sightings.absorb()
        return during, len(statements) - during

    sa.event.listen(home.store.engine, "before_cursor_execute", note)
    try:
        beat(120)  # what is written once only is written now
        few, many = beat(10), beat(120)
        assert few[0] == many[0] == 0
        assert many[1] == few[1] <= 12, statements
        stored = home.store.read(lambda c: c.scalar(sa.text("select count(*) from sightings where count = 3")))
        assert stored == 10
    finally:
        door.close()
        home.close()


def test_nothing_is_made_of_no_computers(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    with pytest.raises(BadInput, match="none was made"):
        seed_fleet(home, [], lambda identities: None)
