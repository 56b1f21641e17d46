"""A gate in a thread of its own, so that tests can use blocking clients against it; and such clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from plimsoll.net.board import FloorBoard
from plimsoll.net.contexts import ServerContexts, ServerIdentity, pinned_client
from plimsoll.net.gate import Connection, Gate
from plimsoll.net.http import FileBody, HttpProtocol, Request, Response
from plimsoll.net.sightings import Sighting, SightingLog
from plimsoll.tls.alerts import parse_alert
from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import Version

T = TypeVar("T")
HOST = "127.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class RunningGate:
    """Start with ``with``. `call` runs a function in the gate's loop and returns what it returned."""

    def __init__(
        self,
        identities: Sequence[ServerIdentity],
        *,
        floor: Version = Version.TLS1_2,
        point: Point = Point.HEARTBEAT,
        client_ca: str | None = None,
        factory: Callable[[Connection], asyncio.Protocol] | None = None,
        rules: tuple[Rule, ...] = (),
        known: dict[str, tuple[str, ...]] | None = None,
        host: str = HOST,
        **options: Any,
    ) -> None:
        self.point = point
        self.contexts = ServerContexts(identities, client_ca=client_ca)
        self.log = SightingLog()
        self.generation = 1
        self.board = FloorBoard(FloorSnapshot(1, {point: floor}, rules, known or {}))
        self.release: asyncio.Event
        self.served: list[Connection] = []
        self._host = host
        self._make: Callable[[], Gate] = lambda: Gate(
            point, self.contexts, self.board, self.log, self._protocol if factory is None else factory, **options
        )
        self.gate: Gate
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self.loop: asyncio.AbstractEventLoop
        self.cpu = 0.0

    def __enter__(self) -> RunningGate:
        self._thread.start()
        assert self._ready.wait(10), "the gate did not start"
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # a test may have stopped it itself
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def port(self) -> int:
        return self.gate.port

    def call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def set_floor(
        self,
        floor: Version,
        rules: tuple[Rule, ...] = (),
        known: dict[str, Any] | None = None,
        shadow: Version | None = None,
    ) -> None:
        self.generation += 1
        shadows = {} if shadow is None else {self.point: shadow}
        snapshot = FloorSnapshot(self.generation, {self.point: floor}, rules, known or {}, shadows)
        self.call(lambda: self.board.publish(snapshot))

    def sightings(self) -> list[Sighting]:
        return self.call(self.log.drain)

    def cpu_of_loop(self) -> float:
        """The CPU seconds that the gate's thread has used."""
        return self.call(lambda: time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID))

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.release = asyncio.Event()
        self.gate = self._make()
        await self.gate.start(self._host, 0)
        self._ready.set()
        await self._stop.wait()
        await self.gate.stop(0.5)

    def _protocol(self, connection: Connection) -> asyncio.Protocol:
        self.served.append(connection)
        return HttpProtocol(self._answer, connection)

    def _answer(self, request: Request) -> Any:
        connection = request.connection
        if request.path == "/wait":
            return self._wait(request)
        if request.path == "/file":
            return Response(file=FileBody(request.query["path"]), content_type="application/octet-stream")
        if request.path == "/who":
            connection.who = request.query["who"]
        said = {
            "version": connection.version.value,
            "who": connection.who,
            "computer": connection.computer,
            "address": connection.address,
            "suite": connection.suite,
            "resumed": connection.resumed,
            "body": request.body.decode("latin-1"),
        }
        return Response(body=json.dumps(said).encode())

    async def _wait(self, request: Request) -> Response:
        if "grace" in request.query:
            request.connection.grace = float(request.query["grace"])
        await self.release.wait()
        return Response(body=b'"waited"')


def dial(port: int, timeout: float = 10) -> socket.socket:
    return socket.create_connection((HOST, port), timeout)


def tls(
    port: int,
    version: Version | None = None,
    cert: tuple[str, str] | None = None,
    session: ssl.SSLSession | None = None,
    context: ssl.SSLContext | None = None,
) -> ssl.SSLSocket:
    """A connected TLS client of that version, or of any."""
    if context is None:
        context = client(version, cert)
    plain = dial(port)
    try:
        return context.wrap_socket(plain, session=session)
    except BaseException:
        plain.close()
        raise


def client(version: Version | None = None, cert: tuple[str, str] | None = None) -> ssl.SSLContext:
    if version is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = pinned_client(version)
    if cert is not None:
        context.load_cert_chain(*cert)
    return context


def ask(sock: ssl.SSLSocket, path: str = "/") -> dict[str, Any]:
    """The JSON that the gate's handler says."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return json.loads(read_answer(sock)[1])


def read_answer(sock: socket.socket) -> tuple[str, bytes]:
    """Head and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise EOFError(data)
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode()
    length = next(int(line.split(":")[1]) for line in text.lower().split("\r\n") if line.startswith("content-length"))
    while len(body) < length:
        body += sock.recv(65536)
    return text, body


def hello_bytes(context: ssl.SSLContext, server_name: str | None = None) -> tuple[bytes, ssl.SSLObject, Any, Any]:
    """A real ClientHello, with the client that goes on from there: (bytes, object, its input, its output)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read(), session, incoming, outgoing


def read_to_end(sock: socket.socket) -> bytes:
    """All that the peer sends until FIN. A reset raises ConnectionResetError."""
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def alert_then_end(port: int, hello: bytes) -> Any:
    """What the gate answers to these bytes: the alert's number; the end must be a FIN."""
    with dial(port) as sock:
        sock.sendall(hello)
        data = read_to_end(sock)
    assert len(data) == 7, data
    parsed = parse_alert(data)
    assert parsed is not None
    assert parsed[1], "a fatal alert"
    return parsed[0]


def s_client(port: int, *options: str) -> str:
    """What ``openssl s_client`` prints."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{HOST}:{port}", *options],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    return (done.stdout + done.stderr).decode("latin-1")


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until the condition holds; fail when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
