"""A fleet over a real store that hears of a CA's rotation: computers trust, renew and show as a test says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from plimsoll.manager.ports import Presence
from plimsoll.manager.services import Services
from plimsoll.manager.services.ca import RotateRequest
from plimsoll.manager.services.ca_views import CaView, RotationView
from plimsoll.manager.services.computers import Intake
from plimsoll.manager.store import ca as table
from plimsoll.messages import CAPABILITY, Ack, Kind, RenewalRequest
from plimsoll.net.sightings import Sighting
from plimsoll.testing.certificates import certificate_request, new_key
from tests.support.homes import ROOT, Desk

#: After all that the home was made with.
START = float(int(time.time())) + 3600.0


@dataclass
class Member:
    """One computer. `fingerprint` is of the certificate that it shows, `trusts` what it says."""

    id: str
    fingerprint: str
    trusts: str = ""
    capability: int = CAPABILITY
    online: bool = True
    renews: bool = True
    takes: bool = True
    sequence: int = 0
    acks: list[Ack] = field(default_factory=list)


class CaWorld:
    """`now` is the wall clock, `steady` the one that does not jump; both go on with `run`."""

    def __init__(self, at: Desk) -> None:
        self.at = at
        self.now = START
        self.steady = 1000.0
        self.members: dict[str, Member] = {}
        self.bring_up()

    def bring_up(self) -> None:
        """Services as a manager that starts has them."""
        self.services = Services(self.at.home.store, self.at.home, self.at.published.append, self, lambda: self.now)
        self.services.ca.clock.steady = lambda: self.steady

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        return ()

    def join(
        self, *names: str, kind: Kind = Kind.AGENT, token: str | None = None, capability: int = CAPABILITY
    ) -> None:
        for name in names:
            made = self.at.activate(name, kind=kind, token=token)
            self.know(name, made.computer).capability = capability
        self.beat(*names)

    def know(self, name: str, computer: str) -> Member:
        """A computer of the store, as it is there."""
        entry = self.services.computers.entry(computer)
        assert entry is not None
        self.members[name] = Member(computer, entry.fingerprints[-1], entry.trusts)
        return self.members[name]

    def beat(self, *names: str) -> None:
        """Everybody who is online says what it trusts and shows, and does what it is told."""
        wanted = ",".join(self.services.ca.standing().fingerprints)
        for name in names or tuple(self.members):
            one = self.members[name]
            entry = self.services.computers.entry(one.id)
            if not one.online or entry is None or entry.state != "active":
                continue
            one.sequence += 1
            intake = Intake(
                computer=one.id, time=self.now, sequence=one.sequence, fingerprint=one.fingerprint,
                acks=tuple(one.acks), capability=one.capability, trusts=one.trusts,
            )  # fmt: skip
            stored = self.services.computers.take_in(intake).result().stored_acks
            one.acks = [ack for ack in one.acks if ack.command not in stored]
            self.services.computers.apply_presence(
                [Presence(one.id, self.now, "10.0.0.9", "ja4", None, None, self.now)]
            )
            for command in entry.commands:
                if command.kind == "renew-certificate" and all(ack.command != command.id for ack in one.acks):
                    self._renew(name, one, command.id)
            if one.takes and one.capability >= CAPABILITY:
                one.trusts = wanted

    def _renew(self, name: str, one: Member, command: str) -> None:
        if one.renews:
            request = RenewalRequest(capability=CAPABILITY, csr=certificate_request(new_key(), name))
            self.services.activation.renew(request, "10.0.0.9", one.id)
            entry = self.services.computers.entry(one.id)
            assert entry is not None
            one.fingerprint = entry.fingerprints[0]
        one.acks.append(Ack(command=command, ok=one.renews, text="" if one.renews else "no"))

    def off(self, *names: str) -> None:
        for name in names:
            self.members[name].online = False
        self.services.computers.set_online([self.members[name].id for name in names], False)

    def on(self, *names: str) -> None:
        for name in names:
            self.members[name].online = True

    def run(self, seconds: float, step: float = 1.0) -> None:
        """Time goes by; everybody beats every second, and the manager looks."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.steady += step
            self.services.ca.tick()
            self.beat()

    def rotate(self, soak: float = 3.0, *, by_itself: bool = True, leave_behind: str = "") -> CaView:
        return self.services.ca.rotate(ROOT, RotateRequest(by_itself, soak, leave_behind))

    @property
    def rotation(self) -> RotationView:
        found = self.services.ca.show(ROOT).rotation
        assert found is not None
        return found

    def numbers(self) -> list[int]:
        """The events of a rotation, in their order."""
        from plimsoll.manager.store import events

        found = self.at.home.store.read(lambda c: [one.number for one in events.find(c, after=None, limit=1000)])
        return [number for number in found if 2030 <= number < 2040]

    def record(self) -> table.RotationRecord:
        found = self.at.home.store.read(table.newest)
        assert found is not None
        return found
