"""The head of an HTTP/1.1 request, read strictly (RFC 9112). Sans-IO.

Refused rather than repaired: a bare line feed, folded lines, spaces before a colon, two lengths, a length together
with a transfer coding, any transfer coding at all. Two parsers that repair differently are how requests are smuggled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_MAX_FIELDS = 100
_MAX_DIGITS = 15

# The names that our own programs send, already checked and in lower case: a hit saves a regular expression.
_NAMES: dict[str, str] = {}


class HeadError(ValueError):
    """The request must be refused with `status`, and its connection closed."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Head:
    method: str
    target: str
    headers: dict[str, str]
    length: int
    keep_alive: bool
    expects_continue: bool


def find_head(data: bytes, limit: int) -> int:
    """Where the head ends, its empty line included, or -1 while it is not whole. Raises HeadError beyond the limit."""
    end = data.find(b"\r\n\r\n", 0, limit + 4)
    if end >= 0:
        return end + 4
    if len(data) > limit:
        raise HeadError(431, f"the request's head is longer than {limit} bytes")
    # It will never end rightly: say so now rather than at the time-out.
    if b"\n\n" in data or data[:1] in b"\r\n":
        raise HeadError(400, "the request's lines must end with CR LF")
    return -1


def parse_head(data: bytes) -> Head:
    """The head without its empty line. Raises HeadError."""
    lines = data.decode("latin-1").split("\r\n")
    method, target, version = _request_line(lines[0])
    if len(lines) > _MAX_FIELDS:
        raise HeadError(431, f"the request has more than {_MAX_FIELDS} header fields")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        lower = _NAMES.get(name) or _learn(name)
        value = value.strip(" \t")
        if not colon or not _VALUE.fullmatch(value):
            raise HeadError(400, "a header field is malformed")
        if lower in headers:
            if lower in ("content-length", "host", "transfer-encoding"):
                raise HeadError(400, f"the header field {lower} is repeated")
            value = f"{headers[lower]}, {value}"
        headers[lower] = value
    if version == "HTTP/1.1" and "host" not in headers:
        raise HeadError(400, "the header field host is missing")
    connection = headers.get("connection", "").lower()
    keep = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    return Head(method, target, headers, _length(headers), keep, _expects_continue(headers))


def _request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise HeadError(400, "the request line is malformed")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise HeadError(505 if version.startswith("HTTP/") else 400, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    return method, target, version


def _learn(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise HeadError(400, "a header field's name is malformed")
    lower = name.lower()
    if len(_NAMES) < 256:
        _NAMES[name] = lower
    return lower


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        if "content-length" in headers:
            raise HeadError(400, "a length together with a transfer coding")
        raise HeadError(501, "transfer codings are not spoken here; send a content-length")
    text = headers.get("content-length")
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise HeadError(400, "the content-length is no number")
    return int(text)


def _expects_continue(headers: dict[str, str]) -> bool:
    expect = headers.get("expect")
    if expect is None:
        return False
    if expect.lower() != "100-continue":
        raise HeadError(417, "only 100-continue can be expected here")
    return True
