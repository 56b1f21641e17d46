"""Every opening, fed byte by byte; what it refuses, and that nothing else ever leaves it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.starttls import DEFAULT_OPENINGS, OPENINGS, Opening, OpeningError, open_with

PRELOGIN_ANSWER = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes(6)


def tds(payload: bytes, kind: int = 4, status: int = 1) -> bytes:
    return struct.pack(">BBHHBB", kind, status, len(payload) + 8, 0, 1, 0) + payload


def greeting(capabilities: int) -> bytes:
    payload = b"\x0a8.0.36\0" + bytes(4) + bytes(8) + b"\0" + struct.pack("<H", capabilities) + b"!" + bytes(15)
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def rdp(kind: int, value: int) -> bytes:
    body = bytes([14, 0xD0, 0, 0, 0x12, 0x34, 0]) + struct.pack("<BBHI", kind, 0, 8, value)
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def ldap(code: int, text: bytes = b"", number: int = 1) -> bytes:
    result = bytes([0x0A, 1, code, 4, 0, 4, len(text)]) + text
    return bytes([0x30, 5 + len(result), 2, 1, number, 0x78, len(result)]) + result


def pg_error(text: bytes) -> bytes:
    fields = b"SFATAL\0C53300\0M" + text + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


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
    "xmpp-server": [
        (FEATURES, b"<starttls "),
        (b"<tls:proceed xmlns:tls='urn:ietf:params:xml:ns:xmpp-tls'>\n</tls:proceed>", b""),
    ],
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
    ("imap", b"* OK hi\r\n* BYE bored\r\n", "does not answer STARTTLS: '\\* BYE bored'"),
    ("pop3", b"-ERR\r\n", "does not greet"),
    ("pop3", b"+OK\r\n-ERR no\r\n", "refuses STLS"),
    ("ftp", b"220 hi\r\n534 no\r\n", "refuses AUTH TLS"),
    ("nntp", b"200 hi\r\n580 no\r\n", "refuses STARTTLS"),
    ("sieve", b'"SASL" ""\r\nOK\r\n', "does not offer STARTTLS"),
    ("sieve", b'"SASL" "PLAIN"\r\nOK {3}\r\nhi!\r\n', "does not offer STARTTLS; it offers 'SASL'"),
    ("sieve", b'"STARTTLS"\r\nOK\r\nNO {5}\r\nnever\r\n', "refuses STARTTLS: 'NO never'"),
    ("ldap", ldap(2), r"result 2 \(protocolError\)$"),
    ("ldap", ldap(52, b"TLS is not set up"), r"result 52 \(unavailable\): 'TLS is not set up'"),
    ("ldap", ldap(52, b"", 0), r"ends the connection with result 52"),
    ("ldap", ldap(0, b"", 9), r"not asked"),
    ("ldap", ldap(0).replace(b"\x0a\x01\x00", b"\x0a\x00\x00"), "not LDAP"),
    ("ldap", b"HTTP/1.1 400\r\n", "not LDAP's: 'HTTP/1.1 400'"),
    ("ldap", b"0\x84\x7f\xff\xff\xff", "not LDAP"),
    ("xmpp", FEATURES.replace(b"xmpp-tls", b"xmpp-no"), "does not offer starttls"),
    ("xmpp", b"HTTP/1.1 400\r\n", "not XMPP"),
    ("xmpp", b"<stream:stream><stream:features/>", "does not offer starttls"),
    (
        "xmpp",
        b"<stream:stream><stream:error><host-unknown xmlns='x'/></stream:error>",
        "ends the stream: 'host-unknown'",
    ),
    ("xmpp", FEATURES + b"<failure xmlns='x'/></stream:stream>", "refuses starttls"),
    ("postgres", b"N", "does not speak TLS"),
    ("postgres", b"EHLO you\r\n", "not PostgreSQL's: 'EHLO you'"),
    ("postgres", b"220 mail\r\n", "not PostgreSQL's: '220 mail'"),
    ("postgres", pg_error(b"too many connections"), "refuses the connection: 'too many connections'"),
    ("postgres", b"Sx", "went on in clear text"),
    ("mysql", greeting(0), "does not offer TLS: it is '8.0.36'"),
    ("mysql", b"\x17\0\0\0\xff\x10\x04Too many connections", "refuses the connection: '1040 Too many connections'"),
    ("mysql", b"SSH-2.0-OpenSSH\r\n", "not MySQL's: 'SSH-2.0-OpenSSH'"),
    ("mssql", tds(PRELOGIN_ANSWER + b"\x02"), "does not speak TLS"),
    ("mssql", tds(PRELOGIN_ANSWER + b"\x07"), "0x07, which is unknown"),
    ("mssql", tds(b"\xff"), "does not speak of encryption"),
    ("mssql", tds(b"", status=0) * 20, "has no end"),
    ("mssql", b"SSH-2.0-OpenSSH\r\n", "not TDS"),
    ("rdp", rdp(3, 5), "requires CredSSP"),
    ("rdp", bytes([3, 0, 0, 11, 6, 0xD0, 0, 0, 0, 0, 0]), "own encryption"),
    ("rdp", bytes([3, 0, 0, 11, 6, 0x80, 0, 0, 0, 0, 0]), "TPDU 0x80"),
    ("rdp", rdp(2, 0), "own encryption"),
    ("rdp", b"HTTP/1.1 400 Bad\r\n", "not Remote Desktop's: 'HTTP/1.1 400 Bad'"),
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
    assert not machine.ready
    with pytest.raises(OpeningError):
        machine.feed(b"220 go on\r\n")  # what failed stays failed
    assert not machine.ready
    machine = open_with(name)
    machine.start()
    with pytest.raises(OpeningError):
        feed(machine, said, 1)


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
@given(data=st.data())
def test_only_the_documented_error_leaves_a_talk_gone_wrong(name: str, data: st.DataObject) -> None:
    """As agreed, with some bytes changed, left out or put in: further than noise, it reaches every state."""
    talk = b"".join(said for said, _ in AGREED[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(talk)))
        gone = data.draw(st.integers(0, 4))
        talk = talk[:place] + data.draw(st.binary(max_size=4)) + talk[place + gone :]
    machine = open_with(name)
    machine.start()
    size = data.draw(st.integers(1, 40))
    try:
        for start in range(0, len(talk), size):
            assert len(machine.feed(talk[start : start + size])) < 200
    except OpeningError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("name", ["xmpp", "mssql", "ldap", "sieve"])
@pytest.mark.parametrize(
    "piece", [b"<features>", b"<proceed ", b">", b"<a", b"\4\0\0\x08\0\0\1\0", b'"x"\r\n', b"0\x82"]
)
def test_an_enemy_who_sends_a_byte_at_a_time_is_left_soon(name: str, piece: bytes) -> None:
    """Written to cost the most if bytes were looked at again and again; pytest's time-out would end that."""
    machine = open_with(name)
    machine.start()
    with pytest.raises(OpeningError):
        feed(machine, b"<stream>" * (name == "xmpp") + piece * 20_000, 1)


@pytest.mark.parametrize("name", OPENINGS)
def test_what_never_ends_is_ended(name: str) -> None:
    machine = open_with(name)
    machine.start()
    endless = {"imap": b"* x", "sieve": b'"x'}.get(name, b"220-")
    with pytest.raises(OpeningError):
        for _ in range(40_000):
            machine.feed(endless + b"\r\n" if name != "xmpp" else b"<x>" * 20)


def test_tds_goes_over_to_plain_tls_after_the_handshake() -> None:
    machine = open_with("mssql")
    assert machine.unwrap(tds(b"\x16\x03\x03 finished", 0x12) + b"\x17\x03\x03 ticket") == (
        b"\x16\x03\x03 finished\x17\x03\x03 ticket"
    )
    assert machine.unwrap(b"more") == b"more"
    with pytest.raises(OpeningError, match="does not pack"):
        open_with("mssql").unwrap(b"HTTP/1.1 400 Bad Request")


def test_ports_have_openings_that_exist() -> None:
    assert set(DEFAULT_OPENINGS.values()) == set(OPENINGS)


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
