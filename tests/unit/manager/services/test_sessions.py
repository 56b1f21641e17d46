from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from tests.support.homes import ROOT, Desk, desk
from tests.support.store import dump_of

from plimsoll.manager import secret
from plimsoll.manager.ports import BadInput, Forbidden, NotFound, Principal, Unauthenticated
from plimsoll.manager.services.sessions import SESSION_SECONDS
from plimsoll.manager.services.setting_values import IDLE_TIMEOUT
from plimsoll.manager.store import access as table
from plimsoll.testing.clock import FakeClock

PASSWORD = "correct horse battery"
HALF_AN_HOUR = 1800


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def at(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        opened.services.access.create_user(ROOT, "anna", PASSWORD, "administrator")
        opened.services.access.create_user(ROOT, "bert", PASSWORD, "auditor")
        yield opened


def asks(at: Desk, text: str, *, used: bool = True) -> Principal:
    return at.services.access.authenticate_session(text, "10.0.0.1", used=used)


def notes(at: Desk) -> float:
    """When the store has it that anna's newest session was used last."""
    at.home.store.enqueue(lambda c: None).result(10)
    return at.home.store.read(lambda c: table.sessions_of(c, "anna"))[0].last_used


def test_an_unused_session_ends_and_a_used_one_goes_on(at: Desk, clock: FakeClock) -> None:
    session = at.services.access.sign_in("anna", PASSWORD, "10.0.0.1")
    for _ in range(3):
        clock.advance(HALF_AN_HOUR - 61)
        assert asks(at, session.secret).name == "anna"
    clock.advance(HALF_AN_HOUR)
    with pytest.raises(Unauthenticated, match="not used for 30 minutes"):
        asks(at, session.secret)
    assert at.services.sessions.of_user(ROOT, "anna") == ()


def test_a_session_in_use_ends_after_eight_hours(at: Desk, clock: FakeClock) -> None:
    session = at.services.access.sign_in("anna", PASSWORD, "")
    for _ in range(int(SESSION_SECONDS // 900) - 1):
        clock.advance(900)
        asks(at, session.secret)
    clock.advance(900)
    with pytest.raises(Unauthenticated, match="ended"):
        asks(at, session.secret)


def test_a_use_is_written_once_a_minute(at: Desk, clock: FakeClock) -> None:
    session = at.services.access.sign_in("anna", PASSWORD, "")
    began = notes(at)
    clock.advance(59)
    asks(at, session.secret)
    assert notes(at) == began
    clock.advance(2)
    asks(at, session.secret)
    asks(at, session.secret)
    assert notes(at) == began + 61
    # Another manager on the same database knows it too.
    clock.advance(30)
    asks(at, session.secret)
    assert notes(at) == began + 61


def test_what_a_page_asks_by_itself_keeps_no_session_alive(at: Desk, clock: FakeClock) -> None:
    session = at.services.access.sign_in("anna", PASSWORD, "")
    for _ in range(5):
        clock.advance(300)
        asks(at, session.secret, used=False)
    clock.advance(300)
    with pytest.raises(Unauthenticated):
        asks(at, session.secret, used=False)


def test_the_idle_time_out_is_a_setting(at: Desk, clock: FakeClock) -> None:
    settings = at.services.system_settings
    assert settings.list(ROOT)[IDLE_TIMEOUT] == "30 Minutes"
    settings.set(ROOT, {IDLE_TIMEOUT: "5"})
    assert settings.list(ROOT)[IDLE_TIMEOUT] == "5 Minutes"
    session = at.services.access.sign_in("anna", PASSWORD, "")
    clock.advance(300)
    with pytest.raises(Unauthenticated, match="5 minutes"):
        asks(at, session.secret)
    for wrong in ("4 minutes", "9 hours", "never", ""):
        with pytest.raises(BadInput, match="nothing was changed"):
            settings.set(ROOT, {IDLE_TIMEOUT: wrong})
    assert settings.list(ROOT)[IDLE_TIMEOUT] == "5 Minutes"
    settings.reset(ROOT, IDLE_TIMEOUT)
    assert settings.list(ROOT)[IDLE_TIMEOUT] == "30 Minutes"


def test_a_sign_in_makes_a_new_secret_and_ends_the_one_the_browser_came_with(at: Desk) -> None:
    planted = at.services.access.sign_in("bert", PASSWORD, "10.0.0.66")
    session = at.services.access.sign_in("anna", PASSWORD, "10.0.0.1", previous=planted.secret)
    assert session.secret != planted.secret
    with pytest.raises(Unauthenticated):
        asks(at, planted.secret)
    assert asks(at, session.secret).name == "anna"
    assert session.secret not in "\n".join(dump_of(at.home.store))


def test_own_sessions_are_listed_and_ended(at: Desk, clock: FakeClock) -> None:
    first = at.services.access.sign_in("anna", PASSWORD, "10.0.0.1")
    clock.advance(1)
    second = at.services.access.sign_in("anna", PASSWORD, "10.0.0.2")
    clock.advance(1)
    third = at.services.access.sign_in("anna", PASSWORD, "10.0.0.3")
    other = at.services.access.sign_in("bert", PASSWORD, "10.0.0.4")
    anna, bert = asks(at, second.secret), asks(at, other.secret)
    found = at.services.sessions.own(anna)
    assert [(one.address, one.current) for one in found] == [
        ("10.0.0.3", False),
        ("10.0.0.2", True),
        ("10.0.0.1", False),
    ]
    assert all(one.how == "password" for one in found)
    with pytest.raises(NotFound, match="no such session"):
        at.services.sessions.end_own(bert, found[0].id)
    at.services.sessions.end_own(anna, found[0].id)
    with pytest.raises(Unauthenticated):
        asks(at, third.secret)
    assert at.services.sessions.end_own_others(anna) == 1
    with pytest.raises(Unauthenticated):
        asks(at, first.secret)
    assert asks(at, second.secret).name == "anna"
    assert asks(at, other.secret).name == "bert"
    entries = at.services.access.audit(ROOT)
    assert [one.action for one in entries[:2]] == ["access.end_sessions", "access.end_session"]


def test_an_administrator_ends_sessions_of_others(at: Desk) -> None:
    session = at.services.access.sign_in("bert", PASSWORD, "10.0.0.4")
    bert = asks(at, session.secret)
    with pytest.raises(Forbidden):
        at.services.sessions.end_of_user(bert, "anna")
    assert [one.address for one in at.services.sessions.of_user(ROOT, "bert")] == ["10.0.0.4"]
    assert at.services.sessions.end_of_user(ROOT, "bert") == 1
    with pytest.raises(Unauthenticated):
        asks(at, session.secret)
    assert at.services.access.audit(ROOT)[0].action == "access.end_sessions"
    with pytest.raises(NotFound):
        at.services.sessions.end_of_user(ROOT, "nobody")
    with pytest.raises(BadInput, match="only a user"):
        at.services.sessions.end_own_others(ROOT)
    assert at.services.sessions.own(ROOT) == ()
