"""The certificate of 4119: what is accepted, what is refused, and that a refusal keeps the one in use."""

from __future__ import annotations

import datetime
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from plimsoll.manager import gui_certificate as own
from plimsoll.manager.ca import KINDS, PrivateKey, key_pem, serving_identity
from plimsoll.manager.ports import BadInput

NOW = time.time()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, key: PrivateKey, issuer: str, signer: PrivateKey, days: tuple[int, int] = (-1, 30)
) -> x509.Certificate:
    begin, end = (datetime.datetime.fromtimestamp(NOW + day * 86400, datetime.UTC) for day in days)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(signer, hashes.SHA256())
    )


def _pem(*chain: x509.Certificate) -> bytes:
    return b"".join(part.public_bytes(serialization.Encoding.PEM) for part in chain)


@pytest.fixture(scope="module")
def issuer_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_until_an_own_one_is_set_both_kinds_of_the_managers_ca_are_served(tmp_path: Path) -> None:
    expected = tuple(
        (str(files.certificate), str(files.key))
        for files in (serving_identity(tmp_path, "gui", kind) for kind in KINDS)
    )
    assert own.identities(tmp_path, "gui") == expected


def test_a_set_identity_is_one_private_file_and_the_former_one_is_kept(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> None:
    issuer = _certificate("issuer", issuer_key, "issuer", issuer_key)
    chain = _pem(_certificate("console", key, "issuer", issuer_key), issuer)
    for _ in range(2):
        path = own.put(tmp_path, tmp_path / "backup", own.check(tmp_path, chain, key_pem(key), None, NOW), NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own.identities(tmp_path, "gui") == ((str(path), str(path)),)
    assert own.identities(tmp_path, "heartbeat")[0][0].endswith("heartbeat-ecdsa.pem")
    assert len(own.describe(str(path))) == 2
    assert len(list((tmp_path / "backup").iterdir())) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_keeps_its_key_until_its_certificate_comes(
    tmp_path: Path, kind: str, issuer_key: ec.EllipticCurvePrivateKey
) -> None:
    csr = x509.load_pem_x509_csr(own.request(tmp_path, "", ("console.example", "10.0.0.1"), kind))
    assert csr.is_signature_valid
    waiting = own.request_key_path(tmp_path, kind)
    assert stat.S_IMODE(waiting.stat().st_mode) == 0o600
    secret = serialization.load_pem_private_key(waiting.read_bytes(), None)
    assert isinstance(secret, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
    leaf = _certificate("console.example", secret, "issuer", issuer_key)
    own.put(tmp_path, tmp_path / "backup", own.check(tmp_path, _pem(leaf), None, None, NOW), NOW)
    assert not waiting.exists()
    assert own.own_path(tmp_path, kind).exists()


def test_what_does_not_fit_is_refused_with_the_reason_and_changes_nothing(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> None:
    leaf = _certificate("console", key, "issuer", issuer_key)
    issuer = _certificate("issuer", issuer_key, "issuer", issuer_key)
    other = ec.generate_private_key(ec.SECP256R1())
    stranger = _certificate("stranger", other, "stranger", other)
    small = ec.generate_private_key(ec.SECP192R1())
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pass")
    )
    cases: list[tuple[bytes, bytes | None, str | None, str]] = [
        (b"no certificate", key_pem(key), None, "cannot be read as PEM"),
        (_pem(leaf), key_pem(other), None, "does not belong"),
        (_pem(leaf), b"no key", None, "cannot be read"),
        (_pem(leaf), locked, None, "cannot be opened"),
        (_pem(leaf), locked, "wrong", "wrong passphrase"),
        (_pem(leaf), None, None, "no request waits"),
        (_pem(leaf, stranger), key_pem(key), None, "out of order"),
        (_pem(issuer, leaf), key_pem(issuer_key), None, "out of order"),
        (_pem(_certificate("old", key, "issuer", issuer_key, (-9, -1))), key_pem(key), None, "not now"),
        (_pem(_certificate("weak", small, "issuer", issuer_key)), key_pem(small), None, "secp192r1"),
    ]
    for chain, secret, passphrase, reason in cases:
        with pytest.raises(BadInput, match=reason) as caught:
            own.check(tmp_path, chain, secret, passphrase, NOW)
        assert "was kept" in caught.value.message
    assert own.check(tmp_path, _pem(leaf, issuer), locked, "pass", NOW).kind == "ecdsa"
    assert list(tmp_path.iterdir()) == []


def test_a_request_without_a_name_or_of_an_unknown_kind_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs a name"):
        own.request(tmp_path, "", (), "ecdsa")
    with pytest.raises(BadInput, match="ecdsa, rsa"):
        own.request(tmp_path, "x", (), "dsa")
    assert list(tmp_path.iterdir()) == []
