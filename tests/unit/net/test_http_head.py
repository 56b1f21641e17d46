"""Heads of requests: what is read, and what is refused because others could read it differently."""

from __future__ import annotations

import pytest

from plimsoll.net.http_head import HeadError, find_head, parse_head

GOOD = b"POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-Two: one\r\nx-two:  two \t"


def test_a_head_is_read() -> None:
    head = parse_head(GOOD)
    assert (head.method, head.target, head.length, head.keep_alive) == ("POST", "/a/b?c=d", 5, True)
    assert head.headers == {"host": "h", "content-length": "5", "x-two": "one, two"}


@pytest.mark.parametrize(
    ("line", "version", "keep"),
    [
        (b"", b"1.1", True),
        (b"\r\nConnection: close", b"1.1", False),
        (b"\r\nConnection: Keep-Alive, Close", b"1.1", False),
        (b"", b"1.0", False),
        (b"\r\nConnection: keep-alive", b"1.0", True),
    ],
)
def test_who_may_stay_connected(line: bytes, version: bytes, keep: bool) -> None:
    assert parse_head(b"GET / HTTP/" + version + b"\r\nHost: h" + line).keep_alive is keep


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked", 501),
        (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: ", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999999", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: \u00b2".encode("latin-1"), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\n Content-Length: 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded", 400),
        (b"GET / HTTP/1.1\r\nHost: h\nContent-Length: 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\rX: 3", 400),
        (b"GET / HTTP/1.1\r\nHost: h\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\n: no name", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i", 400),
        (b"GET / HTTP/1.1\r\nX: h", 400),
        (b"GET / HTTP/1.1\nHost: h", 400),
        (b"GET  / HTTP/1.1\r\nHost: h", 400),
        (b"GET http://h/ HTTP/1.1\r\nHost: h", 400),
        (b"GET /a b HTTP/1.1\r\nHost: h", 400),
        (b"GET / HTTP/2.0\r\nHost: h", 505),
        (b"GET / http/1.1\r\nHost: h", 400),
        (b"GET /", 400),
        (b"G\x7fT / HTTP/1.1\r\nHost: h", 400),
        (b"GET /\xe4 HTTP/1.1\r\nHost: h", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: a miracle", 417),
        (b"GET / HTTP/1.1\r\nHost: h" + b"\r\nX: y" * 100, 431),
        (b"", 400),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(HeadError) as caught:
        parse_head(data)
    assert caught.value.status == status


def test_a_head_is_found_however_it_is_cut() -> None:
    data = GOOD + b"\r\n\r\nbody"
    for size in range(1, len(data) + 1):
        found = find_head(data[:size], 1000)
        assert found == (len(GOOD) + 4 if size >= len(GOOD) + 4 else -1)


@pytest.mark.parametrize(
    ("data", "status"), [(b"x" * 101, 431), (b"GET / HTTP/1.1\nHost: h\n\n", 400), (b"\r\nGET /", 400), (b"\n", 400)]
)
def test_a_head_that_will_never_end_rightly_is_refused_at_once(data: bytes, status: int) -> None:
    with pytest.raises(HeadError) as caught:
        find_head(data, 100)
    assert caught.value.status == status
