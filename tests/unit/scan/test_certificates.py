"""Reading and judging certificates: chains made for the test, and bytes that are none."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scan.peers import DAY, NOW, Issued, converse, issue, new_key, s_server

from plimsoll.scan import certificates
from plimsoll.scan.certificates import TrustError, TrustStore, name_matches, proves_key, read_pem, report
from plimsoll.scan.der import CertificateError, read_certificate
from plimsoll.scan.handshake13 import Handshake13, Offer13
from plimsoll.tls.versions import Version

AT = NOW.timestamp()
ROOT = issue((), authority=True, common_name="Root")
BETWEEN = issue((), by=ROOT, authority=True, common_name="Between")
LEAF = issue(("server.test", "*.wild.test", "192.0.2.7", "2001:db8::7"), by=BETWEEN)
TRUST = TrustStore([ROOT.der[0]])


def trust_of(*chain: bytes, store: TrustStore = TRUST, at: float = AT) -> str:
    return report(chain, at=at, trust=store).trust


def test_all_that_a_certificate_says() -> None:
    seen = report(LEAF.der, at=AT, name="server.test", trust=TRUST, seen_with=(Version.TLS1_2,))
    assert seen.chain == LEAF.der
    assert len(seen.chain) == 2
    assert seen.fingerprint == LEAF.certificate.fingerprint(hashes.SHA256()).hex()
    assert (seen.subject, seen.issuer) == ("CN=server.test", "CN=Between")
    assert seen.names == ("server.test", "*.wild.test", "192.0.2.7", "2001:db8::7")
    assert int(seen.serial, 16) == LEAF.certificate.serial_number
    assert (seen.key, seen.key_bits, seen.curve) == ("ec", 256, "secp256r1")
    assert seen.signature == "ecdsa-with-SHA256"
    assert seen.not_after - seen.not_before == 90 * 86400
    assert seen.trust == "trusted"
    assert seen.name_matches
    assert seen.seen_with == (Version.TLS1_2,)
    assert seen.faults == ()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rsa", ("rsa", 2048, "", 65537)),
        ("ec:SECP384R1", ("ec", 384, "secp384r1", 0)),
        ("ec:BrainpoolP256R1", ("ec", 256, "brainpoolP256r1", 0)),
        ("ed25519", ("ed25519", 256, "", 0)),
        ("ed448", ("ed448", 448, "", 0)),
        ("dsa", ("dsa", 2048, "", 0)),
    ],
)
def test_keys(kind: str, expected: tuple[object, ...]) -> None:
    seen = report(issue(by=ROOT, key=new_key(kind)).der, at=AT, trust=TRUST)
    assert (seen.key, seen.key_bits, seen.curve, seen.exponent) == expected
    assert seen.trust == "trusted"


def test_without_a_store_nothing_is_checked() -> None:
    assert report(LEAF.der, at=AT).trust == "not checked"
    assert report(LEAF.der, at=AT).name_matches is None


class TestTrust:
    def test_in_any_order_and_with_strangers_between(self) -> None:
        stranger = issue((), authority=True, common_name="Stranger")
        assert trust_of(LEAF.der[0], stranger.der[0], ROOT.der[0], BETWEEN.der[0]) == "trusted"

    def test_the_states(self) -> None:
        own = issue()
        assert trust_of(*own.der) == "self-signed"
        assert trust_of(*own.der, store=TrustStore(own.der)) == "trusted"
        assert trust_of(LEAF.der[0]) == "unknown issuer"
        assert trust_of(*LEAF.der, ROOT.der[0], store=TrustStore([])) == "unknown issuer"
        assert trust_of(*LEAF.der, at=(NOW + 81 * DAY).timestamp()) == "expired"
        assert trust_of(*LEAF.der, at=(NOW - 11 * DAY).timestamp()) == "not yet valid"

    def test_a_leaf_that_says_where_its_issuer_is(self) -> None:
        place = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.test/between.der")
        )
        leaf = _with_extension(x509.AuthorityInformationAccess([place]))
        assert trust_of(leaf) == "incomplete chain"
        assert trust_of(leaf, BETWEEN.der[0]) == "trusted"

    def test_an_intermediate_that_has_expired(self) -> None:
        old = issue((), by=ROOT, authority=True, common_name="Old", end=NOW - DAY)
        seen = report(issue(by=old).der, at=AT, trust=TRUST)
        assert seen.trust == "expired"
        assert any("CN=Old expired on 2026-05-31" in fault for fault in seen.faults)

    def test_who_may_not_issue(self) -> None:
        assert trust_of(*issue(by=issue(by=ROOT)).der) == "unknown issuer"

    def test_a_path_that_is_too_long_for_its_issuer(self) -> None:
        top = _authority("Short", ROOT, path_length=0)
        below = issue((), by=top, authority=True, common_name="Below")
        assert trust_of(*issue(by=top).der) == "trusted"
        assert trust_of(*issue(by=below).der) == "unknown issuer"

    def test_a_forged_signature(self) -> None:
        impostor = Issued(new_key(), BETWEEN.certificate, BETWEEN.above)
        assert trust_of(*issue(by=impostor).der) == "unknown issuer"

    def test_look_alike_issuers_cost_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checks = []
        real = certificates.is_signed_by

        def counted(data: bytes, above: bytes) -> bool:
            checks.append(above)
            return real(data, above)

        monkeypatch.setattr(certificates, "is_signed_by", counted)
        circle = [issue((), authority=True, common_name="Between", key=BETWEEN.key).der[0] for _ in range(300)]
        leaf = issue(by=Issued(BETWEEN.key, BETWEEN.certificate))
        assert trust_of(leaf.der[0], *circle) == "unknown issuer"
        assert len(checks) <= 65

    def test_a_store_of_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(b"words before\n" + ROOT.pem + BETWEEN.pem)
        assert len(TrustStore.of_file(file)) == 2
        assert ROOT.der[0] in TrustStore.of_file(file)
        file.write_bytes(ROOT.der[0])
        assert len(TrustStore.of_file(file)) == 1
        file.write_bytes(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")
        with pytest.raises(TrustError, match="no certificate in it"):
            TrustStore.of_file(file)
        with pytest.raises(TrustError, match="No such file"):
            TrustStore.of_file(tmp_path / "none.pem")

    def test_what_the_system_trusts_can_be_read(self) -> None:
        store = certificates.system_store()
        assert store.public
        assert b"nonsense" not in store


class TestNames:
    @pytest.mark.parametrize(
        ("name", "fits"),
        [
            ("server.test", True),
            ("SERVER.Test.", True),
            ("a.wild.test", True),
            ("wild.test", False),
            ("a.b.wild.test", False),
            (".wild.test", False),
            ("other.test", False),
            ("192.0.2.7", True),
            ("192.0.2.8", False),
            ("2001:DB8:0::7", True),
            ("[2001:db8::7]", True),
            ("bücher.wild.test", True),
            ("a" * 70 + ".wild.test", False),
            ("", False),
        ],
    )
    def test_of_this_leaf(self, name: str, fits: bool) -> None:
        assert name_matches(read_certificate(LEAF.der[0]), name) is fits

    @pytest.mark.parametrize("pattern", ["*", "*.test", "a*.wild.test", "*a.wild.test", "x.*.test", "*.*.test"])
    def test_wildcards_that_are_none(self, pattern: str) -> None:
        leaf = read_certificate(issue((pattern,)).der[0])
        assert not name_matches(leaf, "a.wild.test")
        assert not name_matches(leaf, "a.test")

    def test_the_common_name_does_not_count(self) -> None:
        seen = report(issue((), common_name="server.test").der, at=AT, name="server.test")
        assert seen.name_matches is False
        assert seen.names == ("server.test",)
        assert any("no alternative names" in fault for fault in seen.faults)


class TestFaults:
    def faults(self, issued: Issued, trust: TrustStore | None = None) -> str:
        return "; ".join(report(issued.der, at=AT, trust=trust).faults)

    def test_small_keys_and_weak_signatures(self, tmp_path: Path) -> None:
        """OpenSSL makes what the library refuses to make."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-md5", "-subj", "/CN=old", "-days", "9000",
             "-keyout", tmp_path / "key", "-out", tmp_path / "old.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        seen = report(read_pem((tmp_path / "old.pem").read_bytes()), at=AT)
        assert seen.signature == "md5WithRSAEncryption"
        assert seen.key_bits == 1024
        told = "; ".join(seen.faults)
        assert "signed with md5WithRSAEncryption" in told
        assert "1024 bits (rsa); 2048 are the least" in told
        assert "some clients refuse more than 825" in told

    def test_an_exponent_of_one(self) -> None:
        """No library makes such a key: it is written into a sound certificate's bytes."""
        der = bytearray(issue(key=new_key("rsa")).der[0])
        at = bytes(der).index(b"\x02\x03\x01\x00\x01")
        der[at : at + 5] = b"\x02\x03\x00\x00\x01"
        seen = report([bytes(der)], at=AT, trust=TRUST)
        assert seen.exponent == 1
        assert any("exponent 1" in fault for fault in seen.faults)

    def test_pss_says_its_hash(self) -> None:
        leaf = _with_extension(None, rsa_padding=True)
        assert report([leaf], at=AT).signature == "rsassaPss-with-SHA384"

    def test_the_use_of_a_client(self) -> None:
        leaf = _with_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
        assert any("extended key usage" in fault for fault in report([leaf], at=AT).faults)

    def test_public_authorities_issue_for_shorter(self) -> None:
        public = TrustStore([ROOT.der[0]], public=True)
        long = issue(by=ROOT, start=NOW - DAY, end=NOW + 200 * DAY)
        assert "public authorities may issue for 200" in self.faults(issue(by=ROOT, end=NOW + 300 * DAY), public)
        assert self.faults(long, public) == ""
        assert self.faults(issue(by=ROOT, end=NOW + 800 * DAY), TRUST) == ""

    def test_of_the_chain(self) -> None:
        weak = issue((), by=ROOT, authority=True, common_name="Weak", digest=hashes.SHA224(), key=new_key("rsa:1024"))
        assert "CN=Weak: a key of 1024 bits" in self.faults(issue(by=weak))
        assert any("in the chain: " in fault for fault in report([LEAF.der[0], b"junk"], at=AT).faults)


