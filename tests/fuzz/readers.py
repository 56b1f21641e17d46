"""Every reader of bytes from strangers, as a function of any bytes that lets out no error but its documented one.

`make fuzz` drives them by coverage (`tests.fuzz.explore`), the tests in this folder by hypothesis. `seeds` are real
inputs, so that neither begins with noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.vectors import vectors

from plimsoll.net.http_head import HeadError, find_head, parse_head
from plimsoll.net.proxy import ProxyHeader, ProxyHeaderError, peek_proxy_header
from plimsoll.scan.der import CertificateError, read_certificate
from plimsoll.tls.alerts import parse_alert
from plimsoll.tls.flight import FlightReader
from plimsoll.tls.hello import ClientHello, HelloError, ServerHello, peek_client_hello, peek_server_hello
from plimsoll.tls.ja4 import ja4
from plimsoll.tls.records import to_records
from plimsoll.tls.spki import public_key, signature_name
from plimsoll.tls.sslv2 import peek_ssl2_hello
from plimsoll.tls.starttls import OPENINGS, OpeningError, open_with

Reader = Callable[[bytes], None]
_PROXY_LIMIT: Final = 536


def client_hello(data: bytes) -> None:
    """What the gate reads: the hello, or how much more it needs; and everything that is asked of a hello."""
    try:
        found = peek_client_hello(data)
    except HelloError as error:
        assert str(error)
        return
    if not isinstance(found, ClientHello):
        assert found > len(data)
        return
    assert found.newest is None or found.newest in found.offered
    assert len(ja4(found)) == 36
    _ = (found.server_name, found.alpn, found.groups, found.signature_schemes, found.fallback_scsv)
    again = peek_client_hello(found.encode())
    assert isinstance(again, ClientHello)
    assert (again.cipher_suites, again.extensions) == (found.cipher_suites, found.extensions)


def server_hello(data: bytes) -> None:
    """A server's first answer."""
    try:
        found = peek_server_hello(data)
    except HelloError:
        return
    if isinstance(found, ServerHello):
        assert ServerHello.parse(found.encode()) == found
        _ = (found.version, found.group, found.alpn, found.downgraded_to)


def flight(data: bytes) -> None:
    """A server's whole flight: the same in one piece and byte by byte."""
    results = []
    for pieces in ([data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        reader = FlightReader(whole=True)
        try:
            for piece in pieces:
                if reader.feed(piece):
                    break
        except HelloError as error:
            results.append((str(error.reason), reader.alert))
        else:
            results.append((str(reader.flight), reader.alert))
    assert results[0] == results[1]


def ssl2(data: bytes) -> None:
    """An SSLv2 answer."""
    try:
        peek_ssl2_hello(data)
    except HelloError:
        return


def alert(data: bytes) -> None:
    """An alert record."""
    parse_alert(data)


def certificate(data: bytes) -> None:
    """A certificate of anybody: whole, and only its key and signature."""
    public_key(data)
    signature_name(data)
    try:
        read_certificate(data)
    except CertificateError as error:
        assert str(error)


def proxy_header(data: bytes) -> None:
    """PROXY v1 and v2."""
    try:
        found = peek_proxy_header(data)
    except ProxyHeaderError:
        return
    if isinstance(found, int):
        assert len(data) < found
    elif isinstance(found, ProxyHeader):
        assert found == peek_proxy_header(data + b"more")


def http_head(data: bytes) -> None:
    """The head of a request to 4118, 4120 or 4122."""
    try:
        end = find_head(data, 4096)
        if end > 0:
            parse_head(data[: end - 4])
    except HeadError as error:
        assert 400 <= error.status < 600


def opening(name: str) -> Reader:
    """An opening before TLS, in pieces whose size the first byte gives."""

    def read(data: bytes) -> None:
        size = 1 + (data[0] if data else 0)
        machine = open_with(name, "host.test")
        machine.start()
        try:
            for at in range(1, len(data), size):
                if machine.ready:
                    machine.unwrap(data[at : at + size])
                else:
                    machine.feed(data[at : at + size])
        except OpeningError as error:
            assert str(error)

    return read


READERS: Final[dict[str, Reader]] = {
    "client-hello": client_hello,
    "server-hello": server_hello,
    "flight": flight,
    "sslv2": ssl2,
    "alert": alert,
    "certificate": certificate,
    "proxy": proxy_header,
    "http": http_head,
    **{f"opening-{name}": opening(name) for name in OPENINGS},
}

_SERVER: Final = ServerHello(0x0303, bytes(32), b"\1" * 32, 0x1301, 0, ((43, b"\3\4"), (51, b"\0\x1d\0\1\0"))).encode()
_GREETINGS: Final = {
    "smtp": b"220 mail ESMTP\r\n250-mail\r\n250 STARTTLS\r\n220 go ahead\r\n",
    "lmtp": b"220 mail LMTP\r\n250-mail\r\n250 STARTTLS\r\n220 go ahead\r\n",
    "imap": b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\na OK begin\r\n",
    "pop3": b"+OK ready\r\n+OK\r\nSTLS\r\n.\r\n+OK begin\r\n",
    "ftp": b"220-hello\r\n220 ready\r\n234 go\r\n",
    "ldap": bytes.fromhex("300c02010178070a010004000400"),
    "xmpp": b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
    b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "nntp": b"200 ready\r\n101 can do\r\nSTARTTLS\r\n.\r\n382 begin\r\n",
    "sieve": b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK\r\nOK begin\r\n',
    "postgres": b"S",
    "mysql": bytes.fromhex("4a0000000a382e302e33330008000000")
    + bytes(8)
    + b"\0\xff\xff\xff\2\0\xff\xdf\x15"
    + bytes(23),
    "mssql": bytes.fromhex("0401002500000100000015000601001b000102001c000103001d0000ff10000000000001000000")[:37],
    "rdp": bytes.fromhex("030000130ed000001234000200080001000000"),
}


def seeds(name: str) -> list[bytes]:
    """Real inputs of that reader."""
    if name == "client-hello":
        return [vector.data for vector in vectors()]
    if name in ("server-hello", "flight"):
        return [to_records(_SERVER, 0x0303), bytes.fromhex("15030100020228"), _SERVER]
    if name == "proxy":
        version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(8) + b"\x1f\x90\x10\x18"
        return [b"PROXY TCP4 10.0.0.1 10.0.0.2 5000 4120\r\n", version_2]
    if name == "http":
        return [b"POST /heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"]
    if name == "sslv2":
        return [bytes.fromhex("8014040001000200000003001001020304") + bytes(16)]
    if name == "alert":
        return [bytes.fromhex("15030100020246")]
    greeting = _GREETINGS.get(name.removeprefix("opening-"))
    return [b"\x10" + greeting] if greeting else [b"\x30\x82\1\0"]
