"""Features and certificates: against real servers, and against servers played by the test."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from tests.unit.scan.breaker import Breaker
from tests.unit.scan.peers import DAY, Issued, issue, new_key, running, s_server
from tests.unit.scan.scripted import known

from plimsoll.scan import features, features13, further
from plimsoll.scan.asking import Answer, Ask, Conversation, Kind, Script
from plimsoll.scan.certificates import TrustStore
from plimsoll.scan.engine import scan_endpoint
from plimsoll.scan.features import Facts
from plimsoll.scan.handshake13 import Handshake13
from plimsoll.scan.knowledge import CHUNKS, RETRY, WHOLE, Finding, Form
from plimsoll.scan.options import SWEEP, Options
from plimsoll.scan.report import EndpointReport, Features, Outcome, Target
from plimsoll.tls.alerts import Alert
from plimsoll.tls.flight import Exchange, Flight
from plimsoll.tls.hello import ClientHello, peek_client_hello
from plimsoll.tls.records import HelloError
from plimsoll.tls.server_hello import RETRY_RANDOM, ServerHello
from plimsoll.tls.versions import Version

NOW = datetime.datetime.now(datetime.UTC)
ROOT = issue((), authority=True, common_name="Root", start=NOW - DAY, end=NOW + 90 * DAY)
BETWEEN = issue((), by=ROOT, authority=True, common_name="Between", start=NOW - DAY, end=NOW + 90 * DAY)
TRUST = TrustStore(ROOT.der)
Leaf = tuple[Path, Path]


def made(names: Sequence[str] = ("server.test",), kind: str = "ec") -> Issued:
    return issue(names, by=BETWEEN, key=new_key(kind), start=NOW - DAY, end=NOW + 60 * DAY)


EC, RSA = made(), made(kind="rsa")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("leaves")
    EC.write(place, "ec")
    RSA.write(place, "rsa")
    return place


@pytest.fixture(scope="module")
def ec(folder: Path) -> Leaf:
    return folder / "ec.pem", folder / "ec.key"


@pytest.fixture(scope="module")
def rsa(folder: Path) -> Leaf:
    return folder / "rsa.pem", folder / "rsa.key"


def scan(port: int, name: str = "server.test", **options: Any) -> EndpointReport:
    asked = Options(order=False, groups=False, trust=TRUST, timeout=10, **options)
    return scan_endpoint(Target("127.0.0.1", port, server_name=name), asked)


class TestOpenSsl:
    def test_everything_that_it_can(self, ec: Leaf, rsa: Leaf) -> None:
        with s_server(
            ec, "-dcert", rsa[0], "-dkey", rsa[1], "-dcert_chain", rsa[0].with_suffix(".above.pem"),
            "-cipher", "ECDHE+AESGCM:ECDHE+AES:AES128-SHA:@SECLEVEL=0", "-alpn", "http/1.1,h2", "-early_data",
        ) as port:  # fmt: skip
            report = scan(port)
        assert report.features == Features(
            secure_renegotiation=True,
            extended_master_secret=True,
            encrypt_then_mac=True,
            fallback_scsv=True,
            session_ids=True,
            tickets=True,
            resumption=dict.fromkeys(
                [
                    *(f"{version} by {way}" for version in ("TLSv1.2", "TLSv1.1", "TLSv1.0")
                      for way in ("ticket", "session id")),
                    "TLSv1.3 by ticket",
                ],
                True,
            ),
            early_data=True,
            alpn=("http/1.1", "h2"),
            needs_name=False,
            ocsp_staple=False,
            client_certificate="not requested",
        )  # fmt: skip
        assert {leaf.key: leaf.seen_with for leaf in report.certificates} == {
            "ec": (Version.TLS1_0, Version.TLS1_1, Version.TLS1_2, Version.TLS1_3),
            "rsa": (Version.TLS1_0, Version.TLS1_1, Version.TLS1_2, Version.TLS1_3),
        }
        for leaf in report.certificates:
            assert (leaf.trust, leaf.name_matches, len(leaf.chain), leaf.faults) == ("trusted", True, 2, ())
        schemes = report.versions[Version.TLS1_2].signature_schemes
        assert {"ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "rsa_pkcs1_sha1"} <= set(schemes)
        assert report.versions[Version.TLS1_3].signature_schemes == (
            "ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512",
        )  # fmt: skip

    def test_what_is_switched_off(self, ec: Leaf) -> None:
        with s_server(ec, "-no_ticket", "-no_cache", "-no_etm", "-tls1_2") as port:
            seen = scan(port).features
        assert seen.secure_renegotiation
        assert seen.encrypt_then_mac is False
        assert seen.tickets is False
        assert seen.session_ids is False
        assert seen.resumption == {"TLSv1.2 by ticket": False, "TLSv1.2 by session id": False}
        assert seen.fallback_scsv is None
        assert seen.early_data is None
        assert seen.alpn == ()

    def test_one_scheme_only(self, rsa: Leaf) -> None:
        with s_server(rsa, "-sigalgs", "RSA-PSS+SHA384:RSA+SHA256", "-alpn", "imap") as port:
            report = scan(port, name="")
        schemes = report.versions[Version.TLS1_2].signature_schemes
        assert sorted(schemes) == ["rsa_pkcs1_sha256", "rsa_pss_rsae_sha384"]
        assert report.versions[Version.TLS1_3].signature_schemes == ("rsa_pss_rsae_sha384",)
        assert report.features.alpn == ("imap",)
        assert report.certificates[0].name_matches is None

    def test_tls_13_alone(self, ec: Leaf) -> None:
        with s_server(ec, "-tls1_3", "-alpn", "h2,http/1.1", "-groups", "P-384:ffdhe2048") as port:
            report = scan(port, name="other.test")
        seen = report.features
        assert seen.secure_renegotiation is None
        assert seen.resumption == {"TLSv1.3 by ticket": True}
        assert seen.early_data is False
        assert seen.alpn == ("h2", "http/1.1")
        assert [leaf.name_matches for leaf in report.certificates] == [False]
        assert report.certificates[0].trust == "trusted"

    def test_tls_13_without_tickets(self, ec: Leaf) -> None:
        with s_server(ec, "-tls1_3", "-num_tickets", "0") as port:
            seen = scan(port).features
        assert seen.tickets is False
        assert seen.resumption == {"TLSv1.3 by ticket": False}
        assert seen.early_data is False

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    @pytest.mark.parametrize(("option", "expected"), [("-verify", "requested"), ("-Verify", "required")])
    def test_a_client_certificate(self, ec: Leaf, version: str, option: str, expected: str) -> None:
        with s_server(ec, version, option, "2") as port:
            report = scan(port)
        assert report.features.client_certificate == expected
        assert report.certificates[0].key == "ec"
        if expected == "required":
            assert report.features.resumption == {}

    def test_a_staple(self, ec: Leaf, tmp_path: Path) -> None:
        answer = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                EC.certificate, BETWEEN.certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, NOW, NOW + DAY, None, None
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, BETWEEN.certificate)
            .sign(BETWEEN.key, hashes.SHA256())
        )
        file = tmp_path / "answer.der"
        file.write_bytes(answer.public_bytes(serialization.Encoding.DER))
        for version in ("-tls1_2", "-tls1_3"):
            with s_server(ec, version, "-status_file", file) as port:
                assert scan(port).features.ocsp_staple is True

    def test_a_sweep_reads_the_certificate_of_tls_13(self, ec: Leaf) -> None:
        with s_server(ec, "-tls1_3") as port:
            report = scan(port, mode=SWEEP)
        (leaf,) = report.certificates
        assert leaf.subject == "CN=server.test"
        assert leaf.name_matches
        assert leaf.trust == "not checked"
        assert report.features == Features()

    def test_only_what_was_asked_for(self, ec: Leaf) -> None:
        with s_server(ec) as port:
            report = scan(port, features=False)
        assert report.features == Features()
        assert report.versions[Version.TLS1_2].signature_schemes == ()
        assert [leaf.trust for leaf in report.certificates] == ["not checked"]

    def test_an_address_that_the_certificate_is_for(self, tmp_path: Path) -> None:
        leaf = made(("127.0.0.1",)).write(tmp_path, "leaf")
        with s_server(leaf, "-tls1_2") as port:
            assert scan(port, name="").certificates[0].name_matches is True


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_session_cache {cache}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets {tickets};
    server {{ listen 127.0.0.1:{port} ssl default_server; server_name _; {default} }}
    server {{
        listen 127.0.0.1:{port} ssl http2; server_name server.test;
        ssl_certificate {ec[0]}; ssl_certificate_key {ec[1]};
    }}
}}
"""


