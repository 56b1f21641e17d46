"""How a simulated peer obeys an order to upgrade: as a real host does, as far as a manager and a relay can see.

It takes the order home with a heartbeat, downloads the whole package over TLS from the relays that its manager named
(then from the manager) and compares it with the order, probes 4120 with the new release's TLS versions, says
"switching" and waits until that was answered, and comes back as the new release. What it does not do is look at the
signed metadata, unpack, or keep anything: that is for real agents. How an upgrade ends can be chosen, see `Ending`.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import time
from typing import TYPE_CHECKING

from plimsoll.messages import TARGETS, Ack, SoftwareNews, SoftwareState, UpgradeOrder, UpgradeReport
from plimsoll.testing.pipe import REFUSED, PeerError
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.testing.agents import SimulatedAgent
    from plimsoll.testing.http import HttpPipe

#: How often a release that crashes is started before its host gives it up, and the seconds between, as a launcher does.
STARTS, START_PAUSE = 3, 1.0
#: How long a peer comes back to sources that are all busy, in seconds.
_PATIENCE = 900.0
#: The version that the broken new releases speak at most: what a floor of TLS 1.2 refuses.
_TOO_OLD = Version.TLS1_1


class Ending(enum.Enum):
    """How orders to upgrade end on a peer: well, or in one of the ways in which a host fails."""

    #: It heartbeats with the new release.
    GOOD = "good"
    #: The probe before the installation is refused by 4120's floor: the former release goes on.
    REFUSED = "refused"
    #: The new release ends as often as it is started: the host goes back at once.
    CRASHES = "crashes"
    #: The new release runs, and 4120's floor refuses its handshakes: the host goes back when the window is over.
    DEAF = "deaf"
    #: After the switch nothing is heard of the host for longer than any manager waits; then it is back.
    SILENT = "silent"


class _Failed(Exception):  # noqa: N818 - names a condition
    """The upgrade ends here. `code` is what a real agent says."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class SimulatedUpgrade:
    """The upgrades of one peer, one at a time. `history` are the states that it was in, `sources` who gave packages."""

    def __init__(self, peer: SimulatedAgent, ending: Ending) -> None:
        self.ending = ending
        self.kept: list[str] = []
        self.command = ""
        self.report: UpgradeReport | None = None
        self.holds = SoftwareState()
        self.relays: list[str] = []
        self.sources: list[str] = []
        self.history: list[str] = []
        self._peer = peer
        self._order: UpgradeOrder | None = None
        self._work: asyncio.Task[None] | None = None
        self._told = False

    # -- the peer tells

    def hear(self, news: SoftwareNews | None) -> None:
        """Where packages are to be had. Signatures are counted, so that they are not sent again, and not looked at."""
        if news is None:
            return
        if news.relays is not None:
            self.relays = news.relays
        self.holds = SoftwareState(
            trust=self.holds.trust + len(news.trust),
            root=self.holds.root or bool(news.root),
            sources=news.sources if news.relays is not None else self.holds.sources,
        )

    def ordered(self, command: str, order: UpgradeOrder) -> None:
        """The manager orders an upgrade."""
        if self.command:
            return
        if order.version == self._peer.spec.version:
            self._peer.acknowledge(Ack(command=command, ok=True, text=f"{order.version} runs already"))
            return
        self.command, self._order, self._told = command, order, False
        self._work = asyncio.get_running_loop().create_task(
            self._prepare(order), name=f"upgrade {self._peer.spec.name}"
        )

    def replied(self, commands: set[str], heard: UpgradeReport | None) -> None:
        """A heartbeat was answered: these commands wait for us, and this report of ours was stored."""
        if not self.command:
            return
        if self.command not in commands:
            self._end("withdrawn")
        elif heard is not None and heard.command == self.command and heard.state == "switching":
            self._told = True

    async def go_on(self) -> None:
        """Called after each answered heartbeat: the switch, once the manager knows of it. The host is not heard of
        until it has ended.
        """
        if self._work is not None and self._work.done():
            self._work.result()  # a fault of ours is shown
        if self._told and self._order is not None:
            await self._switch(self._order)

    async def close(self) -> None:
        """The peer ends; what was under way is forgotten."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    # -- the work

    async def _prepare(self, order: UpgradeOrder) -> None:
        """All that comes before the switch."""
        try:
            if order.target:
                self._say("downloading")
                await self._download(order)
            self._say("probing")
            await self._probe(order)
        except _Failed as error:
            self._finish(Ack(command=self.command, ok=False, text=str(error), code=error.code))
        else:
            self._say("switching")

    async def _download(self, order: UpgradeOrder) -> None:
        """The whole package from the first source that gives it, compared with the order. Raises _Failed."""
        ends = time.monotonic() + _PATIENCE
        while True:
            wait, said = 0.0, []
            for host, port, role in self._where():
                try:
                    after = await self._from(host, port, role, order)
                except PeerError as error:
                    said.append(f"{host}:{port}: {error}")
                    continue
                if after is None:
                    self.sources.append(f"{host}:{port}")
                    return
                wait = min(wait or after, after)
            if not wait or time.monotonic() + wait > ends:
                raise _Failed("download", f"no source gave the package: {'; '.join(said) or 'all are busy'}")
            await asyncio.sleep(wait)

    def _where(self) -> list[tuple[str, int, str]]:
        found = [(*_address(text), "relay") for text in self.relays]
        return [*found, (*self._peer.manager, "manager")]

    async def _from(self, host: str, port: int, role: str, order: UpgradeOrder) -> float | None:
        """None once the package was had; else after how many seconds to come back. Raises PeerError, _Failed."""
        http = await self._peer.ask(host, port, role)
        try:
            await http.send("GET", f"{TARGETS}/{order.sha256}")
            answer = await http.head()
            if answer.status == 503:
                return min(max(float(answer.headers.get("retry-after", "10")), 1.0), 300.0)
            if answer.status != 200:
                raise PeerError(f"http {answer.status}", "it does not have the package")
            digest = await _read(http, int(answer.headers.get("content-length", "0")))
        finally:
            await http.pipe.close()
        if digest != order.sha256:
            raise _Failed("package", f"{host}:{port} gave another package than the one that was ordered")
        return None

    async def _probe(self, order: UpgradeOrder) -> None:
        """A real handshake with what the new release speaks. Raises _Failed where the floor refuses it."""
        newest = _TOO_OLD if self.ending is Ending.REFUSED else None
        try:
            await self._peer.greet(newest)
        except PeerError as error:
            text = f"release {order.version} would not reach the manager: {error}; it was not installed"
            raise _Failed("probe-refused" if error.reason == REFUSED else "probe-failed", text) from None

    async def _switch(self, order: UpgradeOrder) -> None:
        peer, former = self._peer, self._peer.spec.version
        self.history.append("switched")
        why = ""
        if self.ending is Ending.CRASHES:
            await asyncio.sleep(STARTS * START_PAUSE)
            why = f"{order.version} ended {STARTS} times before a heartbeat of it was accepted"
        elif self.ending is Ending.SILENT:
            # A manager waits for one and a half windows and two minutes.
            await asyncio.sleep(2 * order.watch_seconds + 150)
            why = f"{order.version} hung, until somebody started this host again"
        elif self.ending is Ending.DEAF:
            peer.become(order.version, newest=_TOO_OLD)
            if not await self._reaches(order.watch_seconds):
                why = f"no heartbeat of {order.version} was accepted in {order.watch_seconds:.0f} s"
        if why:
            peer.become(former)
            text = f"went back from {order.version} to {former}: {why}"
            self._finish(Ack(command=self.command, ok=False, text=text, code="switched-back"))
            return
        peer.become(order.version)
        self.kept = [former]
        self._finish(Ack(command=self.command, ok=True, text=f"release {former} became {order.version}"))

    async def _reaches(self, seconds: float) -> bool:
        """Whether the new release is let in before the window is over."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            try:
                await self._peer.greet()
            except PeerError as error:
                self._peer.log.failed(error)
                await asyncio.sleep(min(5.0, seconds / 4))
            else:
                return True
        return False

    # -- small

    def _say(self, state: str) -> None:
        assert self._order is not None
        self.history.append(state)
        self.report = UpgradeReport(command=self.command, state=state, version=self._order.version)
        self._peer.wake()

    def _finish(self, ack: Ack) -> None:
        self._peer.acknowledge(ack)
        self._end("done" if ack.ok else ack.code)

    def _end(self, how: str) -> None:
        self.history.append(how)
        self.command, self._order, self.report, self._told = "", None, None, False
        work, self._work = self._work, None
        if work is not None and work is not asyncio.current_task():
            work.cancel()
        self._peer.wake()


async def _read(http: HttpPipe, length: int) -> str:
    """The hex SHA-256 of a body of that many bytes, which is not kept. Raises PeerError where it ends before."""
    digest = hashlib.sha256()
    while length:
        data = await http.piece()
        if not data or len(data) > length:
            raise PeerError("package", f"the body ended with {length} bytes to go")
        digest.update(data)
        length -= len(data)
    return digest.hexdigest()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
