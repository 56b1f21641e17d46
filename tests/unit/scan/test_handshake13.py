"""The TLS 1.3 client: RFC 8448's trace, real servers, and servers that break the rules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scan import rfc8448
from tests.unit.scan.breaker import Breaker, message
from tests.unit.scan.peers import converse, issue, new_key, running, s_server

from plimsoll.scan.handshake13 import MAX_MESSAGE, Handshake13, Offer13, Seen13
from plimsoll.scan.keys13 import SUITES, Protection, Schedule, expand_label
from plimsoll.scan.shares import GROUPS, Share, ffdhe_prime, make_share
from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.records import HelloError, Reason, to_records

Leaf = tuple[Path, Path]


@pytest.fixture(scope="module")
def leaf(tmp_path_factory: pytest.TempPathFactory) -> Leaf:
    root = issue((), authority=True, common_name="root")
    between = issue((), by=root, authority=True, common_name="between")
    return issue(("server.test",), by=between).write(tmp_path_factory.mktemp("leaf"), "leaf")


@pytest.fixture(scope="module")
def server(leaf: Leaf) -> Iterator[int]:
    with s_server(leaf, "-alpn", "h2,http/1.1", "-early_data") as port:
        yield port


class Traced(Handshake13):
    """The client of RFC 8448: its hello and its key are given."""

    def __init__(self) -> None:
        super().__init__(Offer13(lean=True))
        key = X25519PrivateKey.from_private_bytes(rfc8448.CLIENT_PRIVATE)
        public = key.public_key().public_bytes_raw()
        self._shares = {
            29: Share(29, public, lambda peer: key.exchange(X25519PublicKey.from_public_bytes(peer))),
        }

    def _client_hello(self) -> bytes:
        return rfc8448.CLIENT_HELLO


FLIGHT = to_records(rfc8448.SERVER_HELLO, 0x0303) + rfc8448.SERVER_FLIGHT


class TestKeySchedule:
    def test_the_secrets_of_the_trace(self) -> None:
        schedule = Schedule("sha256")
        assert schedule.secret.hex() == rfc8448.EARLY
        schedule.mix(rfc8448.SHARED)
        assert schedule.secret.hex() == rfc8448.HANDSHAKE
        client = schedule.derive(b"c hs traffic", rfc8448.HELLO_HASH)
        server = schedule.derive(b"s hs traffic", rfc8448.HELLO_HASH)
        assert client.hex() == rfc8448.CLIENT_HANDSHAKE_TRAFFIC
        assert server.hex() == rfc8448.SERVER_HANDSHAKE_TRAFFIC
        assert expand_label("sha256", server, b"key", b"", 16).hex() == rfc8448.SERVER_HANDSHAKE_KEY
        assert expand_label("sha256", server, b"iv", b"", 12).hex() == rfc8448.SERVER_HANDSHAKE_IV
        assert schedule.finished(client, rfc8448.SERVER_FINISHED_HASH).hex() == rfc8448.CLIENT_VERIFY
        schedule.mix()
        assert schedule.secret.hex() == rfc8448.MASTER
        assert schedule.derive(b"c ap traffic", rfc8448.SERVER_FINISHED_HASH).hex() == rfc8448.CLIENT_TRAFFIC
        assert schedule.derive(b"s ap traffic", rfc8448.SERVER_FINISHED_HASH).hex() == rfc8448.SERVER_TRAFFIC
        assert schedule.derive(b"res master", rfc8448.CLIENT_FINISHED_HASH).hex() == rfc8448.RESUMPTION_MASTER

    def test_the_whole_trace(self) -> None:
        client = Traced()
        assert client.start()[5:] == rfc8448.CLIENT_HELLO
        sent = client.feed(FLIGHT)
        seen = client.result
        assert seen.finished
        assert seen.scheme == 0x0804
        assert len(seen.chain) == 1
        leaf = x509.load_der_x509_certificate(seen.chain[0])
        key = leaf.public_key()
        assert isinstance(key, RSAPublicKey)
        key.verify(seen.signature, seen.signed, padding.PSS(padding.MGF1(SHA256()), SHA256().digest_size), SHA256())
        opened = Protection(0x1301, bytes.fromhex(rfc8448.CLIENT_HANDSHAKE_TRAFFIC)).open(sent[:5], sent[5:58])
        assert opened == (22, message(20, bytes.fromhex(rfc8448.CLIENT_VERIFY)))

    @settings(deadline=None)
    @given(st.data())
    def test_any_cut_of_the_trace(self, data: st.DataObject) -> None:
        client = Traced()
        client.start()
        rest = FLIGHT
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            client.feed(rest[:size])
            rest = rest[size:]
        assert client.result.finished

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, len(FLIGHT) - 1), st.integers(1, 255))
    def test_any_byte_changed_in_the_trace(self, position: int, change: int) -> None:
        client = Traced()
        client.start()
        changed = bytearray(FLIGHT)
        changed[position] ^= change
        with contextlib.suppress(HelloError):
            client.feed(bytes(changed))
        # The open record's minor version is for nobody (RFC 8446 §5.1); everything else counts.
        assert client.result.finished == (position == 2)


class TestShares:
    @pytest.mark.parametrize("group", [group for group in GROUPS if not 4587 <= group <= 4589])
    def test_both_ends_agree(self, group: int) -> None:
        ours, theirs = make_share(group), make_share(group)
        assert ours.agree(theirs.public) == theirs.agree(ours.public)
        assert ours.public != theirs.public

    @pytest.mark.parametrize("group", GROUPS)
    def test_a_bad_share_is_the_documented_error(self, group: int) -> None:
        share = make_share(group)
        for bad in (b"", b"\0", bytes(32), bytes(len(share.public)), b"\xff" * 1600):
            with pytest.raises(HelloError):
                share.agree(bad)

    def test_the_primes_of_rfc_7919(self) -> None:
        """Their first and last bytes stand in the RFC; that they are safe primes proves the middle."""
        for group in (256, 257):
            prime = ffdhe_prime(group)
            assert hex(prime).startswith("0xffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1")
            for number in (prime, (prime - 1) // 2):
                assert pow(3, number - 1, number) == 1
        assert hex(ffdhe_prime(256)).endswith("886b423861285c97ffffffffffffffff")

    def test_an_unknown_group(self) -> None:
        with pytest.raises(HelloError):
            make_share(0x2A2A)


def ask(port: int, offer: Offer13, *, finish: bool = True) -> Seen13:
    client = Handshake13(offer, finish=finish)
    converse(port, client)
    return client.result


class TestOpenSsl:
    def test_what_the_server_shows(self, server: int) -> None:
        seen = ask(server, Offer13(server_name="server.test", alpn=(b"http/1.1",)))
        assert seen.finished
        assert seen.alpn == b"http/1.1"
        assert len(seen.chain) == 2
        assert seen.scheme == 0x0403
        assert seen.alert is None
        assert seen.tickets[0].early_data

    @pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
    def test_a_session_is_resumed(self, server: int, suite: int) -> None:
        session = ask(server, Offer13(suites=(suite,))).tickets[0]
        seen = ask(server, Offer13(suites=(suite,), session=session))
        assert seen.resumed
        assert seen.finished
        assert not seen.chain

    def test_a_ticket_that_is_not_the_servers(self, server: int) -> None:
        session = ask(server, Offer13(suites=(0x1301,))).tickets[0]
        forged = type(session)(b"\1" * len(session.ticket), session.psk, session.suite)
        seen = ask(server, Offer13(suites=(0x1301,), session=forged))
        assert not seen.resumed
        assert seen.finished

    def test_without_its_own_end(self, server: int) -> None:
        seen = ask(server, Offer13(), finish=False)
        assert seen.finished
        assert seen.chain
        assert not seen.tickets

    @pytest.mark.parametrize("suite", [0x1304, 0x1305])
    def test_ccm(self, leaf: Leaf, suite: int) -> None:
        with s_server(
            leaf, "-cipher", "ALL:@SECLEVEL=0", "-ciphersuites", "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
        ) as port:
            assert ask(port, Offer13(suites=(suite,))).tickets

    @pytest.mark.parametrize("group", ["P-256", "P-384", "P-521", "X448", "ffdhe2048", "ffdhe4096"])
    def test_one_group_by_a_retry_request(self, leaf: Leaf, group: str) -> None:
        with s_server(leaf, "-groups", group) as port:
            session = ask(port, Offer13()).tickets[0]
            seen = ask(port, Offer13(session=session, suites=(session.suite,)))
        assert seen.retry is not None
        assert seen.resumed

    def test_no_shares_at_all(self, server: int) -> None:
        assert ask(server, Offer13(shares=())).tickets

    def test_a_lean_hello(self, server: int) -> None:
        client = Handshake13(Offer13(lean=True, server_name="a-name-of-thirty-characters.test"))
        assert len(client.start()) <= 255
        assert ask(server, Offer13(lean=True)).tickets

    def test_a_certificate_is_asked_for(self, leaf: Leaf) -> None:
        with s_server(leaf, "-verify", "1") as port:
            seen = ask(port, Offer13())
            assert seen.certificate_requested
            assert seen.tickets
        with s_server(leaf, "-Verify", "1") as port:
            seen = ask(port, Offer13())
            assert seen.certificate_requested
            assert seen.alert is Alert.CERTIFICATE_REQUIRED

    def test_no_protocol_in_common(self, server: int) -> None:
        seen = ask(server, Offer13(alpn=(b"no-such-thing",)))
        assert seen.alert is Alert.NO_APPLICATION_PROTOCOL
        assert not seen.finished

    def test_the_key_by_the_schemes_offered(self, tmp_path: Path, leaf: Leaf) -> None:
        rsa = issue(key=new_key("rsa")).write(tmp_path, "rsa")
        with s_server(leaf, "-dcert", rsa[0], "-dkey", rsa[1]) as port:
            assert ask(port, Offer13(schemes=(0x0804,))).scheme == 0x0804
            assert ask(port, Offer13(schemes=(0x0403,))).scheme == 0x0403
            assert ask(port, Offer13(schemes=(0x0503,))).alert is Alert.HANDSHAKE_FAILURE

    def test_an_older_server(self, leaf: Leaf) -> None:
        with s_server(leaf, "-tls1_2") as port:
            assert ask(port, Offer13()).alert is Alert.PROTOCOL_VERSION


def test_gnutls(leaf: Leaf) -> None:
    with running(
        lambda port: ["gnutls-serv", "-q", "--echo", "-p", str(port), "--x509certfile", leaf[0],
                      "--x509keyfile", leaf[1], "--priority", "NORMAL:-GROUP-ALL:+GROUP-SECP384R1:+GROUP-FFDHE3072"]
    ) as port:  # fmt: skip
        session = ask(port, Offer13()).tickets[0]
        seen = ask(port, Offer13(session=session, suites=(session.suite,)))
        assert seen.resumed
        assert seen.finished
        assert ask(port, Offer13(groups=(257,), shares=(257,))).finished


class TestBrokenServers:
    @pytest.mark.parametrize("suite", SUITES)
    def test_the_server_of_these_tests_can_also_behave(self, suite: int) -> None:
        client = Handshake13(Offer13(suites=(suite,)))
        Breaker(suite).run(client)
        assert client.result.finished
        assert client.result.chain == (b"leaf", b"next")
        assert client.result.staple == b"answer"

    def test_a_certificate_of_16_megabytes(self) -> None:
        client = Handshake13(Offer13())
        with pytest.raises(HelloError) as caught:
            Breaker(certificate=message(11, b"")[:1] + b"\xff\xff\xff" + bytes(1000)).run(client)
        assert caught.value.reason is Reason.TOO_LARGE
        assert client.done

    def test_a_certificate_as_large_as_allowed(self) -> None:
        client = Handshake13(Offer13())
        large = bytes(MAX_MESSAGE - 20)
        body = b"\0" + (len(large) + 5).to_bytes(3, "big") + len(large).to_bytes(3, "big") + large + b"\0\0"
        Breaker(certificate=message(11, body)).run(client)
        assert client.result.chain == (large,)

    @pytest.mark.parametrize("record", [b"\x14\x03\x03\0\1\1", b"\x17\x03\x03\0\x11" + bytes(17)])
    def test_endless_records(self, record: bytes) -> None:
        client = Handshake13(Offer13())
        client.start()
        with pytest.raises(HelloError):
            for _ in range(2000):
                client.feed(record)

    def test_endless_empty_protected_records(self) -> None:
        client = Handshake13(Offer13())
        with pytest.raises(HelloError):
            Breaker(before=[b""] * 2000).run(client)

    def test_retry_requests_without_end(self) -> None:
        client = Handshake13(Offer13())
        with pytest.raises(HelloError, match="second HelloRetryRequest"):
            Breaker(retries=[23, 24]).run(client)

    @pytest.mark.parametrize("group", [29, 0x2A2A, 65000])
    def test_a_retry_request_for_a_group_that_is_wrong(self, group: int) -> None:
        with pytest.raises(HelloError, match="not offered or already sent"):
            Breaker(retries=[group]).run(Handshake13(Offer13()))

    def test_a_retry_request_that_changes_nothing(self) -> None:
        with pytest.raises(HelloError, match="changes nothing"):
            Breaker(retries=[None]).run(Handshake13(Offer13()))

    def test_a_cookie_comes_back(self) -> None:
        client, server = Handshake13(Offer13()), Breaker(retries=[None], cookie=b"crumbs")
        server.run(client)
        assert client.result.finished
        assert server.hellos[1].extension(44) == b"\0\6crumbs"

    @pytest.mark.parametrize(
        "order", [(8, 15), (11,), (8, 20), (8, 11, 20), (8, 11, 15, 4), (8, 13, 13), (8, 11, 11), (1,), (2,), (99,)]
    )
    def test_messages_out_of_their_place(self, order: tuple[int, ...]) -> None:
        with pytest.raises(HelloError):
            Breaker(order=order).run(Handshake13(Offer13()))

    def test_a_wrong_finished(self) -> None:
        client = Handshake13(Offer13())
        with pytest.raises(HelloError, match="Finished does not fit"):
            Breaker(finished=bytes(32)).run(client)
        assert client.result.chain
        assert not client.result.finished

    def test_a_session_resumed_that_nobody_offered(self) -> None:
        with pytest.raises(HelloError, match="not offered"):
            Breaker(hello_extensions=((41, b"\0\0"),)).run(Handshake13(Offer13()))

    def test_an_open_alert(self) -> None:
        client = Handshake13(Offer13())
        client.start()
        assert client.feed(alert_record(Alert.HANDSHAKE_FAILURE)) == b""
        assert client.done
        assert client.result.alert is Alert.HANDSHAKE_FAILURE
        assert client.feed(b"more") == b""

    @settings(deadline=None, max_examples=150)
    @given(st.binary(max_size=300), st.sampled_from([b"", b"\x16\x03\x03", b"\x16\x03\x03\0\x50\x02\0\0\x4c\x03\x03"]))
    def test_any_bytes(self, data: bytes, front: bytes) -> None:
        client = Handshake13(Offer13())
        client.start()
        try:
            client.feed(front + data)
        except HelloError:
            assert client.done

    @settings(deadline=None, max_examples=150)
    @given(st.sampled_from([8, 11, 13, 15, 20]), st.binary(max_size=80))
    def test_any_bodies_under_protection(self, kind: int, body: bytes) -> None:
        orders = {8: (8,), 13: (8, 13), 11: (8, 11), 15: (8, 11, 15), 20: (8, 11, 15, 20)}
        client = Handshake13(Offer13())
        try:
            Breaker(order=orders[kind], bodies={kind: body}).run(client)
        except HelloError:
            assert client.done

    @settings(deadline=None, max_examples=60)
    @given(st.binary(max_size=60))
    def test_any_ticket(self, body: bytes) -> None:
        client = Handshake13(Offer13())
        try:
            Breaker(ticket=body).run(client)
        except HelloError:
            assert client.done
        assert client.result.finished
