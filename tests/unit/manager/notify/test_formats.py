from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import RELEASE
from plimsoll.manager.notify.formats import (
    LONGEST,
    SyslogForm,
    cef,
    cut,
    framed,
    syslog_line,
    webhook_body,
    webhook_headers,
)
from plimsoll.manager.services.events import EventView

REFUSED = EventView(
    41, 1764100000.25, 770, "Agent/Appliance Heartbeat Rejected", "warning",
    "db-7 was refused: it offers TLSv1 at most",
    "c-7", "db-7", "manager",
    {"reason": "tls", "offered": "TLSv1", "floor": "TLSv1.2", "address": "10.0.0.7", "ja4": "t10", "count": 3},
)  # fmt: skip

#: RFC 5424 §6, as far as we use it.
LINE = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    rb"((?:\[(?:[^\]\\]|\\.)*\])+) (.*)",
    re.DOTALL,
)


def parts(line: bytes) -> tuple[bytes, ...]:
    found = LINE.fullmatch(line)
    assert found is not None, line
    return found.groups()


def extension(text: str) -> dict[str, str]:
    """CEF's extension, read as a receiver does: a key begins where a name stands before an equals sign of its own."""
    places = [*re.finditer(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "..", text))]
    ends = [*(place.start() for place in places[1:]), len(text)]
    values = (text[place.end() : end] for place, end in zip(places, ends, strict=True))
    unescaped = (re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value) for value in values)
    return dict(zip((place[1] for place in places), unescaped, strict=True))


def test_a_line_has_the_fields_of_rfc_5424() -> None:
    line = syslog_line(REFUSED, SyslogForm(host="dsm.example.com"), "install-1")
    priority, stamp, host, program, process, message, known, body = parts(line)
    assert int(priority) == 16 * 8 + 4
    assert stamp == b"2025-11-25T19:46:40.250Z"
    assert (host, program, process, message) == (b"dsm.example.com", b"plimsoll", b"install-1", b"770")
    assert known == f'[origin software="Plimsoll" swVersion="{RELEASE}"][meta sequenceId="41"]'.encode()
    assert body == cef(REFUSED).encode()


@pytest.mark.parametrize(("level", "severity"), [("error", 3), ("warning", 4), ("info", 6)])
def test_the_priority_is_facility_and_severity(level: str, severity: int) -> None:
    line = syslog_line(replace(REFUSED, level=level), SyslogForm(facility="audit"), "i")
    assert line.startswith(f"<{13 * 8 + severity}>1 ".encode())


def test_plain_text_says_its_encoding() -> None:
    *_, body = parts(syslog_line(replace(REFUSED, description="zurück\nnachts"), SyslogForm("text"), "i"))
    assert body == b"\xef\xbb\xbf" + "Agent/Appliance Heartbeat Rejected: zurück nachts".encode()


def test_the_sequence_begins_again_within_its_bounds() -> None:
    assert b'sequenceId="1"' in syslog_line(replace(REFUSED, id=2**31), SyslogForm(), "i")
    assert b'sequenceId="2147483647"' in syslog_line(replace(REFUSED, id=2**31 - 1), SyslogForm(), "i")


def test_cef_names_the_computer_the_reason_and_both_versions() -> None:
    head, _, rest = cef(REFUSED).rpartition("|")
    assert head == f"CEF:0|Plimsoll|Manager|{RELEASE}|770|Agent/Appliance Heartbeat Rejected|6"
    said = extension(rest)
    assert said["dhost"] == "db-7"
    assert said["deviceExternalId"] == "c-7"
    assert said["src"] == "10.0.0.7"
    assert said["reason"] == "tls"
    assert said["rt"] == "1764100000250"
    assert {said["cs1Label"]: said["cs1"], said["cs2Label"]: said["cs2"]} == {"offered": "TLSv1", "floor": "TLSv1.2"}
    assert said["msg"] == REFUSED.description


def test_cef_escapes_what_would_change_its_fields() -> None:
    event = replace(REFUSED, name=r"a|b\c", target="x=y", description="one\r\ntwo=2 \\ cat=evil")
    text = cef(event)
    assert r"|a\|b\\c|" in text
    assert "\n" not in text
    said = extension(text[text.rindex("|") + 1 :])
    assert said["dhost"] == "x=y"
    assert said["msg"] == "one\ntwo=2 \\ cat=evil"
    assert "cat" not in said


@given(st.text(max_size=3000), st.text(max_size=40), st.text(max_size=40))
def test_no_event_breaks_a_line(description: str, name: str, target: str) -> None:
    event = replace(REFUSED, description=description, name=name, target=target)
    for form in ("cef", "text"):
        line = syslog_line(event, SyslogForm(form, host="h"), "i")
        parts(line)
        assert len(line) <= LONGEST
        assert b"\n" not in line
        line.decode()


def test_a_cut_never_parts_a_character() -> None:
    assert cut("ü".encode() * 10, 5) == "üü".encode()
    assert cut(b"short", 5) == b"short"
    assert framed(b"abc") == b"3 abc"


def test_a_delivery_is_signed_as_the_specification_says() -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    body = webhook_body([REFUSED], "install-1")
    headers = webhook_headers(secret, "msg_1", 1764100000.9, body)
    expected = hmac.digest(bytes(range(32)), b"msg_1.1764100000." + body, hashlib.sha256)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert headers["webhook-timestamp"] == "1764100000"
    document = json.loads(body)
    assert document["schema"] == "plimsoll-events/1"
    assert document["installation"] == "install-1"
    assert document["events"] == [REFUSED.as_json()]