@settings(deadline=None)
@given(st.integers(-631_152_000, 253_402_214_400))
def test_every_date_there_is(moment: int) -> None:
    """From 1950, where the two-digit years begin, to 9999."""
    date = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    seen = read_certificate(issue((), key=BETWEEN.key, start=date, end=date).der[0])
    assert (seen.not_before, seen.not_after) == (moment, moment)


class TestBadBytes:
    def test_no_certificate_and_no_certificates(self) -> None:
        assert report((), at=AT).faults == ("the server sent no certificate",)
        seen = report([b"junk"], at=AT, name="server.test", trust=TRUST)
        assert seen.chain == (b"junk",)
        assert len(seen.faults) == 1
        assert seen.trust == "not checked"

    def test_names_that_would_steer_a_terminal(self) -> None:
        seen = report(issue(("server.test",), common_name="a\x1b[31m\n,b\u202e").der, at=AT)
        assert seen.subject == "CN=a\\\\x1b[31m\\\\x0a\\,b\\\\x{202e}".replace("\\x{202e}", "\\x202e")

    @settings(deadline=None, max_examples=400)
    @given(st.data())
    def test_any_change_ends_in_the_documented_error(self, data: st.DataObject) -> None:
        changed = bytearray(LEAF.der[0])
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        cut = bytes(changed[: data.draw(st.sampled_from([len(changed), 50, 300, 10]))])
        report([cut, *LEAF.der[1:]], at=AT, name="server.test", trust=TRUST)
        with contextlib.suppress(CertificateError):
            read_certificate(cut)

    @settings(deadline=None)
    @given(st.sampled_from(["2.5.29.37", "2.5.29.19", "2.5.29.15", "1.3.6.1.5.5.7.1.1"]), st.binary(max_size=12))
    def test_any_extension(self, oid: str, body: bytes) -> None:
        leaf = _with_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), body))
        seen = report([leaf, leaf, *LEAF.der[1:]], at=AT, trust=TRUST)
        assert seen.fingerprint

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        report([data, data], at=AT, trust=TRUST)


