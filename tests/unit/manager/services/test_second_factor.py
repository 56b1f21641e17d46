from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pyotp
import pytest
from argon2 import PasswordHasher
from tests.support.homes import ROOT, Desk, desk
from tests.support.store import dump_of

from plimsoll.manager import secret
from plimsoll.manager.ports import BadInput, CodeNeeded, Conflict, Forbidden, Principal, Unauthenticated
from plimsoll.manager.sealing import KEY_FILE, Sealer
from plimsoll.manager.services.events import (
    ADMINISTRATOR_RESET,
    FACTOR_ADDED,
    FACTOR_REMOVED,
    LOCKED_OUT,
    RECOVERY_USED,
)
from plimsoll.manager.services.lockout import LOCK_SECONDS
from plimsoll.manager.services.second_factor import qr_svg, step_of
from plimsoll.testing.clock import FakeClock

PASSWORD = "correct horse battery"


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
        yield opened


def signed_in(at: Desk, code: str | None = None) -> Principal:
    session = at.services.access.sign_in("anna", PASSWORD, "10.0.0.1", code=code)
    return at.services.access.authenticate_session(session.secret, "10.0.0.1")


def enrolled(at: Desk, clock: FakeClock) -> tuple[pyotp.TOTP, tuple[str, ...]]:
    """A step later, so that the code that confirmed is not in the way."""
    anna = signed_in(at)
    made = at.services.second_factor.begin(anna, PASSWORD)
    totp = pyotp.TOTP(made.secret)
    codes = at.services.second_factor.confirm(anna, totp.at(int(clock())))
    clock.advance(30)
    return totp, codes


def events(at: Desk) -> list[int]:
    return [one.number for one in at.services.events.list(ROOT, limit=100)]


def test_a_secret_counts_only_once_a_code_of_it_was_shown(at: Desk, clock: FakeClock) -> None:
    anna = signed_in(at)
    with pytest.raises(Unauthenticated, match="password is wrong"):
        at.services.second_factor.begin(anna, "another password")
    forgotten = at.services.second_factor.begin(anna, PASSWORD)
    made = at.services.second_factor.begin(anna, PASSWORD)
    parsed = pyotp.parse_uri(made.uri)
    assert isinstance(parsed, pyotp.TOTP)
    assert (parsed.secret, parsed.name, parsed.issuer, parsed.interval) == (made.secret, "anna", "Plimsoll", 30)
    assert at.services.second_factor.own(anna).waiting
    signed_in(at)
    for wrong in (pyotp.TOTP(forgotten.secret).at(int(clock())), "12345", ""):
        with pytest.raises(BadInput, match="nothing was changed"):
            at.services.second_factor.confirm(anna, wrong)
    assert at.services.second_factor.own(anna).since is None
    codes = at.services.second_factor.confirm(anna, pyotp.TOTP(made.secret).at(int(clock())))
    assert len(set(codes)) == 10
    assert at.services.second_factor.own(anna).recovery_codes == 10
    with pytest.raises(CodeNeeded):
        signed_in(at)
    assert FACTOR_ADDED in events(at)
    with pytest.raises(Conflict, match="you have a second factor"):
        at.services.second_factor.begin(anna, PASSWORD)


def test_other_sessions_end_when_a_second_factor_begins(at: Desk, clock: FakeClock) -> None:
    other = at.services.access.sign_in("anna", PASSWORD, "10.0.0.66")
    enrolled(at, clock)
    with pytest.raises(Unauthenticated):
        at.services.access.authenticate_session(other.secret, "")
    assert len(at.services.sessions.of_user(ROOT, "anna")) == 1


def test_whether_a_code_is_needed_is_told_after_the_right_password_only(at: Desk, clock: FakeClock) -> None:
    totp, _ = enrolled(at, clock)
    with pytest.raises(Unauthenticated) as wrong:
        at.services.access.sign_in("anna", "another password", "", code=totp.at(int(clock())))
    assert not isinstance(wrong.value, CodeNeeded)
    with pytest.raises(CodeNeeded):
        at.services.access.sign_in("anna", PASSWORD, "")
    assert at.services.access.user(ROOT, "anna").failures == 1, "to be asked for the code is no failure"


def test_a_code_counts_within_a_step_and_once(at: Desk, clock: FakeClock) -> None:
    totp, _ = enrolled(at, clock)
    code = totp.at(int(clock()))
    assert signed_in(at, f" {code[:3]} {code[3:]} ").name == "anna"
    with pytest.raises(CodeNeeded, match="used before"):
        signed_in(at, code)
    clock.advance(90)
    late, early = totp.at(int(clock()) - 30), totp.at(int(clock()) + 30)
    for out in (totp.at(int(clock()) - 60), totp.at(int(clock()) + 60)):
        with pytest.raises(CodeNeeded):
            signed_in(at, out)
    signed_in(at, late)
    signed_in(at, early)
    with pytest.raises(CodeNeeded):
        signed_in(at, totp.at(int(clock())))
    assert [one.how for one in at.services.sessions.of_user(ROOT, "anna")].count("code") == 3


def test_wrong_codes_lock_as_wrong_passwords_do(at: Desk, clock: FakeClock) -> None:
    totp, codes = enrolled(at, clock)
    for _ in range(4):
        with pytest.raises(CodeNeeded):
            signed_in(at, "000000")
    with pytest.raises(Unauthenticated):
        at.services.access.sign_in("anna", "another password", "")
    assert LOCKED_OUT in events(at)
    for code in (totp.at(int(clock())), codes[0]):
        with pytest.raises(Unauthenticated) as refused:
            signed_in(at, code)
        assert not isinstance(refused.value, CodeNeeded)
    clock.advance(LOCK_SECONDS)
    signed_in(at, totp.at(int(clock())))


