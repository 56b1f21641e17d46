"""The CAs that clients are verified by are changed while the port serves."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.unit.net.conftest import Files

from plimsoll.net.contexts import ServerContexts, client_context
from plimsoll.net.errors import BadIdentity
from plimsoll.net.identity import certificate_fingerprints, certificates_in
from plimsoll.testing.certificates import TestAuthority
from plimsoll.testing.memory import link
from plimsoll.tls.versions import Version


@pytest.fixture
def other(files: Files) -> TestAuthority:
    """Another CA of the same name, as a rotation makes one."""
    return TestAuthority("net-tests")


def admitted(contexts: ServerContexts, files: Files, cert: str, key: str) -> bool:
    context = client_context(ca=files.ca, cert=cert, key=key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # so that a refusal ends the client's handshake too
    peers = link(context, contexts.modern)
    try:
        peers.handshake()
    except ssl.SSLError:
        return False
    return peers.server.tls.getpeercert(True) is not None


def test_one_more_is_trusted_in_place_and_one_less_in_new_contexts(
    files: Files, other: TestAuthority, tmp_path: Path
) -> None:
    mine = files.client("mine")
    theirs = tuple(map(str, other.leaf("agent", "theirs").write(tmp_path, "theirs")))
    contexts = ServerContexts(files.identities, client_ca=files.ca)
    contexts.set_minimum(Version.TLS1_1)
    before = contexts.modern
    assert (admitted(contexts, files, *mine), admitted(contexts, files, *theirs)) == (True, False)

    both = Path(files.ca).read_text() + other.pem.decode()
    contexts.trust(both)
    assert contexts.modern is before, "sessions stay resumable"
    assert (admitted(contexts, files, *mine), admitted(contexts, files, *theirs)) == (True, True)
    contexts.trust(both)
    assert contexts.modern is before

    contexts.trust(other.pem.decode())
    assert contexts.modern is not before, "else a resumed session would skip the check"
    assert contexts.minimum is Version.TLS1_1
    assert contexts.early.minimum_version is ssl.TLSVersion.TLSv1_1
    assert (admitted(contexts, files, *mine), admitted(contexts, files, *theirs)) == (False, True)


def test_what_cannot_be_read_changes_nothing(files: Files, tmp_path: Path) -> None:
    contexts = ServerContexts(files.identities, client_ca=files.ca)
    before = contexts.client_ca
    for bad in (str(tmp_path / "none.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(BadIdentity):
            contexts.trust(bad)
        assert contexts.client_ca == before
    assert admitted(contexts, files, *files.client("mine"))
    # A point that asks for no certificate is not made to.
    open_to_all = ServerContexts(files.identities, client_ca=None)
    open_to_all.trust(files.ca)
    assert open_to_all.client_ca is None


def test_certificates_of_a_text(files: Files, other: TestAuthority) -> None:
    both = f"a word before\n{Path(files.ca).read_text()}\n{other.pem.decode()}"
    assert certificates_in(both)[1] == ssl.PEM_cert_to_DER_cert(other.pem.decode())
    assert len(set(certificate_fingerprints(both))) == 2
    assert certificates_in("") == []
    with pytest.raises(ValueError, match="has no end"):
        certificates_in(both.rstrip()[:-10])
