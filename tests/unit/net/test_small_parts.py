"""The small parts: back-off, deadlines, tasks, the board, PROXY headers, listening sockets, identities."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
from tests.unit.net.running import HOST

from plimsoll.net.backoff import Backoff
from plimsoll.net.board import FloorBoard
from plimsoll.net.deadlines import Deadlines
from plimsoll.net.errors import CannotListen, PortTaken
from plimsoll.net.identity import CertificateFormatError, Identity, public_key_hash
from plimsoll.net.listen import holder_of, listening_socket
from plimsoll.net.proxy import ProxyHeader, ProxyHeaderError, peek_proxy_header
from plimsoll.net.resources import raise_file_limit
from plimsoll.net.tasks import Supervisor, TaskDiedError
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.floors import FloorSnapshot


class TestBackoff:
    def test_it_doubles_up_to_its_cap_and_begins_again_after_success(self) -> None:
        backoff = Backoff(1, 10, jitter=0)
        assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
        backoff.reset()
        assert backoff.next() == 1

    def test_jitter_is_bounded_and_the_same_for_the_same_seed(self) -> None:
        first, second = Backoff(1, 64, 0.5, seed="host"), Backoff(1, 64, 0.5, seed="host")
        delays = [first.next() for _ in range(200)]
        assert delays == [second.next() for _ in range(200)]
        assert all(0.5 <= delay <= 64 for delay in delays)
        assert 300 < first.spread(600) < 900

    @pytest.mark.parametrize(("base", "cap", "jitter"), [(0, 1, 0), (2, 1, 0), (1, 2, 1)])
    def test_nonsense_is_refused(self, base: float, cap: float, jitter: float) -> None:
        with pytest.raises(ValueError, match="back-off"):
            Backoff(base, cap, jitter)


def test_deadlines_expire_in_order_and_not_when_discarded() -> None:
    async def main() -> list[str]:
        ended: list[str] = []
        deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), 0.05, ended.append)
        for name in ("a", "b", "c", "d"):
            deadlines.add(name)
        deadlines.discard("b")
        assert deadlines.pop_oldest() == "a"
        assert deadlines.items() == ["c", "d"]
        await asyncio.sleep(0.2)
        deadlines.add("e")
        assert deadlines.clear() == ["e"]
        await asyncio.sleep(0.1)
        assert deadlines.pop_oldest() is None
        return ended

    assert asyncio.run(main()) == ["c", "d"]


class TestSupervisor:
    def test_a_side_task_that_dies_stops_the_service_with_its_name(self) -> None:
        async def sweep() -> None:
            await asyncio.sleep(0)
            raise OSError("disk full")

        async def main() -> None:
            supervisor = Supervisor()
            supervisor.start("rest", asyncio.sleep(60))
            supervisor.start("sweeper", sweep())
            try:
                await supervisor.wait()
            finally:
                await supervisor.stop()

        with pytest.raises(TaskDiedError, match="'sweeper'") as caught:
            asyncio.run(main())
        assert isinstance(caught.value.__cause__, OSError)

    def test_a_stop_cancels_all_and_is_no_death(self) -> None:
        ended = []

        async def work(name: str) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(name)

        async def main() -> None:
            supervisor = Supervisor()
            supervisor.start("first", work("first"))
            supervisor.start("second", work("second"))
            with pytest.raises(ValueError, match="already"):
                supervisor.start("first", work("again"))
            await asyncio.sleep(0.01)
            supervisor.request_stop()
            await supervisor.wait()
            await supervisor.stop()

        asyncio.run(main())
        assert sorted(ended) == ["first", "second"]


def test_the_board_tells_its_subscribers_until_they_leave() -> None:
    board = FloorBoard(FloorSnapshot(1, {}))
    seen: list[int] = []
    leave = board.subscribe(lambda snapshot: seen.append(snapshot.generation))
    board.publish(FloorSnapshot(2, {}))
    leave()
    leave()
    board.publish(FloorSnapshot(3, {}))
    assert (seen, board.snapshot.generation) == ([2], 3)


V2 = b"\r\n\r\n\x00\r\nQUIT\n"


class TestProxyHeader:
    @pytest.mark.parametrize(
        ("data", "header"),
        [
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 99 4120\r\n\x16", ProxyHeader(("192.0.2.7", 99), 40)),
            (b"PROXY UNKNOWN whatever\r\n", ProxyHeader(None, 24)),
            (V2 + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1, 0, 99, 16, 24]), ("192.0.2.7", 99)),
            (V2 + b"\x21\x21\x00\x24" + bytes(15) + b"\x01" + bytes(16) + b"\x00\x63\x10\x18", ("::1", 99)),
            (V2 + b"\x21\x31\x00\x03abc", None),
        ],
    )
    def test_each_form_is_read_byte_by_byte(self, data: bytes, header: object) -> None:
        for size in range(1, len(data) + 1):
            found = peek_proxy_header(data[:size])
            if isinstance(found, int):
                assert found > size
            else:
                break
        assert isinstance(found, ProxyHeader)
        assert header in (found, found.source)

    @pytest.mark.parametrize(
        "data",
        [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 99\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 99999 1\r\n",
            b"PROXY TCP4 host 192.0.2.1 99 1\r\n",
            b"PROXY " + b"x" * 110,
            V2 + b"\x31\x11\x00\x0c" + bytes(12),
            V2 + b"\x21\x11\x00\x04" + bytes(4),
            V2 + b"\x21\x11\xff\xff",
        ],
    )
    def test_a_malformed_one_is_an_error(self, data: bytes) -> None:
        with pytest.raises(ProxyHeaderError):
            peek_proxy_header(data)

    @pytest.mark.parametrize("data", [b"\x16\x03\x01", b"GET / HTTP/1.1", b"\r\n\r\nX"])
    def test_anything_else_has_none(self, data: bytes) -> None:
        assert peek_proxy_header(data) is None


class TestListening:
    def test_a_taken_port_names_its_holder(self) -> None:
        with listening_socket(HOST, 0) as first:
            port = first.getsockname()[1]
            with pytest.raises(PortTaken) as caught:
                listening_socket(HOST, port)
            assert caught.value.holder is not None
            assert f"(pid {os.getpid()})" in str(caught.value)
            assert f"port {port}" in str(caught.value)
        assert holder_of(port) is None

    @pytest.mark.parametrize(("host", "port"), [("203.0.113.5", 0), ("no such host", 1), (HOST, 70_000)])
    def test_other_obstacles_are_told_too(self, host: str, port: int) -> None:
        with pytest.raises(CannotListen, match="cannot listen"):
            listening_socket(host, port)

    def test_the_any_address_of_ipv6_takes_ipv4_too(self) -> None:
        if not socket.has_dualstack_ipv6():
            with pytest.raises(CannotListen):
                listening_socket("::", 0)
            return
        with (
            listening_socket("::", 0) as listener,
            socket.create_connection((HOST, listener.getsockname()[1]), timeout=5),
        ):
            pass


class TestIdentity:
    def test_a_uri_names_installation_role_and_id(self) -> None:
        assert Identity.from_uri("plimsoll://inst-1/relay/r.7", "ab") == Identity("inst-1", "relay", "r.7", "ab")

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "plimsoll://a/b",
            "plimsoll://a/admin/c",
            "https://a/agent/c",
            "plimsoll://a/agent/c/d",
            "plimsoll:///agent/c",
        ],
    )
    def test_other_uris_name_nobody(self, uri: str) -> None:
        assert Identity.from_uri(uri, "") is None

    @pytest.mark.parametrize("rsa_bits", [None, 2048])
    def test_the_hash_of_a_key_is_the_token_s(self, rsa_bits: int | None) -> None:
        authority = TestAuthority(rsa_bits=rsa_bits)
        der = ssl.PEM_cert_to_DER_cert(authority.pem.decode())
        assert public_key_hash(der) == authority.pin
        for cut in (0, 1, 10, 40, 150):
            with pytest.raises(CertificateFormatError):
                public_key_hash(der[:cut])
        with pytest.raises(CertificateFormatError):
            public_key_hash(b"\x30\x85" + der)


def test_the_soft_limit_of_open_files_is_raised() -> None:
    limit = raise_file_limit()
    assert limit == raise_file_limit()
    assert str(limit) in Path("/proc/self/limits").read_text()
