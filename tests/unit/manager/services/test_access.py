from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from tests.support.homes import ROOT, Desk, desk
from tests.support.store import dump_of

from plimsoll.manager import secret
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Principal, Role, Unauthenticated
from plimsoll.testing.clock import FakeClock
from plimsoll.tls.versions import Version

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost little: what they cost an attacker is argon2's business, not ours."""
    monkeypatch.setattr(secret, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def at(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        yield opened


def test_the_key_of_init_works_and_its_use_is_noted(at: Desk) -> None:
    found = at.services.api_keys.authenticate(at.made.api_key, "10.1.1.1", Version.TLS1_3)
    assert (found.kind, found.who, found.role) == ("apikey", "apikey:1", Role.ADMINISTRATOR)
    assert found.tls is Version.TLS1_3
    at.home.store.enqueue(lambda c: None).result(10)
    assert at.services.api_keys.list(ROOT)[0].last_used is not None


def test_keys_are_shown_once_and_stored_as_hashes(at: Desk) -> None:
    made = at.services.api_keys.create(ROOT, "ci", "auditor", expires_in=100)
    identifier, _, text = made.key.partition(":")
    assert int(identifier) == made.view.id
    dump = "\n".join(dump_of(at.home.store))
    for value in (
        text,
        at.made.api_key.partition(":")[2],
        at.made.admin_password,
        at.made.activation_token.split(".")[2],
    ):
        assert value not in dump
    assert at.services.api_keys.authenticate(made.key, "").role is Role.AUDITOR


@pytest.mark.parametrize("key", ["", "1", "1:", "1:wrong", "99:x", "x:y", "-1:z", "1" * 30 + ":a", "²:x"])
def test_a_wrong_key_is_refused(at: Desk, key: str) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        at.services.api_keys.authenticate(key, "")


def test_a_key_ends_by_time_and_by_deletion(at: Desk, clock: FakeClock) -> None:
    made = at.services.api_keys.create(ROOT, "ci", "operator", expires_in=100)
    at.services.api_keys.authenticate(made.key, "")
    clock.advance(101)
    with pytest.raises(Unauthenticated):
        at.services.api_keys.authenticate(made.key, "")
    other = at.services.api_keys.create(ROOT, "ci", "operator")
    at.services.api_keys.authenticate(other.key, "")
    at.services.api_keys.delete(ROOT, other.view.id)
    with pytest.raises(Unauthenticated):
        at.services.api_keys.authenticate(other.key, "")
    with pytest.raises(NotFound):
        at.services.api_keys.delete(ROOT, other.view.id)
    newer = at.services.api_keys.create(ROOT, "ci", "operator")
    assert newer.view.id > other.view.id, "an id must not come to name another key"


def test_signing_in_and_out(at: Desk, clock: FakeClock) -> None:
    access = at.services.access
    access.create_user(ROOT, "anna", PASSWORD, "operator")
    session = access.sign_in("anna", PASSWORD, "10.0.0.1")
    assert access.authenticate_session(session.secret, "10.0.0.1").role is Role.OPERATOR
    access.update_user(ROOT, "anna", role="auditor")
    assert access.authenticate_session(session.secret, "10.0.0.1").role is Role.AUDITOR
    access.sign_out(session.secret)
    with pytest.raises(Unauthenticated, match="sign in again"):
        access.authenticate_session(session.secret, "10.0.0.1")
    session = access.sign_in("anna", PASSWORD, "10.0.0.1")
    clock.advance(9 * 3600)
    with pytest.raises(Unauthenticated):
        access.authenticate_session(session.secret, "10.0.0.1")
    session = access.sign_in("anna", PASSWORD, "10.0.0.1")
    access.update_user(ROOT, "anna", disabled=True)
    with pytest.raises(Unauthenticated):
        access.authenticate_session(session.secret, "10.0.0.1")


def test_five_wrong_passwords_lock_for_a_while(at: Desk, clock: FakeClock) -> None:
    access = at.services.access
    access.create_user(ROOT, "bert", PASSWORD, "auditor")
    for _ in range(5):
        with pytest.raises(Unauthenticated, match="password is wrong"):
            access.sign_in("bert", "no", "10.0.0.66")
    with pytest.raises(Unauthenticated):
        access.sign_in("bert", PASSWORD, "10.0.0.1")
    event = at.services.events.list(ROOT)[-1]
    assert (event.number, event.target) == (603, "bert")
    clock.advance(901)
    assert access.sign_in("bert", PASSWORD, "10.0.0.1").principal.name == "bert"
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            access.sign_in("bert", "no", "10.0.0.66")
    access.update_user(ROOT, "bert", unlock=True)
    access.sign_in("bert", PASSWORD, "10.0.0.1")
    with pytest.raises(Unauthenticated):
        access.sign_in("nobody", PASSWORD, "10.0.0.1")


def test_passwords_change_and_end_sessions(at: Desk) -> None:
    access = at.services.access
    access.create_user(ROOT, "cleo", PASSWORD, "auditor")
    session = access.sign_in("cleo", PASSWORD, "")
    with pytest.raises(Unauthenticated, match="old password"):
        access.change_own_password(session.principal, "wrong", "another password")
    with pytest.raises(BadInput, match="at least 10"):
        access.change_own_password(session.principal, PASSWORD, "short")
    access.change_own_password(session.principal, PASSWORD, "another password")
    with pytest.raises(Unauthenticated):
        access.authenticate_session(session.secret, "")
    access.sign_in("cleo", "another password", "")
    with pytest.raises(BadInput, match="only a user"):
        access.change_own_password(ROOT, "a", "b" * 12)


def test_the_last_administrator_stays(at: Desk) -> None:
    access = at.services.access
    for attempt in (
        lambda: access.delete_user(ROOT, "admin"),
        lambda: access.update_user(ROOT, "admin", disabled=True),
        lambda: access.update_user(ROOT, "admin", role="auditor"),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            attempt()
    access.create_user(ROOT, "dora", PASSWORD, "administrator")
    access.delete_user(ROOT, "admin")
    assert [user.name for user in access.users(ROOT)] == ["dora"]
    with pytest.raises(Conflict, match="already"):
        access.create_user(ROOT, "dora", PASSWORD, "auditor")
    with pytest.raises(BadInput, match="valid are administrator, operator, auditor"):
        access.create_user(ROOT, "emil", PASSWORD, "root")


def test_the_audit_says_who_from_where_and_what(at: Desk) -> None:
    who = Principal("apikey", "ci", Role.ADMINISTRATOR, "rest", "10.7.7.7", Version.TLS1_3, id="9")
    at.services.floors.set(who, "TLSv1.3", "relay", reason="canary")
    entry = at.services.access.audit(ROOT)[0]
    assert (entry.who, entry.via, entry.address, entry.action) == ("apikey:9", "rest", "10.7.7.7", "floors.set")
    assert entry.before == {"floor": "TLSv1.2"}
    assert entry.after["floor"] == "TLSv1.3"
    assert entry.after["reason"] == "canary"
    assert entry.id not in {older.id for older in at.services.access.audit(ROOT, before=entry.id)}