def nginx(folder: Path, ec: Leaf, default: str, cache: str = "builtin", tickets: str = "on") -> Any:
    def command(port: int) -> list[str | Path]:
        text = NGINX.format(folder=folder, port=port, ec=ec, default=default, cache=cache, tickets=tickets)
        (folder / "nginx.conf").write_text(text)
        return ["nginx", "-p", folder, "-e", "/dev/null", "-c", folder / "nginx.conf"]

    return running(command)


class TestNginx:
    def test_another_certificate_without_a_name(self, tmp_path: Path, ec: Leaf, rsa: Leaf) -> None:
        with nginx(tmp_path, ec, f"ssl_certificate {rsa[0]}; ssl_certificate_key {rsa[1]};") as port:
            report = scan(port)
        assert report.features.needs_name is False
        assert report.features.alpn[:2] == ("h2", "http/1.1")
        assert all(report.features.resumption.values())
        assert [(leaf.key, leaf.only_without_name) for leaf in report.certificates] == [("ec", False), ("rsa", True)]
        assert report.certificates[1].name_matches is None
        assert Version.TLS1_3 in report.certificates[1].seen_with

    def test_a_name_is_needed(self, tmp_path: Path, ec: Leaf) -> None:
        with nginx(tmp_path, ec, "ssl_reject_handshake on;", cache="none", tickets="off") as port:
            report = scan(port)
            nameless = scan(port, name="")
        assert report.features.needs_name is True
        assert report.features.resumption["TLSv1.2 by ticket"] is False
        assert report.features.resumption["TLSv1.2 by session id"] is False
        assert [leaf.subject for leaf in report.certificates] == ["CN=server.test"]
        assert report.versions[Version.TLS1_3].outcome is Outcome.ACCEPTED
        assert nameless.accepted == ()
        assert nameless.features == Features()


