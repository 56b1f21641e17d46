from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.notify.senders import DeliveryError, Sender
from plimsoll.manager.ports import BadInput, Conflict, NotFound
from plimsoll.manager.services.events import NOTIFY_FAILS, NOTIFY_RECOVERED, EventView, NewEvent
from plimsoll.manager.services.notifications import Made, NotificationsService
from plimsoll.manager.store.notifications import TargetRecord

SYSLOG = {"host": "siem.example.com"}
HOOK = {"url": "https://hooks.example.com/plimsoll"}


class Clock:
    now = 1_764_100_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        yield opened


def add(at: Desk, **more: Any) -> Made:
    return at.services.notifications.add(ROOT, **({"name": "siem", "kind": "syslog", "settings": SYSLOG} | more))


def happen(at: Desk, *numbers: int, level: str = "info") -> list[int]:
    return [one.id for one in at.services.events.record(*(NewEvent(number, level, f"n{number}") for number in numbers))]


def record(at: Desk) -> TargetRecord:
    (found,) = at.services.notifications.targets()
    return found


def test_a_target_begins_with_what_happens_next(at: Desk) -> None:
    happen(at, 730)
    made = add(at)
    assert made.secret is None
    assert made.target.settings == {
        "host": "siem.example.com", "port": 6514, "transport": "tls", "form": "cef", "facility": "local0", "ca": "",
    }  # fmt: skip
    assert made.target.waiting == 0
    assert at.services.notifications.due(record(at), record(at).cursor) is None
    (number,) = happen(at, 731)
    due = at.services.notifications.due(record(at), record(at).cursor)
    assert due is not None
    assert [event.id for event in due.events] == [number] == [due.cursor]
    assert at.services.notifications.arrived(record(at), due.cursor, True)
    (view,) = at.services.notifications.list(ROOT)
    assert (view.waiting, view.delivered, view.problem) == (0, 1_764_100_000.0, "")


def test_only_what_is_wanted_is_told(at: Desk) -> None:
    add(at, level="warning", numbers=[742, 730])
    happen(at, 730)
    happen(at, 731, level="error")
    (wanted,) = happen(at, 742, level="warning")
    last = happen(at, 743)[0]
    due = at.services.notifications.due(record(at), record(at).cursor)
    assert due is not None
    assert [event.id for event in due.events] == [wanted]
    assert due.cursor == last


