"""Our contexts: what they serve, what they never serve, and certificates changed while serving."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.unit.net.conftest import Files

from plimsoll.net.contexts import (
    ServerContexts,
    ServerIdentity,
    client_context,
    handshake_in_memory,
    set_version_range,
)
from plimsoll.net.errors import BadIdentity
from plimsoll.testing.memory import link
from plimsoll.tls.versions import FLOORS, Version, from_floor

NEVER = ("NULL", "EXP", "RC4", "DES", "ADH", "AECDH", "MD5", "SEED", "IDEA", "ARIA", "CAMELLIA", "PSK")


def offered(version: Version) -> ssl.SSLContext:
    """A client that offers every suite that OpenSSL has, null and anonymous ones too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    set_version_range(context, version, version)
    return context


def enumerate_suites(server: ssl.SSLContext, version: Version) -> list[str]:
    """Every suite that the server agrees to, in its order: offer all, take away what it chose, offer the rest."""
    found: list[str] = []
    client = offered(version)
    while True:
        try:
            peers = link(client, server)
            peers.handshake()
        except ssl.SSLError:
            return found
        suite = peers.client.tls.cipher()
        assert suite is not None
        found.append(suite[0])
        if version is Version.TLS1_3:
            return found  # Python cannot leave out TLS 1.3 suites; all three of them are strong
        client = offered(version)
        try:
            client.set_ciphers("ALL:COMPLEMENTOFALL:" + "".join(f"!{name}:" for name in found) + "@SECLEVEL=0")
        except ssl.SSLError:
            return found


@pytest.mark.rule("R18")
@pytest.mark.parametrize("version", FLOORS, ids=str)
def test_no_weak_suite_is_ever_agreed(files: Files, version: Version) -> None:
    contexts = ServerContexts(files.identities, client_ca=files.ca)
    contexts.set_minimum(Version.TLS1_0)
    for context in (contexts.early, contexts.modern):
        suites = enumerate_suites(context, version)
        if context is contexts.modern and version < Version.TLS1_2:
            assert suites == []
            continue
        assert suites
        assert not [suite for suite in suites if any(word in suite for word in NEVER)]
        if version.early:
            assert all(suite.endswith("-SHA") and "AES" in suite for suite in suites)
        elif version is Version.TLS1_2:
            assert suites[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("floor", FLOORS, ids=str)
def test_it_serves_what_the_floor_says(files: Files, floor: Version) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    contexts.set_minimum(floor)
    served = contexts.serves()
    assert tuple(served) == from_floor(floor)
    if floor <= Version.TLS1_2:
        assert "ECDSA" in served[Version.TLS1_2]
        assert "ECDHE-RSA" in served[Version.TLS1_2]


def test_what_the_local_openssl_does_not_serve_is_missing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    contexts.set_minimum(Version.TLS1_0)
    contexts.early.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    assert list(contexts.serves()) == [Version.TLS1_2, Version.TLS1_3]


def test_the_early_context_has_no_maximum(files: Files) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    contexts.set_minimum(Version.TLS1_0)
    assert contexts.early.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert contexts.modern.minimum_version is ssl.TLSVersion.TLSv1_2
    assert contexts.modern.options & ssl.OP_NO_RENEGOTIATION


def test_a_new_certificate_is_served_at_once_and_keeps_the_contexts(files: Files, tmp_path: Path) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    before = contexts.modern
    leaf = files.authority.leaf("manager", "m2")
    new = ServerIdentity(*map(str, leaf.write(tmp_path, "new")))
    contexts.reload([new, files.identities[1]])
    assert contexts.modern is before, "sessions stay resumable"
    assert presented(contexts, "ecdsa") == Path(new.cert_path).read_text().split("-----END")[0]


def test_a_certificate_of_one_kind_leaves_none_of_the_other_behind(files: Files) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    contexts.set_minimum(Version.TLS1_1)
    contexts.reload([files.identities[1]])
    assert handshake_in_memory(contexts.modern, Version.TLS1_2, "ecdsa") is None
    assert handshake_in_memory(contexts.modern, Version.TLS1_2, "rsa") == "ECDHE-RSA-AES256-GCM-SHA384"
    assert contexts.minimum is Version.TLS1_1
    assert list(contexts.serves()) == [Version.TLS1_1, Version.TLS1_2, Version.TLS1_3]


def test_an_unusable_certificate_changes_nothing(files: Files, tmp_path: Path) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    other = files.authority.leaf("manager", "m3").write(tmp_path, "other")
    (tmp_path / "text.pem").write_text("no certificate")
    bad = [
        ServerIdentity(files.identities[0].cert_path, str(other[1])),
        ServerIdentity(str(tmp_path / "text.pem"), str(other[1])),
        ServerIdentity(str(tmp_path / "missing.pem"), str(other[1])),
        ServerIdentity(str(other[0]), str(tmp_path / "missing.key")),
    ]
    for identity in bad:
        with pytest.raises(BadIdentity, match="pem"):
            contexts.reload([identity])
        assert contexts.identities == files.identities
        assert handshake_in_memory(contexts.modern, Version.TLS1_2, "ecdsa") is not None
    with pytest.raises(BadIdentity):
        contexts.reload([])
    with pytest.raises(BadIdentity):
        ServerContexts([], client_ca=None)
    with pytest.raises(BadIdentity, match="clients' CA"):
        ServerContexts(files.identities, client_ca=str(tmp_path / "text.pem"))


def test_a_client_never_goes_below_1_2_by_default(files: Files) -> None:
    assert client_context(ca=files.ca).minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context(ca=Path(files.ca).read_text()).verify_mode is ssl.CERT_REQUIRED
    assert client_context(ca=None, minimum=Version.TLS1_0).minimum_version is ssl.TLSVersion.TLSv1


def presented(contexts: ServerContexts, kind: str) -> str:
    """The certificate that a client with that preference gets, as PEM up to its end line."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("aECDSA" if kind == "ecdsa" else "aRSA")
    peers = link(client, contexts.modern)
    peers.handshake()
    der = peers.client.tls.getpeercert(True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).split("-----END")[0]