def test_gnutls(ec: Leaf, rsa: Leaf) -> None:
    with running(
        lambda port: ["gnutls-serv", "-q", "--echo", "-p", str(port), "--alpn", "h2", "--x509certfile", ec[0],
                      "--x509keyfile", ec[1], "--x509certfile", rsa[0], "--x509keyfile", rsa[1],
                      "--priority", "NORMAL:+VERS-TLS1.1", "--noticket"]
    ) as port:  # fmt: skip
        report = scan(port)
    seen = report.features
    assert (seen.secure_renegotiation, seen.extended_master_secret, seen.encrypt_then_mac) == (True, True, True)
    assert seen.fallback_scsv is True
    assert seen.alpn == ("h2",)
    assert seen.tickets is False
    assert seen.resumption["TLSv1.2 by ticket"] is False
    assert {leaf.key for leaf in report.certificates} == {"ec", "rsa"}
    assert "rsa_pss_rsae_sha256" in report.versions[Version.TLS1_3].signature_schemes


# Servers that the test plays


@dataclass
class Played:
    """Answers every hello by one function, and every conversation by another."""

    choose: Callable[[ClientHello], Answer] = lambda hello: Answer(Kind.RESET)
    talk: Callable[[Conversation], Answer] = lambda peer: Answer(Kind.EOF, talk=peer)
    hellos: list[ClientHello] = field(default_factory=list)

    def run_all(self, scripts: Iterator[tuple[str, Script[None]]]) -> None:
        for _, script in scripts:
            self.run(script)

    def run(self, script: Script[None]) -> None:
        answer: Answer | None = None
        for _ in range(500):
            try:
                ask: Ask = next(script) if answer is None else script.send(answer)
            except StopIteration:
                return
            if ask.peer is not None:
                answer = self.talk(ask.peer())
                continue
            hello = peek_client_hello(ask.hello)
            assert isinstance(hello, ClientHello)
            self.hellos.append(hello)
            answer = self.choose(hello)
        raise AssertionError("the script does not end")


def chosen(hello: ClientHello, *extensions: tuple[int, bytes], session: bytes = b"", **flight: Any) -> Answer:
    answer = ServerHello(hello.legacy_version, bytes(32), session, hello.cipher_suites[0], 0, extensions)
    return Answer(Kind.SERVER_HELLO, answer, flight=Flight(complete=True, **flight))


