"""plimsoll ca, against canned answers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.fake import FakeManager, Shell

from plimsoll.cli._errors import Code

OLD, NEW = "a" * 64, "b" * 64


def member(name: str, state: str, shown: str = OLD) -> dict[str, Any]:
    return {
        "computer": f"id-{name}", "name": name, "kind": "agent", "state": state, "online": state != "offline",
        "lastSeen": 1_800_000_000.0, "trusts": [OLD, NEW], "shown": shown,
    }  # fmt: skip


def answer(state: str = "announce", **computers: int) -> dict[str, Any]:
    behind = [member("web-1", "offline")] if computers.get("offline") else []
    return {
        "authorities": [
            {"fingerprint": one, "keyHash": f"hash-{one[0]}", "notBefore": 1.0, "notAfter": 2_000_000_000.0,
             "issues": one == (NEW if state == "switch" else OLD), "certificate": f"PEM {one[0]}\n", "advice": ""}
            for one in (OLD, NEW)
        ],
        "rotation": {
            "id": 1, "created": 1.8e9, "who": "user:anna", "state": state, "entered": 1.8e9, "soaked": 0.0,
            "soak": 600.0, "byItself": True, "old": OLD, "new": NEW, "text": "how it stands", "computers": computers,
            "behind": behind, "oldTokens": 2, "reasons": {"switch": "it burned"}, "ended": None,
            "log": [{"time": 1.8e9, "stage": "announce", "what": "started", "text": "t", "who": "user:anna"}],
        },
    }  # fmt: skip


def shell(**answers: Any) -> tuple[Shell, FakeManager]:
    table: Any = {("GET", "/api/ca"): (200, answers.get("show", answer(ready=2)))}
    table |= {
        ("POST", f"/api/ca/{what}"): (200, answer(ready=2)) for what in ("rotate", "renew", "switch", "retire", "back")
    }
    table[("GET", "/api/ca/computers")] = (200, {"computers": [member("web-1", "offline"), member("db", "ready")]})
    manager = FakeManager(table)
    return Shell(manager), manager


def test_what_is_trusted_and_as_files_hold_it() -> None:
    used, _ = shell()
    ran = used.run("plimsoll ca show")
    assert ran.code == Code.OK
    assert "issues" in ran.out
    assert "hash-b" in ran.out
    assert used.run("plimsoll ca show --pem").out == "PEM a\nPEM b\n"


def test_a_rotation_begins_with_what_was_asked() -> None:
    used, manager = shell()
    assert used.run("plimsoll ca rotate --soak 1h --by-hand --leave-behind burned").code == Code.OK
    assert manager.asked[-1][3] == {"byItself": False, "soak": 3600.0, "leaveBehind": "burned"}
    assert used.run("plimsoll ca rotate --soak soon").code == Code.USAGE


def test_a_renewal_carries_nothing_and_says_that_the_key_is_the_same() -> None:
    used, manager = shell()
    ran = used.run("plimsoll ca renew")
    assert (ran.code, manager.asked[-1][:2]) == (Code.OK, ("POST", "/api/ca/renew"))
    assert "renewed with the same key" in ran.err


@pytest.mark.parametrize("what", ["switch", "retire", "back"])
def test_each_step_may_carry_a_reason(what: str) -> None:
    used, manager = shell()
    assert used.run(f"plimsoll ca {what}").code == Code.OK
    assert manager.asked[-1] == ("POST", f"/api/ca/{what}", {}, {"leaveBehind": ""})
    used.run(f"plimsoll ca {what} --leave-behind 'it burned'")
    assert manager.asked[-1][3] == {"leaveBehind": "it burned"}


def test_the_status_says_by_its_exit_code_whether_somebody_is_in_the_way() -> None:
    used, _ = shell(show=answer(ready=2, offline=1))
    ran = used.run("plimsoll ca status")
    assert ran.code == Code.BLOCKERS
    assert "2 ready" in ran.out
    assert "web-1" in ran.out
    assert "left behind at switch:" in ran.out
    used, _ = shell(show=answer("switch", ready=3))
    ran = used.run("plimsoll ca status")
    assert ran.code == Code.OK
    assert "plimsoll ca retire" in ran.err
    assert "2 activation tokens" in ran.err
    used, _ = shell(show=answer() | {"rotation": None})
    assert "never rotated" in used.run("plimsoll ca status").err


def test_computers_one_by_one_and_a_watch_that_ends_where_a_person_is_needed() -> None:
    used, manager = shell(show=answer("switch", ready=3))
    ran = used.run("plimsoll ca status --state offline")
    assert "db" in ran.out
    assert manager.asked[-1][2] == {"limit": "1000", "state": "offline"}
    ran = used.run("plimsoll ca status --watch")
    assert ran.code == Code.OK
    assert "announce: started: t" in ran.out
    assert "plimsoll ca retire" in ran.err
