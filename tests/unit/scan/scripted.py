"""A server played by the test: a script is asked here, without sockets, session or clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from plimsoll.scan.asking import Answer, Ask, Kind, Script
from plimsoll.scan.hellos import hellos_for
from plimsoll.scan.knowledge import Known
from plimsoll.scan.report import Target
from plimsoll.tls.alerts import Alert
from plimsoll.tls.flight import Exchange, Flight
from plimsoll.tls.hello import ClientHello, peek_client_hello
from plimsoll.tls.server_hello import RETRY_RANDOM, ServerHello
from plimsoll.tls.versions import Version

REFUSED = Answer(Kind.ALERT, alert=Alert.HANDSHAKE_FAILURE)
RESET = Answer(Kind.RESET)


@dataclass
class Server:
    """Chooses as real ones do; `prioritize` are suites that go first for clients which put one of them first."""

    suites: dict[Version, Sequence[int]]
    server_order: bool = True
    prioritize: tuple[int, ...] = ()
    groups: Sequence[int] = (29, 23)
    compressors: Sequence[int] = (0,)
    strange: Callable[[ClientHello, int], Answer | None] = lambda hello, length: None
    asked: list[ClientHello] = field(default_factory=list)

    def answer(self, ask: Ask) -> Answer:
        found = peek_client_hello(ask.hello)
        assert isinstance(found, ClientHello), "every hello of ours can be read by our own codec"
        self.asked.append(found)
        answer = self.strange(found, len(ask.hello)) or self._choose(found)
        return replace(answer, beside=tuple(self.answer(other) for other in ask.beside))

    def _choose(self, hello: ClientHello) -> Answer:
        version = hello.newest
        if version is None or version not in self.suites:
            return Answer(Kind.ALERT, alert=Alert.PROTOCOL_VERSION)
        ours, theirs = self.suites[version], hello.cipher_suites
        first, second = (ours, theirs) if self.server_order else (theirs, ours)
        if self.prioritize and theirs[0] in self.prioritize:
            first, second = theirs, ours
        suite = next((code for code in first if code in second), None)
        group = next((code for code in self.groups if code in hello.groups), None)
        if suite is None or (group is None and version is Version.TLS1_3):
            return REFUSED
        if version is Version.TLS1_3:
            assert group is not None
            extensions = ((43, b"\x03\x04"), (51, group.to_bytes(2, "big")))
            return Answer(Kind.SERVER_HELLO, ServerHello(0x0303, RETRY_RANDOM, b"", suite, 0, extensions))
        compression = next((code for code in self.compressors if code in hello.compression), 0)
        chosen = ServerHello(version.wire, bytes(32), b"", suite, compression, ())
        flight = Flight(certificates=(b"leaf",), complete=True)
        if suite >> 8 in (0xC0, 0xCC) and version is not Version.SSL3:
            if group is None:
                return REFUSED
            flight.exchange = Exchange("ecdh", group)
        return Answer(Kind.SERVER_HELLO, chosen, flight=flight)


def known(name: str = "", **options: Any) -> Known:
    return Known(Target("host.test", 443, server_name=name), hellos_for(name), **options)


def play(script: Script[Any], server: Server) -> Any:
    """Run a script against the server to its result."""
    try:
        ask = next(script)
        while True:
            ask = script.send(server.answer(ask))
    except StopIteration as end:
        return end.value
