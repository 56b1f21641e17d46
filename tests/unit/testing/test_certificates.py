"""The certificate maker: identities in the fleet's shape, chains that OpenSSL accepts, keys only for their owner."""

import ssl
import stat
from pathlib import Path

from cryptography import x509

from plimsoll.testing.certificates import TestAuthority, certificate_request, new_key, public_key_hash
from plimsoll.testing.memory import link


def test_a_leaf_carries_role_and_installation(tmp_path: Path) -> None:
    authority = TestAuthority("here")
    leaf = authority.leaf("relay", "r-1", hosts=["relay.example", "127.0.0.2"])
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["plimsoll://here/relay/r-1"]
    assert names.get_values_for_type(x509.DNSName) == ["relay.example"]
    certificate, key = leaf.write(tmp_path, "relay")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    pair = link(client, server, server_name="relay.example")
    pair.handshake()
    assert pair.client.tls.getpeercert()["subjectAltName"][0] == ("URI", "plimsoll://here/relay/r-1")  # type: ignore[index]  # a verified peer has a certificate


def test_an_expired_leaf_is_expired() -> None:
    leaf = TestAuthority().leaf("agent", "a", age_days=100, valid_days=90)
    lifetime = leaf.certificate.not_valid_after_utc - leaf.certificate.not_valid_before_utc
    assert lifetime.days == 90
    assert leaf.certificate.not_valid_after_utc < TestAuthority().certificate.not_valid_before_utc.replace(hour=23)


def test_the_pin_is_the_hash_of_the_key_and_not_of_the_certificate() -> None:
    authority = TestAuthority()
    assert authority.pin == public_key_hash(authority.certificate)
    assert authority.pin != TestAuthority().pin


def test_a_request_is_signed_by_its_key() -> None:
    request = x509.load_pem_x509_csr(certificate_request(new_key(), "host").encode())
    assert request.is_signature_valid
