"""An event in the words of those who listen: RFC 5424 lines, CEF, and the JSON body of a webhook with its signature.

Pure: no socket, no clock. Sources: RFC 5424 (syslog), RFC 5425 §4.3 (frames over TLS), RFC 6587 §3.4.1 (over TCP),
ArcSight's Common Event Format 26 (header and extension escapes), and the Standard Webhooks specification 1.0 (the
three ``webhook-`` headers).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plimsoll import RELEASE

if TYPE_CHECKING:
    from plimsoll.manager.services.events import EventView

#: RFC 5424 §6.2.1: 16 is local0, the usual place of what is no part of the operating system.
FACILITIES: Mapping[str, int] = {
    "user": 1, "daemon": 3, "auth": 4, "authpriv": 10, "audit": 13, **{f"local{n}": 16 + n for n in range(8)},
}  # fmt: skip
#: RFC 5424 §6.2.1, table 2.
SEVERITIES: Mapping[str, int] = {"error": 3, "warning": 4, "info": 6}
#: CEF counts from 0 to 10, the higher the worse.
_CEF_SEVERITIES: Mapping[str, int] = {"error": 8, "warning": 6, "info": 3}
#: What a receiver must take (RFC 5425 §4.3.1 asks for 2048, and to take 8192 where it can); longer ones are cut.
LONGEST = 8192
SCHEMA = "plimsoll-events/1"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the specification's mark, not a secret

_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class SyslogForm:
    """How a syslog receiver wants its lines. `form` is ``cef`` or ``text``; `host` is who speaks."""

    form: str = "cef"
    facility: str = "local0"
    host: str = ""


def syslog_line(event: EventView, form: SyslogForm, installation: str) -> bytes:
    """One RFC 5424 message, without framing, of at most `LONGEST` bytes.

    CEF goes out as plain UTF-8: its receivers look for ``CEF:`` where the byte order mark of RFC 5424 §6.4 would stand.
    """
    priority = FACILITIES[form.facility] * 8 + SEVERITIES.get(event.level, 6)
    stamp = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = _NOT_PRINTABLE.sub("", form.host)[:255] or "-"
    known = f'[origin software="Plimsoll" swVersion="{_quoted(RELEASE)}"][meta sequenceId="{_sequence(event.id)}"]'
    head = f"<{priority}>1 {stamp} {host} plimsoll {_NOT_PRINTABLE.sub('', installation)[:128] or '-'} {event.number}"
    if form.form == "cef":
        body = cef(event).encode()
    else:
        body = b"\xef\xbb\xbf" + _CONTROLS.sub(" ", f"{event.name}: {event.description}").encode()
    return cut(f"{head} {known} ".encode() + body)


def cut(line: bytes, most: int = LONGEST) -> bytes:
    """The line, or its beginning; never half of a character."""
    if len(line) <= most:
        return line
    return line[:most].decode(errors="ignore").encode()


def _sequence(number: int) -> int:
    # RFC 5424 §7.3.1: from 1 to 2147483647, then from 1 again.
    return (number - 1) % 2147483647 + 1


def _quoted(text: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", text)


def framed(line: bytes) -> bytes:
    """The frame of RFC 5425 §4.3 and RFC 6587 §3.4.1: its length, a space, the message."""
    return str(len(line)).encode() + b" " + line


def cef(event: EventView) -> str:
    """``CEF:0|Plimsoll|Manager|release|number|name|severity|extension``."""
    header = (
        "Plimsoll", "Manager", RELEASE, str(event.number), event.name, str(_CEF_SEVERITIES.get(event.level, 3)),
    )  # fmt: skip
    return "CEF:0|" + "|".join(map(_header, header)) + "|" + _extension(event)


def _header(text: str) -> str:
    return _CONTROLS.sub(" ", text).replace("\\", "\\\\").replace("|", "\\|")


def _extension(event: EventView) -> str:
    facts: list[tuple[str, str]] = [("rt", str(round(event.time * 1000))), ("externalId", str(event.id))]
    if event.computer:
        facts += [("deviceExternalId", event.computer), ("dhost", event.target)]
    elif event.target:
        facts.append(("duser" if event.target.startswith("user") else "destinationServiceName", event.target))
    address = event.extra.get("address")
    if isinstance(address, str) and address:
        facts.append(("src", address))
    reason = event.extra.get("reason")
    if isinstance(reason, str) and reason:
        facts.append(("reason", reason))
    customs = [(label, event.extra[key]) for key, label in _CUSTOM if isinstance(event.extra.get(key), str)]
    for number, (label, value) in enumerate(customs, 1):
        facts += [(f"cs{number}Label", label), (f"cs{number}", value)]
    facts.append(("msg", event.description))
    return " ".join(f"{name}={_value(value)}" for name, value in facts if value)


#: Facts of an event that have no key of CEF's own.
_CUSTOM = (("offered", "offered"), ("floor", "floor"), ("ja4", "ja4"), ("attribution", "attribution"), ("rule", "rule"))


def _value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=").replace("\r\n", "\n").replace("\r", "\n")
    return "".join("\\n" if mark == "\n" else " " if ord(mark) < 32 or ord(mark) == 127 else mark for mark in escaped)


def webhook_body(events: Sequence[EventView], installation: str) -> bytes:
    """The JSON document of one delivery."""
    document = {
        "schema": SCHEMA,
        "type": "events",
        "installation": installation,
        "release": RELEASE,
        "events": [event.as_json() for event in events],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def webhook_headers(secret: str, delivery: str, now: float, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows who sends, what is repeated and how old it is.

    The signature is HMAC-SHA256 over ``id.timestamp.body`` under the decoded secret, so that a recorded delivery
    cannot be sent again under another number or at another time.
    """
    stamp = str(int(now))
    signed = f"{delivery}.{stamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": f"Plimsoll/{RELEASE}",
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{digest}",
    }
