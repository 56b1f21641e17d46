"""Peers in memory: a handshake, data both ways, and a failure with its alert on the wire."""

import ssl
from pathlib import Path

import pytest

from plimsoll.testing.caps import client_context
from plimsoll.testing.certificates import TestAuthority
from plimsoll.testing.memory import link
from plimsoll.tls.versions import Version


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = TestAuthority().leaf("manager", "m", hosts=["localhost", "127.0.0.1"]).write(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_two_peers_talk(server: ssl.SSLContext) -> None:
    pair = link(client_context(None), server)
    pair.handshake()
    assert pair.client.tls.version() == "TLSv1.3"
    assert pair.send(b"to the server") == b"to the server"
    assert pair.send(b"to the client", from_client=False) == b"to the client"


def test_a_failure_leaves_its_alert_on_the_wire(server: ssl.SSLContext) -> None:
    pair = link(client_context(None, oldest=Version.TLS1_0, newest=Version.TLS1_0), server)
    with pytest.raises(ssl.SSLError):
        pair.handshake()
    assert pair.server_bytes[0] == 21
    assert pair.server_bytes[-2:] == b"\x02\x46"
