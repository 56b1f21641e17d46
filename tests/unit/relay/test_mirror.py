"""A relay between agents and a source: fetched once, handed on as it comes, never a wrong or half file as a whole."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import random
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, desk
from tests.support.releases import Publisher
from tests.support.sources import Act, Reply, Site, Source, honest
from tests.unit.agent.software.test_hostile import package, raw

from plimsoll.agent.threads import in_thread
from plimsoll.messages import METADATA, TARGETS
from plimsoll.net.client import Link
from plimsoll.net.contexts import ServerIdentity, client_context
from plimsoll.relay import mirror as module
from plimsoll.relay.cache import Cache
from plimsoll.relay.mirror import Mirror
from plimsoll.relay.service import RelayService
from plimsoll.relay.state import RelayFloorKeeper

CONTENT = random.Random(7).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"


class Group(Site):
    """A repository with one package, and relays that are made as a test needs them."""

    def __init__(self, folder: Path, opened: Any) -> None:
        super().__init__(folder, opened)
        Publisher().trusted_by(self.desk.services).import_into(self.desk.services, CONTENT)
        cert, key = self.authority.leaf("agent", "8").write(folder, "caller")
        self.context = client_context(ca=str(folder / "ca.pem"), cert=str(cert), key=str(key))
        self.caches: list[Cache] = []

    def relay(self, *sources: Callable[[], tuple[int, str]], limit: int = 1 << 30, reserve: int = 0) -> RelayService:
        """A real relay with a cache of its own; each source gives its port and role."""
        number = len(self.caches)
        cert, key = self.authority.leaf("relay", f"r{number}").write(self.folder, f"relay-{number}")
        cache = Cache(self.folder / f"cache-{number}", limit, reserve)
        self.caches.append(cache)

        def links() -> Iterator[Link]:
            for source in sources:
                port, role = source()
                yield Link(
                    "127.0.0.1", port, ca=str(self.folder / "ca.pem"), cert=str(cert), key=str(key), timeout=5,
                    expect_role=role, installation=self.authority.installation,
                )  # fmt: skip

        files = self.folder / f"files-{number}"
        files.mkdir()
        keeper = RelayFloorKeeper.open(self.home, activated_with="12.0.0", now=1.0, software="12.0.0")
        identity = ServerIdentity(str(cert), str(key))
        mirror = Mirror(cache, links, fresh=0.2)
        return RelayService(keeper, files, identity, self.folder / "ca.pem", self.authority.installation, mirror)

    def get(
        self, port: int, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.context, timeout=20)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    async def ask(
        self, port: int, path: str = f"{TARGETS}/{SHA256}", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, bytes]:
        return await in_thread(self.get, port, path, headers, method)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with desk(tmp_path) as opened:
        opened.services.software_metadata.tend()
        yield Group(tmp_path, opened)


def port_of(source: Source | RelayService, role: str = "relay") -> Callable[[], tuple[int, str]]:
    return lambda: (source.port, source.role if isinstance(source, Source) else role)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


async def started(*relays: RelayService) -> None:
    for relay in relays:
        await relay.start("127.0.0.1", 0)


async def stopped(*relays: RelayService) -> None:
    for relay in relays:
        await relay.stop()


class Gate:
    """An act that sends a package's beginning, waits until a test lets it go on, and sends the rest, or another."""

    def __init__(self, first: int = 1_000_000, rest: bytes | None = None) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self._first, self._rest = first, CONTENT[first:] if rest is None else rest
        self.act = package(lambda reply, _: Reply(raw=self._send))

    def _send(self, sock: ssl.SSLSocket) -> None:
        sock.sendall(HEAD + CONTENT[: self._first])
        self.begun.set()
        assert self.open.wait(20)
        sock.sendall(self._rest)


