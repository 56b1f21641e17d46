"""A fleet over a real store that heartbeats as a test says, with two clocks of its own: for staged changes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from plimsoll.manager.ports import Presence
from plimsoll.manager.services import Services
from plimsoll.manager.services.changes import ChangeView
from plimsoll.manager.services.computers import RelayObservation
from plimsoll.manager.services.proving import Place, Proved
from plimsoll.manager.store import changes, computers
from plimsoll.messages import Kind
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version
from tests.support.homes import ROOT, Desk

START = float(int(time.time()))


class World:
    """A fleet that heartbeats as the test says, and the two clocks."""

    def __init__(self, at: Desk) -> None:
        self.at = at
        self.now = START
        self.steady = 1000.0
        self.computers: dict[str, str] = {}
        self.versions: dict[str, Version] = {}
        self.silent: set[str] = set()
        self.sighted: list[Sighting] = []
        self.verdict = "proved"
        self.bring_up()

    def bring_up(self) -> None:
        """Services as a manager that starts has them."""
        self.services = Services(self.at.home.store, self.at.home, self.at.published.append, self, lambda: self.now)
        self.services.changes._watch.clock.steady = lambda: self.steady
        self.services.proving.prove = self.prove  # type: ignore[method-assign]
        self.services.floors.start()

    def prove(self, **_: Any) -> tuple[Proved, ...]:
        place = Place(Point.HEARTBEAT, "manager", "127.0.0.1", 4120, Version.TLS1_2)
        return (Proved(place, self.verdict, (), None),)

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        given, self.sighted = self.sighted, []
        return given

    def join(
        self, name: str, version: Version = Version.TLS1_2, release: str = "12.0.0", kind: Kind = Kind.AGENT
    ) -> None:
        self.computers[name] = self.at.activate(name, release, kind).computer
        self.versions[name] = version
        self.beat(name)

    def beat(self, *names: str) -> None:
        for name in names or set(self.computers) - self.silent:
            version, computer = self.versions[name], self.computers[name]
            snapshot = self.at.published[-1]
            if version < snapshot.floor_for(Point.HEARTBEAT, "10.0.0.9", computer, self.now):
                self.refuse(name)
                continue
            seen = Presence(computer, self.now, "10.0.0.9", f"ja4-{name}", version, version, self.now)
            self.services.computers.apply_presence([seen])
            self.sighted.append(
                Sighting(
                    Point.HEARTBEAT, "10.0.0.9", version, (version,), f"ja4-{name}", None, Outcome.ADMITTED, version,
                    f"computer:{computer}", 1, self.now, self.now,
                )
            )  # fmt: skip

    def refuse(self, *names: str, version: Version | None = None) -> None:
        offered = version or self.versions[names[0]]
        sighting = Sighting(
            Point.HEARTBEAT, "10.0.0.9", offered, (offered,), f"ja4-{names[0]}", None, Outcome.REFUSED, None, None, 1,
            self.now, self.now,
        )  # fmt: skip
        self.services.changes.saw_refusal(sighting, [(self.computers[name], name) for name in names])

    def relay_takes_home(self, name: str, floor: Version | None = None) -> None:
        """The relay acknowledged its policy and shows its floor."""
        computer = self.services.computers.get(ROOT, self.computers[name])
        record = self.at.home.store.read(lambda c: computers.get(c, computer.id))
        assert record is not None
        held = floor or record.relay_floor_given
        self.at.home.store.write(
            lambda c: computers.change(c, computer.id, policy_acked=record.policy_fingerprint, policy_acked_at=self.now)
        )
        self.services.computers.observe_relay(RelayObservation(computer.id, self.now, held, "seen"))

    def run(self, seconds: float, step: float = 1.0) -> None:
        """Time goes by; everybody beats every second."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.steady += step
            self.beat()
            self.services.changes.tick()

    def change(self, number: int | None = None) -> ChangeView:
        return self.services.changes.get(ROOT, number)

    def until(self, stage: str, most: float = 300) -> None:
        end = self.now + most
        while self.change().stage != stage and self.change().state == "running" and self.now < end:
            self.run(1)
        assert self.change().stage == stage, self.change()

    def floors(self) -> dict[str, str]:
        return {view.point.value: view.floor.value for view in self.services.floors.show(ROOT).floors}

    def effects(self) -> dict[str, Any] | None:
        """Of the change under way."""
        found = self.at.home.store.read(changes.under_way)
        return None if found is None else found.effects

    def adopt(self) -> None:
        """The computers that the store knows, as after a restart; 9.x speaks TLS 1.0."""
        for view in self.services.computers.list(ROOT):
            name = view.display_name or view.hostname
            self.computers[name] = view.id
            self.versions[name] = Version.TLS1_0 if view.version.startswith("9.") else Version.TLS1_2
