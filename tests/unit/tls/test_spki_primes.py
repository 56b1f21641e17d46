"""Key sizes out of certificates, and names of primes: held against the cryptography package and OpenSSL."""

from __future__ import annotations

import datetime
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.primes import prime_name
from plimsoll.tls.spki import PublicKey, public_key, signature_name


def certificate(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a" * 60)])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (rsa.generate_private_key(65537, 1024), PublicKey("rsa", 1024)),
        (rsa.generate_private_key(65537, 2048), PublicKey("rsa", 2048)),
        (ec.generate_private_key(ec.SECP256R1()), PublicKey("ec", 256, "secp256r1")),
        (ec.generate_private_key(ec.SECP384R1()), PublicKey("ec", 384, "secp384r1")),
        (ec.generate_private_key(ec.SECP521R1()), PublicKey("ec", 521, "secp521r1")),
        (ec.generate_private_key(ec.BrainpoolP256R1()), PublicKey("ec", 256, "brainpoolP256r1")),
        (ed25519.Ed25519PrivateKey.generate(), PublicKey("ed25519", 256)),
        (dsa.generate_private_key(1024), PublicKey("dsa", 1024)),
    ],
    ids=lambda value: str(value) if isinstance(value, PublicKey) else "",
)
def test_keys_of_every_kind(key: CertificateIssuerPrivateKeyTypes, found: PublicKey) -> None:
    assert public_key(certificate(key)) == found


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("rsa:2048", ["-sha1"], "sha1WithRSAEncryption"),
        ("rsa:2048", ["-md5"], "md5WithRSAEncryption"),
        ("rsa:2048", ["-sha384"], "sha384WithRSAEncryption"),
        ("rsa:2048", ["-sigopt", "rsa_padding_mode:pss"], "rsassaPss"),
        ("ec", ["-pkeyopt", "ec_paramgen_curve:P-256", "-sha1"], "ecdsa-with-SHA1"),
        ("ec", ["-pkeyopt", "ec_paramgen_curve:P-256", "-sha512"], "ecdsa-with-SHA512"),
        ("ed25519", [], "ED25519"),
    ],
)
def test_signatures_have_openssls_names(kind: str, options: list[str], name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", kind, *options, "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null"]
    done = subprocess.run([*command, "-outform", "DER"], capture_output=True, check=True)
    assert signature_name(done.stdout) == name
    shown = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=done.stdout, capture_output=True, check=True
    )
    assert f"Signature Algorithm: {name}".encode() in shown.stdout


GOOD = certificate(ec.generate_private_key(ec.SECP256R1()))


@given(st.binary(max_size=100), st.integers(0, len(GOOD)), st.integers(0, 255))
def test_what_is_no_certificate_has_no_key(data: bytes, cut: int, byte: int) -> None:
    public_key(data)
    assert signature_name(data) == ""
    assert signature_name(GOOD[:cut]) in ("", "ecdsa-with-SHA256")
    signature_name(GOOD[:cut] + bytes((byte,)) + GOOD[cut + 1 :])
    public_key(GOOD[:cut])
    public_key(GOOD[:cut] + bytes((byte,)) + GOOD[cut + 1 :])


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("ffdhe2048", "ffdhe2048"), ("ffdhe3072", "ffdhe3072"), ("ffdhe4096", "ffdhe4096"), ("ffdhe8192", "ffdhe8192"),
        ("modp_1536", "MODP group 5"), ("modp_2048", "MODP group 14"), ("modp_4096", "MODP group 16"),
        ("dh_1024_160", "RFC 5114 1024/160"), ("dh_2048_256", "RFC 5114 2048/256"),
    ],
)  # fmt: skip
def test_primes_that_everybody_knows(group: str, name: str) -> None:
    kind = "DHX" if group.startswith("dh_") else "DH"
    command = ["openssl", "genpkey", "-genparam", "-algorithm", kind, "-pkeyopt", f"group:{group}"]
    made = subprocess.run(command, capture_output=True, check=True)
    shown = subprocess.run(["openssl", "asn1parse"], input=made.stdout, capture_output=True, check=True).stdout.decode()
    prime = re.findall(r"INTEGER\s+:([0-9A-F]+)", shown)[0]
    assert prime_name(bytes.fromhex(prime)) == name


def test_a_prime_of_ones_own() -> None:
    assert prime_name(b"\xff" * 256) == prime_name(b"") == ""
