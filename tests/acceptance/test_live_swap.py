"""A floor that moves under load: compliant requests never fail, the others end in an orderly way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support import raw
from tests.support.load import Load
from tests.support.manager import Manager
from tests.support.store import add_events

from plimsoll.testing.caps import client_context
from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import PeerError, TlsPipe
from plimsoll.tls.versions import Version

PING = "/rest/status/manager/ping"
EXPORT = "/api/events/export"
STREAM = "/api/events/stream"
EVENTS = 40_000
ALERT_PROTOCOL_VERSION, ALERT_INAPPROPRIATE_FALLBACK = 70, 86

#: Connections below a raised floor are closed within this time; the rest is patience with a busy machine.
CLOSED_WITHIN = 10 + 10


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager with so many events that their export takes longer than any buffer hides."""
    made = Manager(tmp_path_factory.mktemp("busy") / "home")
    add_events(made.home, EVENTS)
    try:
        yield made.start()
    finally:
        made.close()


def ports(manager: Manager) -> list[int]:
    return [manager.gui_port, manager.heartbeat_port]


def port_of(manager: Manager, point: str) -> int:
    return manager.gui_port if point == "gui" else manager.heartbeat_port


@contextlib.asynccontextmanager
async def opened(manager: Manager, port: int, version: Version) -> AsyncIterator[HttpPipe]:
    """A connection with exactly that version."""
    context = client_context(str(manager.ca), oldest=version, newest=version)
    pipe = await TlsPipe.open("127.0.0.1", port, context, timeout=60)
    try:
        yield HttpPipe(pipe)
    finally:
        pipe.abort()


async def set_minimum(manager: Manager, floor: str) -> None:
    """Sets the floor as ``dsm_c`` does; the loop goes on meanwhile."""
    await asyncio.to_thread(manager.set_minimum, floor)


async def read_to_end(http: HttpPipe, seconds: float) -> bytes:
    """What still arrives until the server closes, which it must within that time."""
    data = bytearray()
    async with asyncio.timeout(seconds):
        with contextlib.suppress(PeerError):
            while piece := await http.piece():
                data += piece
    return bytes(data)


async def follow(http: HttpPipe, stopping: asyncio.Event) -> bytes:
    """Reads an endless stream until `stopping`. It must not end before."""
    received = bytearray()
    while not stopping.is_set():
        task = asyncio.ensure_future(http.piece())
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            break
        assert task.result(), f"the stream ended; last: {bytes(received[-300:])!r}"
        received += task.result()
    return bytes(received)


async def sip(http: HttpPipe, stopping: asyncio.Event) -> bytes:
    """Reads a chunked download slowly until `stopping`, and then the rest of it."""
    received = bytearray()
    while not received.endswith(b"\r\n0\r\n\r\n"):
        piece = await http.piece(16384)
        assert piece, f"the download ended after {len(received)} bytes"
        received += piece
        if not stopping.is_set():
            await asyncio.sleep(0.05)
    return bytes(received)


async def swap_under_load(manager: Manager, changes: int, pause: float) -> tuple[Load, bytes, bytes]:
    """The load, what the event stream said and what was downloaded, while the floor moved `changes` times."""
    headers = {"api-secret-key": manager.api_key}
    stopping = asyncio.Event()
    async with (
        opened(manager, manager.gui_port, Version.TLS1_2) as stream,
        opened(manager, manager.gui_port, Version.TLS1_2) as download,
    ):
        for http, path in ((stream, STREAM), (download, EXPORT)):
            await http.send("GET", path, headers=headers)
            assert (await http.head()).status == 200
        async with Load(manager.gui_port, manager.ca, PING) as load:
            readers = asyncio.gather(follow(stream, stopping), sip(download, stopping))
            for number in range(changes):
                await set_minimum(manager, "TLSv1" if number % 2 else "TLSv1.2")
                await asyncio.sleep(pause)
            stopping.set()
            heard, downloaded = await readers
    return load, heard, downloaded


def check_swap(load: Load, heard: bytes, downloaded: bytes, requests: int) -> None:
    assert load.failures == []
    assert sum(load.done.values()) >= requests
    assert min(load.done.values()) >= requests // 4
    assert load.really_resumed >= load.done["resumed"] * 0.9
    assert heard
    # Every event arrived whole: the text of each of them occurs once.
    assert downloaded.count(b': "event ') == EVENTS


@pytest.mark.rule("G7")
def test_no_compliant_request_fails_while_the_floor_moves(busy: Manager) -> None:
    busy.set_minimum("TLSv1")
    load, heard, downloaded = asyncio.run(swap_under_load(busy, changes=20, pause=0.4))
    check_swap(load, heard, downloaded, requests=300)


@pytest.mark.deep
def test_no_compliant_request_fails_while_the_floor_moves_for_long(busy: Manager) -> None:
    busy.set_minimum("TLSv1")
    load, heard, downloaded = asyncio.run(swap_under_load(busy, changes=60, pause=1.5))
    check_swap(load, heard, downloaded, requests=4000)


@pytest.mark.parametrize(
    ("point", "path", "status"), [("gui", "/api/tls/floors", 401), ("heartbeat", "/agent/v1/heartbeat", 403)]
)
def test_an_open_early_connection_gets_its_answer_and_is_closed(
    busy: Manager, point: str, path: str, status: int
) -> None:
    """The request brings neither key nor certificate, so it is turned down; what counts is that the answer comes."""

    async def main() -> None:
        await set_minimum(busy, "TLSv1")
        async with opened(busy, port_of(busy, point), Version.TLS1_0) as http:
            assert (await http.request("GET", PING)).status in {200, 404}
            body = json.dumps({"point": "all"}).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            await http.pipe.write(head.encode() + body[:5])
            await asyncio.sleep(0.3)
            await set_minimum(busy, "TLSv1.2")
            await asyncio.sleep(0.3)
            await http.pipe.write(body[5:])
            assert (await http.head()).status == status
            rest = await read_to_end(http, CLOSED_WITHIN)
            assert json.loads(rest[rest.index(b"{") : rest.rindex(b"}") + 1])["message"]

    asyncio.run(main())


