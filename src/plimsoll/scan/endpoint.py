"""What to ask one endpoint, in which order, and the report of it."""

from __future__ import annotations

import socket
import time
from typing import Any, Final

from plimsoll.scan import knowledge
from plimsoll.scan.asking import Ask, Kind, Script
from plimsoll.scan.hellos import hellos_for, name_for_sni, suites_early
from plimsoll.scan.knowledge import CHUNKS, Finding, Known
from plimsoll.scan.options import DEFAULT_RATE, FULL, Options
from plimsoll.scan.orders import Orders
from plimsoll.scan.pace import Pace
from plimsoll.scan.report import Control, EndpointReport, Outcome, State, Target, VersionReport
from plimsoll.scan.resolve import Address
from plimsoll.scan.session import Plan, Session
from plimsoll.scan.versions import ORDER, ask_version, conclude
from plimsoll.tls.versions import Version

#: How often refusals are asked again because the control after them failed.
ROUNDS: Final = 3
_ROUND_PAUSE: Final = 2.0


class Endpoint:
    """One target: its plan, what is known of it, and its report."""

    def __init__(self, target: Target, options: Options, started: float, orders: Orders | None = None) -> None:
        self.target = target
        self.open = True
        self._options = options
        self._started = started
        self._addresses: list[Address] = []
        self._session: Session | None = None
        self._held: bool | None = None
        self._rounds = 1
        self.known = Known(
            target, hellos_for(name_for_sni(target.server_name)), options.mode == FULL, options.order, options.groups,
            orders=orders or Orders(),
        )  # fmt: skip

    def session(self, addresses: list[Address]) -> Session:
        """The session that asks it, at those addresses."""
        self._addresses = addresses
        options = self._options
        rate = options.rate
        if rate is None:
            rate = 0.0 if _is_loopback(addresses[0]) else DEFAULT_RATE
        pace = self.known.pace = Pace(max(1, options.concurrency), rate, options.timeout)
        self._session = Session(self._plan(), self._scouts(), pace, options.patience, len(addresses))
        return self._session

    def unreachable(self, reason: str) -> EndpointReport:
        """The report where there is no address to ask."""
        versions = {v: VersionReport(v, Outcome.NOT_ASKED) for v in self._options.versions}
        return EndpointReport(
            self.target, State.UNREACHABLE, self._options.mode, note=reason, started=self._started, ended=time.time(),
            versions=versions, control=Control(None),
        )  # fmt: skip

    def _scouts(self) -> list[Ask]:
        """Small hellos of which one should be answered by anything that speaks TLS."""
        hellos = self.known.hellos
        asks = []
        for named in (True, False) if self.target.server_name else (False,):
            suites = hellos.chunks(Version.TLS1_2, suites_early(), named=named)[0]
            asks.append(Ask(self.known.hello(Version.TLS1_2, CHUNKS, tuple(suites), named), label="scout"))
        return asks

    # What to ask

    def _plan(self) -> Plan:
        known, session = self.known, self._session
        assert session is not None
        asked = [version for version in ORDER if version in self._options.versions]
        yield [ask_version(known, version) for version in self._in_order(asked)]
        while True:
            doubtful = [version for version in asked if not known.findings[version].accepted]
            if not known.accepted or not doubtful:
                break
            self._held = session.hello_at > session.alert_at
            if not self._held:
                (self._held,) = yield [self._control()]
            again = doubtful if not self._held else [v for v in doubtful if _was_not_settled(known.findings[v])]
            if not again or self._rounds == ROUNDS or session.exhausted:
                break
            self._rounds += 1
            session.notes.append(f"round {self._rounds}: {', '.join(v.label for v in again)} asked again, slower")
            now = time.monotonic()
            session.pace.slow_down(now)
            session.pace.pause(now, _ROUND_PAUSE)
            yield [ask_version(known, version) for version in again]
        if known.accepted:
            yield from self._further()

    def _in_order(self, asked: list[Version]) -> list[Version]:
        """A sweep ends with TLS 1.3, whose answer costs little and serves as the control after the refusals."""
        if self.known.full or Version.TLS1_3 not in asked:
            return asked
        return [version for version in asked if version is not Version.TLS1_3] + [Version.TLS1_3]

    def _further(self) -> Plan:
        from plimsoll.scan import further

        for _, script in further.scripts(self.known, self._options):
            yield [script]

    def _control(self) -> Script[bool]:
        """The newest version that is accepted, asked once more."""
        finding = self.known.accepted[0]
        answer = yield finding.ask(self.known, [finding.chosen], f"{finding.version.label}, control")
        return finding.has_chosen(answer)

    # What came of it

    def report(self) -> EndpointReport:
        """All that was seen."""
        session, known = self._session, self.known
        assert session is not None
        versions = {version: self._version(version) for version in self._options.versions}
        state, note = self._state(versions)
        address = self._addresses[session.address][1][0] if self._addresses else ""
        control = Control(self._held, self._rounds, tuple(session.notes))
        values: dict[str, Any] = {}
        if known.accepted:
            from plimsoll.scan import further

            values = further.values(known, self._options)
        return EndpointReport(
            self.target, state, self._options.mode, address, note, self._started, time.time(), session.connections,
            versions, control=control, **values,
        )  # fmt: skip

    def _version(self, version: Version) -> VersionReport:
        finding = self.known.findings.get(version)
        if finding is None:
            return VersionReport(version, Outcome.NOT_ASKED)
        outcome, evidence = conclude(self.known, finding)
        if outcome is Outcome.REFUSED:
            if not self.known.accepted:
                outcome, evidence = Outcome.INCONCLUSIVE, (*evidence, "void: no version at all was accepted")
            elif self._held is False:
                outcome, evidence = Outcome.INCONCLUSIVE, (*evidence, "void: the control after it was not answered")
        return knowledge.version_report(finding, outcome, evidence)

    def _state(self, versions: dict[Version, VersionReport]) -> tuple[State, str]:
        session = self._session
        assert session is not None
        last = session.unheard
        if not session.heard and last is not None:
            if last.kind in (Kind.REFUSED_CONNECT, Kind.UNREACHABLE):
                return State.UNREACHABLE, str(last)
            if last.kind in (Kind.FOREIGN, Kind.OPENING_FAILED):
                return State.NOT_TLS, last.detail
            return State.INCOMPLETE, f"a connection is accepted, but no question was answered ({last})"
        whole = all(seen.outcome in (Outcome.ACCEPTED, Outcome.REFUSED) for seen in versions.values())
        if self.known.full:
            whole = whole and all(seen.suites_complete for seen in versions.values() if seen.suites)
        return (State.COMPLETE if whole else State.INCOMPLETE), session.exhausted


def _was_not_settled(finding: Finding) -> bool:
    return any(tried.last is not None and not tried.last.settled for tried in finding.attempts.values())


def _is_loopback(address: Address) -> bool:
    family, where = address
    return where[0].startswith("127.") if family == socket.AF_INET else where[0] == "::1"