def finding(version: Version = Version.TLS1_2, suites: Sequence[int] = (0xC02B, 0xC013), form: Form = WHOLE) -> Finding:
    hello = ServerHello(version.wire, bytes(32), b"", suites[0], 0, ())
    if version is Version.TLS1_3:
        hello = ServerHello(0x0303, RETRY_RANDOM, b"", suites[0], 0, ((43, b"\3\4"), (51, b"\0\x1d")))
    found = Finding(version, hello=hello, form=form)
    found.suites = list(suites)
    return found


def endpoint(*findings: Finding, name: str = "") -> Any:
    made = known(name)
    made.findings = {one.version: one for one in findings}
    return made


class TestPlayed:
    def test_an_old_server(self) -> None:
        server, facts = Played(chosen), Facts()
        two = endpoint(finding(), finding(Version.TLS1_0, (0x002F,)))
        server.run_all(features.scripts(two, facts))
        assert facts.secure_renegotiation is False
        assert facts.extended_master_secret is False
        assert facts.encrypt_then_mac is False
        assert facts.tickets is False
        assert facts.session_ids is False
        assert facts.fallback_scsv is False
        assert facts.staple is None
        assert facts.resumption == {}
        assert facts.client_certificate == "not requested"

    @pytest.mark.parametrize("kind", [Kind.RESET, Kind.TIMEOUT, Kind.EOF, Kind.FOREIGN, Kind.ALERT])
    def test_silence_tells_nothing(self, kind: Kind) -> None:
        answer = Answer(kind, alert=Alert.INTERNAL_ERROR if kind is Kind.ALERT else None)
        server, facts = Played(lambda hello: answer, lambda peer: Answer(kind)), Facts()
        three = endpoint(finding(), finding(Version.TLS1_0, (0x002F,)), finding(Version.TLS1_3, (0x1301,), RETRY))
        server.run_all(features.scripts(three, facts))
        server.run_all(features13.scripts(three, facts))
        assert facts == Facts()
        assert three.findings[Version.TLS1_2].schemes == ()
        assert facts.features(three) == Features(needs_name=False)

    def test_ssl_3_alone(self) -> None:
        server, facts = Played(lambda hello: chosen(hello, session=b"id")), Facts()
        server.run_all(features.scripts(endpoint(finding(Version.SSL3, (0x002F,))), facts))
        assert facts.session_ids is True
        assert facts.secure_renegotiation is False
        assert not any(hello.extensions for hello in server.hellos)
        assert facts.features(endpoint(finding(Version.SSL3))).needs_name is None

    def test_hellos_stay_small_where_only_small_ones_pass(self) -> None:
        lengths = []

        def choose(hello: ClientHello) -> Answer:
            lengths.append(hello.length)
            return chosen(hello, session=b"id")

        many = [0xC02B, 0xC02F, *range(0x002F, 0x005F)]
        small = finding(suites=many, form=CHUNKS), finding(Version.TLS1_1, many, CHUNKS)
        Played(choose).run_all(features.scripts(endpoint(*small, name="a-name-of-some-length.test"), Facts()))
        assert len(lengths) > 5
        assert max(lengths) <= 255

    def test_the_fallback_alert(self) -> None:
        facts = Facts()
        server = Played(lambda hello: Answer(Kind.ALERT, alert=Alert.INAPPROPRIATE_FALLBACK))
        both = endpoint(finding(Version.TLS1_3, (0x1301,), RETRY), finding())
        server.run(features.ask_fallback(both, facts))
        assert facts.fallback_scsv is True
        assert server.hellos[0].fallback_scsv
        assert server.hellos[0].newest is Version.TLS1_2

    def test_one_version_has_nothing_to_fall_back_to(self) -> None:
        server, facts = Played(), Facts()
        server.run(features.ask_fallback(endpoint(finding()), facts))
        assert not server.hellos
        assert facts.fallback_scsv is None

    def test_a_scheme_that_was_not_offered_ends_the_list(self) -> None:
        found = finding()
        server = Played(lambda hello: chosen(hello, exchange=Exchange("ecdh", 29, scheme=0x0201)))
        server.run(features.ask_schemes(endpoint(found), found))
        assert found.schemes == ("rsa_pkcs1_sha1",)
        assert found.evidence == ["signed with rsa_pkcs1_sha1, which was not offered"]
        assert len(server.hellos) == 2

    def test_a_protocol_that_was_not_offered_ends_the_list(self) -> None:
        facts = Facts()
        server = Played(lambda hello: chosen(hello, (16, b"\0\3\2h2")))
        server.run(features.ask_protocols(endpoint(finding()), finding(), facts))
        assert facts.alpn == ("h2",)
        assert len(server.hellos) == 2

    def test_every_kind_of_certificate_without_a_name(self) -> None:
        def choose(hello: ClientHello) -> Answer:
            assert hello.server_name is None
            return chosen(hello, certificates=(b"ec" if hello.cipher_suites[0] == 0xC02B else b"rsa",))

        facts, found = Facts(), finding()
        Played(choose).run(features.ask_unnamed(endpoint(found, name="server.test"), found, facts))
        assert facts.unnamed == {(b"ec",): {Version.TLS1_2}, (b"rsa",): {Version.TLS1_2}}

    def test_the_strictest_word_on_client_certificates_stays(self) -> None:
        facts = Facts()
        for state in ("requested", "not requested", "required", "requested"):
            facts.needs_certificate(state)
        assert facts.client_certificate == "required"