@pytest.mark.parametrize("kind", ["rsa", "ec", "ec:SECP384R1", "ed25519", "ed448"])
def test_a_server_proves_its_key(tmp_path: Path, kind: str) -> None:
    with s_server(issue(key=new_key(kind)).write(tmp_path, "leaf")) as port:
        client = Handshake13(Offer13(), finish=False)
        converse(port, client)
    seen = client.result
    assert seen.scheme is not None
    assert proves_key(seen.chain[0], seen.scheme, seen.signed, seen.signature) is True
    assert proves_key(seen.chain[0], seen.scheme, seen.signed + b"x", seen.signature) is False
    assert proves_key(LEAF.der[0], 0x0807, seen.signed, seen.signature) is None
    assert proves_key(b"junk", seen.scheme, seen.signed, seen.signature) is None


def _authority(name: str, by: Issued, path_length: int) -> Issued:
    key = new_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(True, path_length), critical=True)
        .sign(by.key, hashes.SHA256())
    )
    return Issued(key, certificate, (by.certificate, *by.above))


def _with_extension(extension: x509.ExtensionType | None, *, rsa_padding: bool = False) -> bytes:
    signer = new_key("rsa") if rsa_padding else BETWEEN.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.test")]))
        .issuer_name(BETWEEN.certificate.subject)
        .public_key(new_key().public_key())
        .serial_number(2)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + datetime.timedelta(days=30))
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    if rsa_padding:
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        made = builder.sign(signer, hashes.SHA384(), rsa_padding=pss)
    else:
        made = builder.sign(signer, hashes.SHA256())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.public_bytes(serialization.Encoding.DER)