def test_a_package_is_fetched_once_for_all_who_ask(group: Group) -> None:
    gate = Gate()
    with group.source(gate.act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            asking = [asyncio.create_task(group.ask(relay.port)) for _ in range(12)]
            asking.append(asyncio.create_task(group.ask(relay.port, headers={"range": "bytes=10-19"})))
            await in_thread(gate.begun.wait, 20)
            await asyncio.sleep(0.3)
            gate.open.set()
            answers = await asyncio.gather(*asking)
            assert answers[:-1] == [(200, CONTENT)] * 12
            assert answers[-1] == (206, CONTENT[10:20])
            assert await group.ask(relay.port) == (200, CONTENT)
            assert await group.ask(relay.port, headers={"range": "bytes=2999990-"}) == (206, CONTENT[-10:])
            assert (await group.ask(relay.port, headers={"range": "bytes=3000000-"}))[0] == 416
            assert await group.ask(relay.port, method="HEAD") == (200, b"")
            await stopped(relay)

        run(scenario)
        assert len(manager.packages_asked) == 1


def test_bytes_are_handed_on_as_they_come(group: Group) -> None:
    gate = Gate(2_000_000)
    with group.source(gate.act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        def first_half() -> bytes:
            connection = http.client.HTTPSConnection("127.0.0.1", relay.port, context=group.context, timeout=20)
            connection.request("GET", f"{TARGETS}/{SHA256}")
            answer = connection.getresponse()
            data = answer.read(1_500_000)
            assert not gate.open.is_set(), "the source has not sent the rest yet"
            gate.open.set()
            data += answer.read()
            connection.close()
            return data

        async def scenario() -> None:
            await started(relay)
            assert await in_thread(first_half) == CONTENT
            await stopped(relay)

        run(scenario)


def test_nobody_gets_the_whole_of_a_wrong_file(group: Group) -> None:
    gate = Gate(1_000_000, bytes(2_000_000))
    with group.source(gate.act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            asking = [asyncio.create_task(group.ask(relay.port)) for _ in range(4)]
            await in_thread(gate.begun.wait, 20)
            gate.open.set()
            for one in await asyncio.gather(*asking, return_exceptions=True):
                # Cut off before the last byte, or turned away: 200 and all of it would be a wrong file.
                assert isinstance(one, BaseException) or one[0] == 503, one
            assert group.caches[0].package(SHA256) is None
            assert not group.caches[0].incoming(SHA256).exists()
            manager.act = honest
            assert await group.ask(relay.port) == (200, CONTENT)
            await stopped(relay)

        run(scenario)


def test_a_source_that_dies_in_mid_transfer_is_followed_by_the_next(group: Group) -> None:
    dies = package(lambda reply, _: raw(HEAD + CONTENT[:1_200_000]))
    with group.source(dies) as parent, group.source(role="manager") as manager:
        relay = group.relay(port_of(parent), port_of(manager))

        async def scenario() -> None:
            await started(relay)
            assert await group.ask(relay.port) == (200, CONTENT)
            await stopped(relay)

        run(scenario)
        assert manager.packages_asked == [(SHA256, "bytes=1200000-")]


def test_what_a_killed_relay_had_is_gone_on_with_and_never_handed_out(group: Group) -> None:
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager))
        group.caches[0].incoming(SHA256).write_bytes(CONTENT[:500_000])

        async def scenario() -> None:
            await started(relay)
            assert await group.ask(relay.port) == (200, CONTENT)
            await stopped(relay)

        run(scenario)
        assert manager.packages_asked == [(SHA256, "bytes=500000-")]


def test_a_beginning_that_was_wrong_is_thrown_away(group: Group) -> None:
    """Disks forget. The first who asks is cut off; the next gets it whole."""
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager))
        group.caches[0].incoming(SHA256).write_bytes(bytes(500_000))

        async def scenario() -> None:
            await started(relay)
            with pytest.raises((http.client.HTTPException, OSError)):
                await group.ask(relay.port)
            assert await group.ask(relay.port) == (200, CONTENT)
            await stopped(relay)

        run(scenario)


