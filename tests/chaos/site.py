"""A site that is to be broken: one manager, or two behind a balancer, and real simulated agents who talk to it."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.fleet import POLICY_SECONDS, Fleet
from tests.chaos.network import own_network
from tests.chaos.shims import Shim, moved_clock, slow_disk
from tests.support import postgres
from tests.support.balancer import SOURCE, balancer
from tests.support.manager import Manager
from tests.support.process import eventually
from tests.support.store import store_of

#: Where the second manager finds the database: a way of its own, that a rule can cut.
SECOND_WAY = "127.0.0.2"
FLOOR = "TLSv1.2"


@dataclass
class Site:
    """`front` is the first manager as agents see it. `scenarios` counts what it went through."""

    folder: Path
    managers: list[Manager]
    front: Manager
    server: postgres.Server | None = None
    database: str = ""
    disk: Shim | None = None
    clock: Shim | None = None
    fleet: Fleet = field(init=False)
    started: float = field(default_factory=time.time)
    scenarios: int = 0

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.front, self.folder)

    def join(self) -> None:
        """The agents come, the old ones too; then the floor is raised over their heads."""
        first = self.managers[0]
        first.quick_policy(POLICY_SECONDS)
        first.set_minimum("TLSv1")
        for one in self.managers:
            eventually(partial(has_floor, one, "TLSv1"), "early TLS is let in everywhere")
        self.fleet.start(first.new_token())
        first.set_minimum(FLOOR, force=True, reason="the old ones are to be refused")
        for one in self.managers:
            eventually(partial(has_floor, one, FLOOR), "the floor is in force everywhere")
        first.send_policy(*self.fleet.names())

    @property
    def ports(self) -> dict[str, int]:
        """Every port at which a floor is in force, by a name for people."""
        found = {
            f"{one.home.name}'s {port}": getattr(one, f"{port}_port")
            for one in self.managers
            for port in ("heartbeat", "gui")
        }
        return found | ({"balancer": self.front.heartbeat_port} if len(self.managers) > 1 else {})

    def rows(self, statement: str) -> Sequence[Any]:
        """What the store answers, asked behind the managers' backs."""
        if self.server is not None:
            return self.server.do(statement, database=self.database)
        with store_of(self.managers[0].home) as store:
            return store.execute(statement).fetchall()

    def until_well(self) -> None:
        """Until every manager answers, has the current floors in force, and the balancer leads somewhere."""
        for one in self.managers:
            eventually(partial(answers, one), f"{one.home.name} answers again", 180)
            eventually(partial(current, one), f"{one.home.name} knows the current floors", 180)

    def holder(self, work: str) -> Manager:
        """The manager that does that work."""

        def look() -> Manager | None:
            for one in self.managers:
                known = one.get("/api/manager/nodes")["nodes"]
                if any(node["own"] and work in node["works"] for node in known):
                    return one
            return None

        found: Manager = eventually(look, f"somebody does {work}")
        return found

    def other(self, one: Manager) -> Manager:
        return next(manager for manager in self.managers if manager is not one)


def has_floor(one: Manager, floor: str) -> bool:
    return set(one.floors().values()) == {floor}


def answers(one: Manager) -> bool:
    return one.client.get("/api/tls/floors").status_code == 200


def current(one: Manager) -> bool:
    answer = one.client.get("/api/manager/status")
    return answer.status_code == 200 and bool(answer.json()["current"])


@contextlib.contextmanager
def two_managers(folder: Path, database: Path | None = None) -> Iterator[Site]:
    """On one PostgreSQL behind HAProxy, in a network of their own where the machine permits it.

    `database` is an empty folder for the server, a temporary one where none is given.
    """
    with own_network(), contextlib.ExitStack() as stack:
        (folder / "password").write_text(postgres.PASSWORD + "\n")
        # A database whose disk can be slow must wait for it.
        server = postgres.Server({"fsync": "on", "listen_addresses": f"{postgres.HOST},{SECOND_WAY}"}, database)
        stack.callback(server.remove)
        disk = slow_disk(server.folder)
        server.surroundings = {} if disk is None else disk.surroundings
        postgres.make_user(server.start())
        name = postgres.new_database(server)
        a = Manager(folder / "a", "--database", server.tcp_url(name), "--database-password-file", folder / "password")
        (folder / "software").mkdir()
        with a.file.open("a") as file:
            file.write(f"softwareDirectory={folder / 'software'}\ntrustedProxies={SOURCE}\npublicName=a\n")
        b = a.join(folder / "b", folder)
        told = b.file.read_text()
        assert f"@{postgres.HOST}" in told
        b.file.write_text(told.replace(f"@{postgres.HOST}", f"@{SECOND_WAY}") + f"trustedProxies={SOURCE}\n")
        for one in (a, b):
            stack.callback(one.close)
            one.start()
        front = copy.copy(a)
        front.heartbeat_port = stack.enter_context(balancer(folder / "haproxy", (a.heartbeat_port, b.heartbeat_port)))
        yield from _inhabited(Site(folder, [a, b], front, server, name, disk))


@contextlib.contextmanager
def one_manager(folder: Path, home: Path) -> Iterator[Site]:
    """With the embedded store, its agents at its own port; its disk can be slow, its clock be moved."""
    with own_network(), contextlib.ExitStack() as stack:
        a = Manager(home)
        disk, clock = slow_disk(folder), moved_clock(folder)
        if disk is not None and clock is not None:
            both = f"{disk.library}:{clock.library}"
            a.surroundings = disk.surroundings | clock.surroundings | {"LD_PRELOAD": both}
        stack.callback(a.close)
        a.start()
        yield from _inhabited(Site(folder, [a], a, disk=disk, clock=clock))


def _inhabited(site: Site) -> Iterator[Site]:
    try:
        site.join()
        yield site
    finally:
        site.fleet.stop()
