"""The key helper, as the child process that it is."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from plimsoll.agent import inventory, keys
from plimsoll.testing.certificates import TestAuthority, key_pem
from plimsoll.tls.versions import FLOORS, Version


def test_a_request_is_signed_by_the_key_that_comes_with_it() -> None:
    answer = keys.ask("request", name="web-1")
    csr = x509.load_pem_x509_csr(answer["csr"].encode())
    key = serialization.load_pem_private_key(answer["key"].encode(), None)
    assert csr.is_signature_valid
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert csr.public_key() == key.public_key()


def test_a_proof_verifies_with_the_public_key() -> None:
    answer = keys.ask("request")
    proof = base64.b64decode(keys.ask("sign", key=answer["key"], data=answer["csr"])["proof"])
    csr = x509.load_pem_x509_csr(answer["csr"].encode())
    public = csr.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(proof, answer["csr"].encode(), ec.ECDSA(hashes.SHA256()))


def test_an_issued_certificate_is_checked_against_key_and_authority() -> None:
    authority, other = TestAuthority(), TestAuthority()
    leaf = authority.leaf("agent", "7")
    certificate, key, ca = leaf.chain.decode(), key_pem(leaf.key).decode(), authority.pem.decode()
    answer = keys.ask("inspect", certificate=certificate, key=key, ca=ca)
    assert answer["uris"] == ["plimsoll://test-installation/agent/7"]
    assert answer["not_after"] == leaf.certificate.not_valid_after_utc.timestamp()
    with pytest.raises(keys.KeysError, match="another key"):
        keys.ask("inspect", certificate=certificate, key=keys.ask("request")["key"], ca=ca)
    with pytest.raises(keys.KeysError, match="not issued by"):
        keys.ask("inspect", certificate=certificate, key=key, ca=other.pem.decode())


def test_bad_input_gives_one_line_and_no_secret() -> None:
    with pytest.raises(keys.KeysError, match="cannot read its input") as caught:
        keys.ask("sign", key="SECRET", data="x")
    assert "SECRET" not in str(caught.value)
    done = subprocess.run([sys.executable, "-m", "plimsoll.agent.keys", "guess"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected one of" in done.stderr


def test_the_inventory_is_what_this_host_really_is(tmp_path: Path) -> None:
    answer = keys.ask("bootstrap")
    (tmp_path / "key").write_text(answer["key"])
    (tmp_path / "cert").write_text(answer["certificate"])
    facts = inventory.gather(tmp_path / "cert", tmp_path / "key")
    assert facts["hostname"]
    assert facts["tls_library"].startswith("OpenSSL")
    spoken = [Version(name) for name in facts["speaks"]]
    assert Version.TLS1_2 in spoken
    assert spoken == [version for version in FLOORS if version in spoken]


def test_what_cannot_be_found_out_is_not_claimed(tmp_path: Path) -> None:
    facts = inventory.gather(tmp_path / "no", tmp_path / "no")
    assert facts["hostname"]
    assert facts["speaks"] == []
    assert inventory.boot_id(tmp_path / "no") == ""
    (tmp_path / "os").write_text('# comment\nNAME=Old\nPRETTY_NAME="Old Linux 6"\n')
    assert inventory.os_name(tmp_path / "os") == "Old Linux 6"
    assert inventory.os_name(tmp_path / "no") != ""
