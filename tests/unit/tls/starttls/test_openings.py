"""Every opening, fed byte by byte; what it refuses, and that nothing else ever leaves it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.starttls import OPENINGS, Opening, OpeningError, open_with

PRELOGIN_ANSWER = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes(6)


def tds(payload: bytes, kind: int = 4, status: int = 1) -> bytes:
    return struct.pack(">BBHHBB", kind, status, len(payload) + 8, 0, 1, 0) + payload


def greeting(capabilities: int) -> bytes:
    payload = b"\x0a8.0.36\0" + bytes(4) + bytes(8) + b"\0" + struct.pack("<H", capabilities) + b"!" + bytes(15)
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def rdp(kind: int, value: int) -> bytes:
    body = bytes([14, 0xD0, 0, 0, 0x12, 0x34, 0]) + struct.pack("<BBHI", kind, 0, 8, value)
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def ldap(code: int) -> bytes:
    return bytes([0x30, 0x0C, 2, 1, 1, 0x78, 7, 0x0A, 1, code, 4, 0, 4, 0])


FEATURES = (
    b"<?xml version='1.0'?><stream:stream xmlns:stream='x' id='1'><stream:features>"
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
)

#: What the peer says, turn by turn, and what of ours must appear before the next turn.
AGREED: dict[str, list[tuple[bytes, bytes]]] = {
    "smtp": [
        (b"220-mail\r\n220 ready\r\n", b"EHLO "),
        (b"250-mail\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n", b"STARTTLS\r\n"),
        (b"220 go\r\n", b""),
    ],
    "lmtp": [
        (b"220 mail\r\n", b"LHLO "),
        (b"250-mail\r\n250 STARTTLS\r\n", b"STARTTLS\r\n"),
        (b"220 2.0.0 go\r\n", b""),
    ],
    "imap": [(b"* OK [CAPABILITY IMAP4rev1] hi\r\n", b"a1 STARTTLS\r\n"), (b"* CAPABILITY x\r\na1 OK go\r\n", b"")],
    "pop3": [(b"+OK hi <1@x>\r\n", b"STLS\r\n"), (b"+OK go\r\n", b"")],
    "ftp": [(b"220-Welcome\r\n to here\r\n220 ready\r\n", b"AUTH TLS\r\n"), (b"234 go\r\n", b"")],
    "nntp": [(b"201 hi\r\n", b"STARTTLS\r\n"), (b"382 go\r\n", b"")],
    "sieve": [
        (b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\n"VERSION" "1.0"\r\nOK "hi"\r\n', b"STARTTLS\r\n"),
        (b'OK "go"\r\n', b""),
    ],
    "ldap": [(ldap(0), b"")],
    "xmpp": [(FEATURES, b"<starttls "), (b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"")],
    "postgres": [(b"S", b"")],
    "mysql": [(greeting(0xFFFF), struct.pack("<I", 32 | 1 << 24))],
    "mssql": [(tds(PRELOGIN_ANSWER + b"\x01"), b"")],
    "rdp": [(rdp(2, 1), b"")],
}

REFUSED: list[tuple[str, bytes, str]] = [
    ("smtp", b"554 go away\r\n", "does not greet: '554 go away'"),
    ("smtp", b"220 hi\r\n502 what\r\n", "refuses EHLO"),
    ("smtp", b"220 hi\r\n250-mail\r\n250 HELP\r\n", "does not offer STARTTLS"),
    ("smtp", b"220 hi\r\n250 STARTTLS\r\n454 not now\r\n", "refuses STARTTLS: '454 not now'"),
    ("smtp", b"SSH-2.0-OpenSSH\r\n", "which is no reply"),
    ("smtp", b"220 hi\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n", "went on in clear text"),
    ("imap", b"* BYE busy\r\n", "does not greet"),
    ("imap", b"* OK hi\r\na1 BAD no\r\n", "refuses STARTTLS"),
    ("pop3", b"-ERR\r\n", "does not greet"),
    ("pop3", b"+OK\r\n-ERR no\r\n", "refuses STLS"),
    ("ftp", b"220 hi\r\n534 no\r\n", "refuses AUTH TLS"),
    ("nntp", b"200 hi\r\n580 no\r\n", "refuses STARTTLS"),
    ("sieve", b'"SASL" ""\r\nOK\r\n', "does not offer STARTTLS"),
    ("ldap", ldap(2), "result code 2"),
    ("ldap", b"HTTP/1.1 400\r\n", "not LDAP"),
    ("xmpp", FEATURES.replace(b"xmpp-tls", b"xmpp-no"), "does not offer starttls"),
    ("xmpp", b"HTTP/1.1 400\r\n", "not XMPP"),
    ("postgres", b"N", "does not speak TLS"),
    ("postgres", b"E", "not PostgreSQL"),
    ("postgres", b"Sx", "went on in clear text"),
    ("mysql", greeting(0), "does not offer TLS"),
    ("mysql", b"\x17\0\0\0\xff\x10\x04Too many connections", "Too many connections"),
    ("mssql", tds(PRELOGIN_ANSWER + b"\x02"), "does not encrypt"),
    ("mssql", b"SSH-2.0-OpenSSH\r\n", "not TDS"),
    ("rdp", rdp(3, 5), "requires CredSSP"),
    ("rdp", bytes([3, 0, 0, 11, 6, 0xD0, 0, 0, 0, 0, 0]), "own encryption"),
    ("rdp", b"HTTP/1.1 400 Bad\r\n", "not that of Remote Desktop"),
]


def feed(machine: Opening, data: bytes, size: int) -> bytes:
    return b"".join(machine.feed(data[start : start + size]) for start in range(0, len(data), size))


def test_all_openings_are_tried() -> None:
    assert set(AGREED) == set(OPENINGS)


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("name", OPENINGS)
def test_agreed(name: str, size: int) -> None:
    machine = open_with(name, "chat.example")
    machine.start()
    for said, ours in AGREED[name]:
        assert not machine.ready
        assert ours in feed(machine, said, size)
    assert machine.ready


@pytest.mark.parametrize(("name", "said", "why"), REFUSED)
def test_refused(name: str, said: bytes, why: str) -> None:
    machine = open_with(name)
    machine.start()
    with pytest.raises(OpeningError, match=why):
        machine.feed(said)


@pytest.mark.parametrize("name", OPENINGS)
@given(pieces=st.lists(st.binary(max_size=60), max_size=8))
def test_only_the_documented_error_leaves(name: str, pieces: list[bytes]) -> None:
    machine = open_with(name)
    machine.start()
    try:
        for piece in pieces:
            machine.feed(piece)
            if machine.ready:
                machine.unwrap(piece)
    except OpeningError:
        pass


@pytest.mark.parametrize("name", OPENINGS)
def test_what_never_ends_is_ended(name: str) -> None:
    machine = open_with(name)
    machine.start()
    endless = {"imap": b"* x", "sieve": b'"x'}.get(name, b"220-")
    with pytest.raises(OpeningError):
        for _ in range(40_000):
            machine.feed(endless + b"\r\n" if name != "xmpp" else b"<x>" * 20)


@given(st.binary(max_size=20_000), st.integers(1, 5_000))
def test_tds_packs_and_unpacks_what_it_carries(data: bytes, size: int) -> None:
    machine, peer = open_with("mssql"), open_with("mssql")
    wire = machine.wrap(data)
    assert feed_unwrap(peer, wire, size) == data


def feed_unwrap(machine: Opening, data: bytes, size: int) -> bytes:
    return b"".join(machine.unwrap(data[start : start + size]) for start in range(0, len(data), size))


def test_an_unknown_opening_is_named() -> None:
    with pytest.raises(ValueError, match="gopher"):
        open_with("gopher")