def test_a_recovery_code_is_good_once(at: Desk, clock: FakeClock) -> None:
    _, codes = enrolled(at, clock)
    anna = signed_in(at, codes[3].upper().replace("-", " "))
    assert at.services.second_factor.own(anna).recovery_codes == 9
    assert RECOVERY_USED in events(at)
    with pytest.raises(CodeNeeded):
        signed_in(at, codes[3])
    renewed = at.services.second_factor.renew_recovery_codes(anna, PASSWORD, codes[4])
    with pytest.raises(CodeNeeded):
        signed_in(at, codes[5])
    signed_in(at, renewed[0])


def test_it_is_removed_by_password_and_code(at: Desk, clock: FakeClock) -> None:
    totp, codes = enrolled(at, clock)
    anna = signed_in(at, codes[0])
    with pytest.raises(Unauthenticated):
        at.services.second_factor.remove(anna, "another password", totp.at(int(clock())))
    with pytest.raises(BadInput, match="the code is wrong"):
        at.services.second_factor.remove(anna, PASSWORD, "000000")
    assert at.services.access.user(ROOT, "anna").failures == 2
    at.services.second_factor.remove(anna, PASSWORD, totp.at(int(clock())))
    assert FACTOR_REMOVED in events(at)
    assert not at.services.access.user(ROOT, "anna").second_factor
    signed_in(at)
    with pytest.raises(Conflict, match="no second factor"):
        at.services.second_factor.remove(anna, PASSWORD, codes[1])


def test_a_stolen_session_cannot_try_codes_for_long(at: Desk, clock: FakeClock) -> None:
    _, codes = enrolled(at, clock)
    anna = signed_in(at, codes[0])
    for _ in range(5):
        with pytest.raises(BadInput):
            at.services.second_factor.remove(anna, PASSWORD, "000000")
    with pytest.raises(Unauthenticated, match="locked"):
        at.services.second_factor.remove(anna, PASSWORD, codes[1])


def test_an_administrator_takes_it_away(at: Desk, clock: FakeClock) -> None:
    enrolled(at, clock)
    with pytest.raises(Forbidden):
        at.services.second_factor.reset(Principal("user", "bert", ROOT.role.OPERATOR, "web"), "anna")
    assert at.services.access.user(ROOT, "anna").second_factor
    at.services.second_factor.reset(ROOT, "anna")
    signed_in(at)
    with pytest.raises(Conflict):
        at.services.second_factor.reset(ROOT, "anna")
    with pytest.raises(BadInput, match="only a user"):
        at.services.second_factor.begin(ROOT, PASSWORD)


def test_secrets_stand_nowhere_in_clear(at: Desk, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    totp, codes = enrolled(at, clock)
    signed_in(at, codes[0])
    dump = "\n".join(dump_of(at.home.store)) + caplog.text + repr(at.services.access.audit(ROOT))
    for text in (totp.secret, *codes, *(code.replace("-", "") for code in codes)):
        assert text not in dump
    key = at.home.path / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    with pytest.raises(Conflict, match=r"secrets\.key.*backup"):
        signed_in(at, totp.at(int(clock())))


def test_what_is_sealed_cannot_be_moved_or_changed(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path)
    sealed = sealer.seal("a secret", "totp:anna")
    assert sealed != sealer.seal("a secret", "totp:anna")
    assert Sealer(tmp_path).open(sealed, "totp:anna") == "a secret"
    for wrong, about in (
        (sealed, "totp:bert"),
        (sealed[:-4] + "AAA=", "totp:anna"),
        ("", "totp:anna"),
        ("ü", "totp:anna"),
    ):
        with pytest.raises(Conflict):
            sealer.open(wrong, about)


def test_codes_are_those_of_rfc_6238() -> None:
    """Appendix B, SHA-1, the last six of its eight digits."""
    secret_of_the_rfc = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for at, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert step_of(secret_of_the_rfc, code, at, 0) == at // 30


def test_the_picture_of_the_secret_needs_no_style_and_no_script() -> None:
    root = ElementTree.fromstring(qr_svg("otpauth://totp/Plimsoll:anna?secret=ABC"))
    assert root.tag.endswith("svg") and "style" not in root.attrib
    assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {"svg", "title", "path", "g"}


def test_an_administrator_is_reset_by_the_socket_alone(at: Desk, clock: FakeClock) -> None:
    enrolled(at, clock)
    anna = Principal("user", "anna", ROOT.role, "web")
    with pytest.raises(Forbidden, match="own computer"):
        at.services.access.reset_administrator(anna, "anna")
    at.services.access.update_user(ROOT, "anna", disabled=True)
    made = at.services.access.reset_administrator(ROOT, "anna")
    assert made.password is not None
    assert at.services.access.sign_in("anna", made.password, "").principal.name == "anna"
    at.services.access.create_user(ROOT, "bert", PASSWORD, "auditor")
    with pytest.raises(Conflict, match="no administrator"):
        at.services.access.reset_administrator(ROOT, "bert")
    with pytest.raises(BadInput, match="at least"):
        at.services.access.reset_administrator(ROOT, "anna", "short")
    assert at.services.access.sign_in("anna", made.password, "").principal.name == "anna"
    assert ADMINISTRATOR_RESET in events(at)