def test_an_early_event_stream_is_closed(busy: Manager) -> None:
    async def main() -> None:
        await set_minimum(busy, "TLSv1")
        async with opened(busy, busy.gui_port, Version.TLS1_0) as http:
            await http.send("GET", STREAM, headers={"api-secret-key": busy.api_key})
            assert (await http.head()).status == 200
            await set_minimum(busy, "TLSv1.2")
            await read_to_end(http, CLOSED_WITHIN)

    asyncio.run(main())


@pytest.mark.deep
def test_an_early_download_may_end_within_its_minute(busy: Manager) -> None:
    async def main() -> None:
        await set_minimum(busy, "TLSv1")
        async with opened(busy, busy.gui_port, Version.TLS1_0) as http:
            await http.send("GET", EXPORT, headers={"api-secret-key": busy.api_key})
            assert (await http.head()).status == 200
            stopping = asyncio.Event()
            reader = asyncio.create_task(sip(http, stopping))
            await set_minimum(busy, "TLSv1.2")
            await asyncio.sleep(20)
            stopping.set()
            assert (await reader).count(b': "event ') == EVENTS

    asyncio.run(main())


@pytest.mark.parametrize("point", ["gui", "heartbeat"])
def test_an_idle_early_connection_is_closed(busy: Manager, point: str) -> None:
    async def main() -> None:
        await set_minimum(busy, "TLSv1")
        port = port_of(busy, point)
        async with opened(busy, port, Version.TLS1_0) as old, opened(busy, port, Version.TLS1_2) as new:
            await set_minimum(busy, "TLSv1.2")
            assert await read_to_end(old, CLOSED_WITHIN) == b""
            assert (await new.request("GET", PING)).status in {200, 404}

    asyncio.run(main())


@pytest.mark.parametrize("point", ["gui", "heartbeat"])
def test_a_handshake_paused_across_the_raise_is_refused(busy: Manager, point: str) -> None:
    async def main() -> None:
        await set_minimum(busy, "TLSv1")
        port = port_of(busy, point)
        context = client_context(str(busy.ca), oldest=Version.TLS1_0, newest=Version.TLS1_0)
        pipe = await TlsPipe.connect("127.0.0.1", port, context)
        try:
            assert not await pipe.step()
            await pipe.fill()
            await set_minimum(busy, "TLSv1.2")
            with pytest.raises(PeerError):
                await pipe.handshake()
                await HttpPipe(pipe).request("GET", PING)
        finally:
            pipe.abort()

    asyncio.run(main())


@pytest.mark.parametrize("point", ["gui", "heartbeat"])
def test_a_hello_that_is_half_sent_across_the_raise_is_refused(busy: Manager, point: str) -> None:
    busy.set_minimum("TLSv1")
    port = port_of(busy, point)
    hello = raw.hello_bytes(Version.TLS1_0)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(hello[:20])
        time.sleep(0.2)
        busy.set_minimum("TLSv1.2")
        sock.sendall(hello[20:])
        refusal = raw.read_to_end(sock)
    assert (refusal.alert, refusal.end) == (ALERT_PROTOCOL_VERSION, "fin")


def test_a_refused_client_sees_the_alert_and_an_orderly_end(busy: Manager) -> None:
    busy.set_minimum("TLSv1.2")
    for port in ports(busy):
        for version in (Version.TLS1_0, Version.TLS1_1):
            refusal = raw.say_hello(port, raw.hello_bytes(version))
            assert (refusal.alert, refusal.end) == (ALERT_PROTOCOL_VERSION, "fin")


def test_a_refused_client_that_goes_on_sending_still_reads_the_alert(busy: Manager) -> None:
    """Unread bytes would turn the end into a reset, and a reset may overtake the alert."""
    busy.set_minimum("TLSv1.2")
    for port in ports(busy):
        refusal = raw.say_hello(port, raw.hello_bytes(Version.TLS1_0) + b"\x16\x03\x01\x00\x40" + bytes(64))
        assert (refusal.alert, refusal.end) == (ALERT_PROTOCOL_VERSION, "fin")


@pytest.mark.parametrize(
    ("newest", "sentinel"),
    [(Version.TLS1_2, b"DOWNGRD\x01"), (Version.TLS1_1, b"DOWNGRD\x00"), (Version.TLS1_0, b"DOWNGRD\x00")],
)
def test_early_tls_for_old_peers_keeps_the_downgrade_sentinel(busy: Manager, newest: Version, sentinel: bytes) -> None:
    busy.set_minimum("TLSv1")
    for port in ports(busy):
        start = raw.first_bytes(port, raw.hello_bytes(newest), 5 + 4 + 2 + 32)
        assert start[0] == 22
        assert start[-8:] == sentinel


@pytest.mark.parametrize("newest", [Version.TLS1_0, Version.TLS1_1, Version.TLS1_2])
def test_a_fallback_is_answered_with_alert_86_while_early_tls_is_allowed(busy: Manager, newest: Version) -> None:
    busy.set_minimum("TLSv1")
    for port in ports(busy):
        refusal = raw.say_hello(port, raw.hello_bytes(newest, fallback=True))
        assert refusal.alert == ALERT_INAPPROPRIATE_FALLBACK
        assert refusal.end == "fin"