def test_a_webhook_gets_a_secret_that_is_shown_once(at: Desk) -> None:
    made = add(at, kind="webhook", settings=HOOK)
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert record(at).secret == made.secret
    told = repr((at.services.notifications.list(ROOT), at.services.access.audit(ROOT), at.services.events.list(ROOT)))
    assert made.secret not in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": " "}, "1 to 100"),
        ({"name": "a\nb"}, "printable"),
        ({"kind": "pager"}, "syslog or webhook"),
        ({"level": "loud"}, "info, warning, error"),
        ({"numbers": [-1]}, "positive"),
        ({"settings": {}}, "has a host"),
        ({"settings": {"host": "a b"}}, "has a host"),
        ({"settings": SYSLOG | {"port": 70000}}, "1 to 65535"),
        ({"settings": SYSLOG | {"transport": "pigeon"}}, "tls, tcp, udp"),
        ({"settings": SYSLOG | {"form": "leef"}}, "cef, text"),
        ({"settings": SYSLOG | {"facility": "kern"}}, "local0"),
        ({"settings": SYSLOG | {"ca": "no pem"}}, "PEM"),
        ({"settings": SYSLOG | {"transport": "udp", "ca": "x"}}, "PEM|transport tls"),
        ({"settings": SYSLOG | {"colour": "red"}}, "unknown setting 'colour'"),
        ({"kind": "webhook", "settings": {"url": "http://plain.example.com"}}, "https://"),
        ({"kind": "webhook", "settings": {"url": "https://"}}, "https://"),
        ({"kind": "webhook", "settings": {"url": "https://a:b@example.com/"}}, "no user or password"),
        ({"kind": "webhook", "settings": {"url": "https://example.com:99999/"}}, "https://"),
    ],
)
def test_bad_input_makes_nothing(at: Desk, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        add(at, **more)
    assert at.services.notifications.list(ROOT) == ()


def test_names_are_one_targets_own_and_there_is_a_bound(at: Desk) -> None:
    add(at)
    with pytest.raises(Conflict, match="'siem' already"):
        add(at)
    for number in range(19):
        add(at, name=f"t{number}")
    with pytest.raises(Conflict, match="20 targets"):
        add(at, name="one more")
    with pytest.raises(NotFound):
        at.services.notifications.change(ROOT, 99, level="error")


def test_a_change_keeps_what_it_does_not_name(at: Desk) -> None:
    target = add(at, level="warning").target
    changed = at.services.notifications.change(ROOT, target.id, settings={"port": 1514})
    assert (changed.settings["host"], changed.settings["port"], changed.level) == ("siem.example.com", 1514, "warning")
    with pytest.raises(BadInput, match="say what"):
        at.services.notifications.change(ROOT, target.id)


def test_who_was_off_is_told_what_it_missed_unless_that_is_left_out(at: Desk) -> None:
    target = add(at).target
    at.services.notifications.change(ROOT, target.id, active=False)
    assert at.services.notifications.targets() == ()
    missed = happen(at, 730, 731)
    at.services.notifications.change(ROOT, target.id, active=True)
    due = at.services.notifications.due(record(at), record(at).cursor)
    assert due is not None
    assert [event.id for event in due.events] == missed
    cursor = record(at).cursor
    at.services.notifications.change(ROOT, target.id, skip=True)
    # A thread that still stands at the old place skips too.
    assert at.services.notifications.due(record(at), cursor) is None


def numbers(at: Desk) -> list[int]:
    return [event.number for event in at.services.events.list(ROOT) if event.number in (NOTIFY_FAILS, NOTIFY_RECOVERED)]


def test_a_failure_that_lasts_is_an_event_and_so_is_its_end(at: Desk, clock: Clock) -> None:
    add(at)
    happen(at, 730)
    for _ in range(5):
        at.services.notifications.failed(record(at), "Connection refused")
        clock.now += 30
    assert numbers(at) == [NOTIFY_FAILS]
    (view,) = at.services.notifications.list(ROOT)
    assert (view.problem, view.failing_since) == ("Connection refused", 1_764_100_000.0)
    at.services.notifications.arrived(record(at), record(at).cursor + 1, True)
    assert numbers(at) == [NOTIFY_FAILS, NOTIFY_RECOVERED]
    assert at.services.notifications.list(ROOT)[0].failing_since is None


def test_a_short_failure_is_no_event(at: Desk) -> None:
    add(at)
    at.services.notifications.failed(record(at), "Connection refused")
    at.services.notifications.arrived(record(at), record(at).cursor, True)
    assert numbers(at) == []


def test_a_receiver_that_wants_no_more_is_switched_off_and_told_of(at: Desk) -> None:
    add(at)
    at.services.notifications.failed(record(at), "answered 410", gone=True)
    assert at.services.notifications.targets() == ()
    assert numbers(at) == [NOTIFY_FAILS]
    assert not at.services.notifications.list(ROOT)[0].active


def test_what_was_removed_meanwhile_is_told_nothing(at: Desk) -> None:
    target = add(at).target
    known = record(at)
    at.services.notifications.remove(ROOT, target.id)
    assert not at.services.notifications.arrived(known, 5, True)
    at.services.notifications.failed(known, "x")
    assert at.services.notifications.list(ROOT) == ()


class Refuses:
    def send(self, events: Sequence[EventView]) -> str:
        raise DeliveryError("answered 500")

    def close(self) -> None:
        """Nothing is open."""


class Takes:
    def __init__(self) -> None:
        self.got: list[EventView] = []

    def send(self, events: Sequence[EventView]) -> str:
        self.got += events
        return "answered 204"

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("works", [True, False])
def test_a_trial_says_what_came_of_it_and_is_no_event(at: Desk, works: bool) -> None:
    target = add(at).target
    takes = Takes()

    def make(installation: str, record: TargetRecord) -> Sender:
        return takes if works else Refuses()

    service = NotificationsService(at.services.events._core, make)
    before = at.services.events.list(ROOT)
    if works:
        assert service.trial(ROOT, target.id) == "answered 204"
        assert "trial by uid 0" in takes.got[0].description
    else:
        with pytest.raises(Conflict, match="siem: answered 500; nothing was changed"):
            service.trial(ROOT, target.id)
    assert at.services.events.list(ROOT) == before
