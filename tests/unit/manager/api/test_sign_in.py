"""Sessions and second factors as REST shows them, to a person who signed in."""

from __future__ import annotations

import time

import pyotp
from tests.unit.manager.api.client import Client, GateConnection
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.ports import socket_principal

ROOT = socket_principal(0)
PASSWORD = "correct horse battery"


def person(made: Made, name: str, code: str | None = None) -> Client:
    session = made.backend.services.access.sign_in(name, PASSWORD, "192.0.2.1", code=code)
    return Client(made.app, GateConnection(), {"cookie": f"sid={session.secret}"})


def test_a_person_adds_a_second_factor_and_an_administrator_takes_it_away(made: Made) -> None:
    made.backend.services.access.create_user(ROOT, "dora", PASSWORD, "auditor")
    dora = person(made, "dora")
    factor = "/api/administrators/current/secondfactor"
    assert dora.get(factor) == {"since": None, "waiting": False, "recoveryCodes": 0}
    dora.post(factor, {"password": "another password"}, expect=401)
    given = dora.post(factor, {"password": PASSWORD})
    totp = pyotp.TOTP(given["secret"])
    dora.post(f"{factor}/confirm", {"code": "12345"}, expect=400)
    codes = dora.post(f"{factor}/confirm", {"code": totp.at(int(time.time()))})["recoveryCodes"]
    shown = dora.get(factor)
    assert shown["since"] is not None and shown["recoveryCodes"] == 10
    assert given["secret"] not in str(shown)
    more = dora.post(f"{factor}/recoverycodes", {"password": PASSWORD, "code": codes[0]})["recoveryCodes"]
    assert not set(more) & set(codes)
    assert made.local().get("/api/administrators/dora")["secondFactor"] is True
    dora.delete("/api/administrators/dora/secondfactor", expect=403)
    made.local().delete("/api/administrators/dora/secondfactor")
    assert made.local().get("/api/administrators/dora")["secondFactor"] is False


def test_a_person_sees_and_ends_own_sessions(made: Made) -> None:
    made.backend.services.access.create_user(ROOT, "emil", PASSWORD, "auditor")
    one, other = person(made, "emil"), person(made, "emil")
    sessions = "/api/administrators/current/sessions"
    found = one.get(sessions)["sessions"]
    assert len(found) == 2 and [each["current"] for each in found].count(True) == 1
    theirs = next(each for each in found if not each["current"])
    one.delete(f"{sessions}/{theirs['ID']}")
    other.get(sessions, expect=401)
    third = person(made, "emil")
    assert one.delete(sessions) == {"ended": 1}
    third.get(sessions, expect=401)
    assert made.local().delete("/api/administrators/emil/sessions") == {"ended": 1}
    one.get(sessions, expect=401)
    assert made.local().get(sessions) == {"sessions": []}