class TestPlayed13:
    def run(self, talk: Callable[[Handshake13], None]) -> tuple[Facts, Finding]:
        def answer(peer: Conversation) -> Answer:
            assert isinstance(peer, Handshake13)
            try:
                talk(peer)
            except HelloError as error:
                return Answer(Kind.FOREIGN, detail=str(error), talk=peer)
            return Answer(Kind.TALKED if peer.done else Kind.EOF, talk=peer)

        facts, found = Facts(), finding(Version.TLS1_3, (0x1301,), RETRY)
        Played(talk=answer).run_all(features13.scripts(endpoint(found), facts))
        return facts, found

    def test_a_server_that_proves_nothing(self) -> None:
        """Its scheme is the same whatever was offered, and its signature is no signature."""
        leaf = EC.der[0]
        entries = len(leaf).to_bytes(3, "big") + leaf + b"\0\0"
        body = b"\0" + len(entries).to_bytes(3, "big") + entries
        facts, found = self.run(lambda peer: Breaker(bodies={11: body}).run(peer))
        assert facts.proved == {leaf: False}
        assert found.schemes == ("ecdsa_secp256r1_sha256",)
        assert found.evidence == ["signed with ecdsa_secp256r1_sha256, which was not offered"]
        made = endpoint(found)
        made.facts = facts
        (seen,) = further.values(made, Options(trust=TRUST))["certificates"]
        assert "the server did not prove that it holds the certificate's key" in seen.faults

    def test_what_came_before_it_broke_still_counts(self) -> None:
        facts, _ = self.run(lambda peer: Breaker(finished=bytes(32)).run(peer))
        assert (b"leaf", b"next") in facts.chains
        assert facts.resumption == {}
        assert facts.tickets is None

    def test_a_ticket_that_is_never_taken(self) -> None:
        ticket = (7200).to_bytes(4, "big") + bytes(4) + b"\1n" + b"\0\1t" + b"\0\x08" + b"\0\x2a\0\4\0\0\x40\0"
        facts, _ = self.run(lambda peer: Breaker(ticket=ticket).run(peer))
        assert facts.early_data is True
        assert facts.tickets is True
        assert facts.resumption == {"TLSv1.3 by ticket": False}
        assert facts.staple is True


def test_a_scan_for_suites_loads_no_library(ec: Leaf) -> None:
    """What is not needed is not paid for: neither by a sweep nor by a scan for versions and suites."""
    program = """
import sys
from plimsoll.scan.engine import scan_endpoint
from plimsoll.scan.options import Options
from plimsoll.scan.report import Target
for mode in ("full", "sweep"):
    report = scan_endpoint(Target("127.0.0.1", int(sys.argv[1])), Options(mode=mode, features=False))
    assert report.certificates[0].subject == "CN=server.test"
print("cryptography" in sys.modules, "ssl" in sys.modules)
"""
    import sys

    with s_server(ec, "-tls1_2") as port:
        result = subprocess.run([sys.executable, "-c", program, str(port)], capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["False", "False"], result.stderr
