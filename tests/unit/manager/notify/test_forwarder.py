"""The loop of notifications over a real store: in order, at least once, and nobody waits for anybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.process import eventually

from plimsoll.manager.notify.forwarder import Forwarder
from plimsoll.manager.notify.senders import DeliveryError
from plimsoll.manager.services.events import EventView, NewEvent
from plimsoll.manager.services.notifications import NotificationsService
from plimsoll.manager.store.notifications import TargetRecord
from plimsoll.net.backoff import Backoff


class Receiver:
    """Takes what it is sent, or refuses while `down`."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.down = False
        self.tries = 0
        self.hold = threading.Event()
        self.hold.set()

    def send(self, events: Sequence[EventView]) -> str:
        self.tries += 1
        self.hold.wait(20)
        if self.down:
            raise DeliveryError("cannot be reached")
        self.got += [event.number for event in events]
        return "ok"

    def close(self) -> None:
        """Nothing is open."""


class Office:
    """A desk whose notifications go to receivers by name."""

    def __init__(self, at: Desk) -> None:
        self.at = at
        self.receivers: dict[str, Receiver] = {}
        self.made = 0
        at.services.notifications = NotificationsService(at.services.events._core, self._sender)

    def _sender(self, installation: str, target: TargetRecord) -> Receiver:
        self.made += 1
        return self.receivers[target.name]

    def add(self, name: str) -> int:
        self.receivers[name] = Receiver()
        settings = {"host": "h", "transport": "tcp"}
        made = self.at.services.notifications.add(ROOT, name=name, kind="syslog", settings=settings)
        return made.target.id

    def happen(self, *numbers: int) -> None:
        self.at.services.events.record(*(NewEvent(number, "info", "d") for number in numbers))

    def forwarder(self) -> Forwarder:
        made = Forwarder(self.at.services, lambda: Backoff(0.02, 0.1))
        self.at.services.hub.subscribe(made._heard)
        made.look()
        return made

    def stored(self, name: str) -> TargetRecord:
        return next(one for one in self.at.services.notifications.targets() if one.name == name)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with desk(tmp_path) as opened:
        yield Office(opened)


def test_events_arrive_in_order_and_the_place_is_kept(office: Office) -> None:
    office.add("a")
    forwarder = office.forwarder()
    numbers = list(range(2000, 2250))
    for number in numbers:
        office.happen(number)
    eventually(lambda: len(office.receivers["a"].got) == 250, "all of them")
    eventually(lambda: office.at.services.notifications.list(ROOT)[0].waiting == 0, "the place is stored")
    forwarder.close()
    assert office.receivers["a"].got == numbers
    assert office.made == 1, "one connection serves them all"

    office.happen(3000)
    again = office.forwarder()
    eventually(lambda: office.receivers["a"].got[-1] == 3000, "what came meanwhile")
    again.close()
    assert office.receivers["a"].got == [*numbers, 3000]


def test_one_that_is_down_keeps_its_place_and_holds_up_nobody(office: Office) -> None:
    office.add("down")
    office.add("up")
    office.receivers["down"].down = True
    forwarder = office.forwarder()
    office.happen(2001, 2002)
    eventually(lambda: office.receivers["up"].got == [2001, 2002], "the one that is up")
    eventually(lambda: office.receivers["down"].tries >= 3, "it is tried again")
    assert office.stored("down").problem == "cannot be reached"
    office.receivers["down"].down = False
    eventually(lambda: office.receivers["down"].got == [2001, 2002], "nothing was lost")
    eventually(lambda: office.stored("down").problem == "", "it is well again")
    forwarder.close()


def test_a_slow_one_does_not_hold_up_the_end(office: Office) -> None:
    office.add("slow")
    slow = office.receivers["slow"]
    slow.hold.clear()
    forwarder = office.forwarder()
    office.happen(2001)
    eventually(lambda: slow.tries == 1, "it is being told")
    forwarder.close()
    cursor = office.stored("slow").cursor
    slow.hold.set()
    eventually(lambda: slow.got == [2001], "it took it after all")
    # Its thread had been told to stop: the place stays, and the next start says it again.
    assert office.stored("slow").cursor == cursor
    again = office.forwarder()
    eventually(lambda: slow.got == [2001, 2001], "at least once")
    again.close()


def test_targets_come_change_and_go_while_it_runs(office: Office) -> None:
    forwarder = office.forwarder()
    target = office.add("a")
    forwarder.look()
    office.happen(2001)
    eventually(lambda: office.receivers["a"].got == [2001], "a new one")
    office.at.services.notifications.change(ROOT, target, numbers=[2003])
    forwarder.look()
    office.happen(2002, 2003)
    eventually(lambda: office.receivers["a"].got == [2001, 2003], "by its new terms")
    office.at.services.notifications.remove(ROOT, target)
    forwarder.look()
    office.happen(2003)
    assert not forwarder._workers
    assert office.receivers["a"].got == [2001, 2003]
    forwarder.close()