def test_relays_fetch_from_relays_above_them(group: Group) -> None:
    with group.source(role="manager") as manager:
        top = group.relay(port_of(manager))
        middle = group.relay(port_of(top))
        leaf = group.relay(port_of(middle), port_of(manager))

        async def scenario() -> None:
            await started(top, middle, leaf)
            assert await group.ask(leaf.port) == (200, CONTENT)
            assert await group.ask(middle.port) == (200, CONTENT)
            status, data = await group.ask(leaf.port, f"{METADATA}/timestamp.json")
            assert (status, data) == (200, group.file(f"{METADATA}/timestamp.json"))
            await stopped(leaf, middle, top)

        run(scenario)
        assert len(manager.packages_asked) == 1
        assert all(cache.package(SHA256) is not None for cache in group.caches)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (package(lambda *_: Reply(404)), 404),
        (package(lambda *_: Reply(500)), 503),
        (package(lambda *_: None), 503),
        (package(lambda *_: Reply(302, b"", {"Location": "/x"})), 503),
        (package(lambda *_: Reply(200, b"")), 503),
    ],
)
def test_a_source_that_gives_nothing_is_said(group: Group, act: Act, status: int) -> None:
    with group.source(act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            assert (await group.ask(relay.port))[0] == status
            asked = len(manager.asked)
            assert (await group.ask(relay.port))[0] == status
            assert (len(manager.asked) == asked) == (status == 404), (
                "a package that is not there is not asked for at once"
            )
            await stopped(relay)

        run(scenario)


def test_a_relay_without_room_says_so_and_tells_its_manager(group: Group) -> None:
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager), limit=1_000_000)

        async def scenario() -> None:
            await started(relay)
            status, said = await group.ask(relay.port)
            assert (status, b"no room" in said) == (503, True)
            assert "does not fit" in relay.troubles()["room"]
            assert relay.troubles() == {}
            await stopped(relay)

        run(scenario)


@pytest.mark.parametrize(
    "path",
    [f"{TARGETS}/x", f"{TARGETS}/../{SHA256}", f"{TARGETS}/{SHA256.upper()}", f"{TARGETS}/{SHA256}/", f"{TARGETS}/"]
    + [f"{METADATA}/{name}" for name in ("root.json", "../x", "01.root.json", "timestamp.json/x", "")],
)
def test_no_name_leads_elsewhere(group: Group, path: str) -> None:
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            assert (await group.ask(relay.port, path))[0] == 404
            assert manager.asked == []
            await stopped(relay)

        run(scenario)


def test_metadata_is_as_fresh_as_its_source_and_survives_it(group: Group) -> None:
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            path = f"{METADATA}/timestamp.json"
            first = await asyncio.gather(*(group.ask(relay.port, path) for _ in range(8)))
            assert set(first) == {(200, group.file(path))}
            assert len([one for one, _ in manager.asked if one == path]) == 1
            time.sleep(1.1)  # the version is the time in seconds
            group.desk.services.software.delete(ROOT, 1)
            assert await group.ask(relay.port, path) == (200, group.file(path))
            assert (await group.ask(relay.port, f"{METADATA}/2.root.json"))[0] == 404
            manager.stop()
            await asyncio.sleep(0.3)
            assert await group.ask(relay.port, path) == (200, group.file(path)), "what it had before"
            await stopped(relay)

        run(scenario)


def test_metadata_that_is_too_long_is_not_passed_on(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METADATA", 10)
    with group.source(role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            assert (await group.ask(relay.port, f"{METADATA}/timestamp.json"))[0] == 404
            await stopped(relay)

        run(scenario)


def test_a_relay_that_stops_lets_nobody_wait(group: Group) -> None:
    gate = Gate()
    with group.source(gate.act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        async def scenario() -> None:
            await started(relay)
            asking = asyncio.create_task(group.ask(relay.port))
            await in_thread(gate.begun.wait, 20)
            await asyncio.sleep(0.2)
            before = time.monotonic()
            await stopped(relay)
            assert time.monotonic() - before < 15
            with pytest.raises((http.client.HTTPException, OSError)):
                await asking
            gate.open.set()

        run(scenario)


def test_those_who_go_away_leave_the_others_alone(group: Group) -> None:
    gate = Gate()
    with group.source(gate.act, role="manager") as manager:
        relay = group.relay(port_of(manager))

        def leave() -> None:
            connection = http.client.HTTPSConnection("127.0.0.1", relay.port, context=group.context, timeout=20)
            connection.request("GET", f"{TARGETS}/{SHA256}")
            connection.getresponse().read(1000)
            connection.close()

        async def scenario() -> None:
            await started(relay)
            stays = asyncio.create_task(group.ask(relay.port))
            await in_thread(leave)
            gate.open.set()
            assert await stays == (200, CONTENT)
            mirror = relay._mirror
            assert mirror is not None
            for _ in range(100):
                if not mirror._sending:
                    break
                await asyncio.sleep(0.05)
            assert mirror._sending == 0
            await stopped(relay)

        run(scenario)
