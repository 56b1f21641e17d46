"""The story: from early TLS allowed to TLS 1.2 enforced and back, each claim with the handshake that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plimsoll.cli._demo.cast import GROUPS, MANAGER_ADDRESS, PROBER_ADDRESS, Computer
from plimsoll.cli._demo.processes import DemoError
from plimsoll.cli._demo.stage import Asked, Stage
from plimsoll.cli._demo.telling import Teller
from plimsoll.cli._errors import Code
from plimsoll.cli._fleet.points import points
from plimsoll.cli._fleet.verify import prove
from plimsoll.net.probe import probe
from plimsoll.scan.report import Outcome, VersionReport
from plimsoll.tls.alerts import Alert
from plimsoll.tls.versions import FLOORS, Version

STEPS = 8
#: Those of them that bring the fleet up.
BEGINNING = 2
EARLY, ENFORCED = Version.TLS1_0, Version.TLS1_2


class Story:
    """One run on one stage. `play` tells it all; what was not proved stays in the teller's claims."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self._stage = stage
        self._tell = teller
        #: The newest version that each computer speaks; the old ones change when they are replaced.
        self._newest = {one.name: "TLSv1" if one.old else "TLSv1.3" for one in stage.cast.computers}

    def play(self) -> None:
        stage, tell = self._stage, self._tell
        self.begin()
        with tell.step("Who talks to whom, with early TLS allowed"):
            self._picture("Early TLS allowed (R19, second picture)", EARLY)
        with tell.step("Raising the floor to TLS 1.2 is refused, with the names"):
            self._refused_raise()
        with tell.step("The old ones are replaced by 12.0"):
            self._replace()
        with tell.step("The floor is raised, and the policies are sent"):
            self._raise()
        with tell.step("Who talks to whom, with TLS 1.2 enforced; every port probed at each version"):
            raised = stage.now()
            stage.restart_computers()
            tell.talk("all computers were restarted: each shows a new handshake under the new floor")
            self._picture("TLS 1.2 enforced (R19, first picture)", ENFORCED, raised)
            self._probe_all(ENFORCED)
        with tell.step("And back: early TLS is allowed again"):
            self._lower()

    def _set_up(self) -> None:
        stage, tell = self._stage, self._tell
        stage.make_manager()
        stage.start_manager()
        stage.prepare(GROUPS)
        shown = stage.dsm_c("ShowValue").out
        tell.talk(f"$ dsm_c -action settlsprotocol -MinimumTLSProtocol ShowValue -> {shown}")
        tell.talk(
            f"4119 (GUI, REST) is port {stage.cast.gui_port} here, 4120 (heartbeat) is {stage.cast.heartbeat_port}"
        )
        floors = {name: self._lowest(*address) for name, address in self._manager_ports().items()}
        tell.claim(
            f"dsm_c says {shown}, and both ports do it",
            _floors(floors),
            shown == EARLY.value and all(floor is EARLY for floor in floors.values()),
        )

    def begin(self, *, programs: bool = False) -> None:
        """The fleet as it is before anybody raises anything: early TLS allowed, old parts among the new.

        With `programs`, each API client asks once, so that the manager has seen it.
        """
        stage, tell = self._stage, self._tell
        with tell.step("A manager with early TLS allowed, as an old deployment has it"):
            self._set_up()
        with tell.step("Two relays, three agents at 12.0, two agents at 9.6 and a 9.5 appliance join"):
            stage.start_computers()
            stage.send_policies(GROUPS)
            tell.talk(f"{len(stage.cast.computers)} computers joined, and hold the policy that was sent")
            for one in stage.cast.programs if programs else ():
                stage.ask_manager(one)

    # who talks to whom

    def _picture(self, title: str, floor: Version, since: float = 0.0) -> None:
        """Heartbeats as the manager saw them, programs and relay clients as they were answered; one row each.

        A heartbeat counts by a handshake after `since`: a connection that is older proves nothing of a new floor.
        """
        stage = self._stage
        with ThreadPoolExecutor(3) as pool:
            programs = pool.map(stage.ask_manager, stage.cast.programs)
            clients = [one for one in stage.cast.computers if one.role != "relay"]
            relays = pool.map(lambda one: stage.ask_relay(one, stage.relay_of(one), self._newest[one.name]), clients)
            asked_manager, asked_relay = list(programs), list(relays)
        view = stage.handshakes_since(since)
        rows: list[tuple[object, ...]] = []
        for one in stage.cast.computers:
            tls = view[one.name]["tls"]
            link = _Link(_who(one, view), "manager", stage.cast.heartbeat_port, self._newest[one.name])
            rows.append(
                self._row(link, tls["negotiated"] or "", f"heartbeat, handshake {_clock(tls['observedAt'])}", floor)
            )
        for one, asked in zip(clients, asked_relay, strict=True):
            relay = stage.relay_of(one)
            link = _Link(_who(one, view), relay.name, relay.relay_port, self._newest[one.name])
            rows.append(self._row(link, asked.version, _said(asked), floor, asked.refused))
        for program, asked in zip(stage.cast.programs, asked_manager, strict=True):
            link = _Link(f"{program.name} (API client)", "manager", stage.cast.gui_port, program.newest)
            rows.append(self._row(link, asked.version, _said(asked), floor, asked.refused))
        self._tell.table(title, ("From", "To", "Port", "Version", "Seen", "Proved"), rows)

    def _row(self, link: _Link, version: str, seen: str, floor: Version, refused: bool = False) -> tuple[object, ...]:
        """A row, with what must be so at that floor: the newest version that both speak (R2), or a refusal."""
        if Version.parse_floor(link.newest) >= floor:
            claim, proved = f"{link.from_} talks to {link.to} with {link.newest}", version == link.newest
        else:
            claim, proved = f"{link.from_} is refused by {link.to}, and is told why", refused and not version
        mark = self._tell.claim(claim, f"{version or 'no version'}, {seen}", proved, in_table=True)
        return (link.from_, link.to, link.port, version or "-", seen, mark)

    # the raise

    def _refused_raise(self) -> None:
        stage, tell = self._stage, self._tell
        done = stage.dsm_c("TLSv1.2", expect=(Code.OK, Code.BLOCKERS))
        tell.talk("$ dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2")
        for line in done.err.splitlines():
            tell.talk(line)
        names = [one.name for one in stage.cast.old]
        missing = [name for name in names if name not in done.err]
        tell.claim(
            "the raise is refused, and names every old computer",
            f"exit code {done.code}, named {', '.join(name for name in names if name not in missing)}",
            done.code == Code.BLOCKERS and not missing,
        )
        preflight = stage.client.get("/api/tls/preflight", to="TLSv1.2")
        affected = [str(one["who"]) for one in preflight["affected"]]
        old = stage.cast.programs[-1].name
        tell.claim(
            "the old API client alone is listed as affected, and does not block",
            f"affected: {', '.join(affected) or 'nobody'}",
            affected == [old] and not any(old in str(one["who"]) for one in preflight["blockers"]),
        )
        still = {name: self._lowest(*address) for name, address in self._manager_ports().items()}
        tell.claim("nothing was changed by it", _floors(still), all(version is EARLY for version in still.values()))

    def _replace(self) -> None:
        stage, tell = self._stage, self._tell
        since = stage.now()
        stage.replace_old()
        names = {one.name for one in stage.cast.old}
        for name in names:
            self._newest[name] = "TLSv1.3"

        def replaced(name: str, one: dict[str, object]) -> bool:
            last = one["lastAgentCommunication"]
            return (
                str(one["agentVersion"]).startswith("12.")
                and isinstance(last, int)
                and last / 1000 > since
                and isinstance(one["tls"], dict)
                and one["tls"]["negotiated"] == self._newest[name]
            )

        view = stage.until(
            "the old computers come back as 12.0", lambda view: all(replaced(name, view[name]) for name in names)
        )
        for name in sorted(names):
            one = view[name]
            tell.claim(
                f"{name} is {one['agentVersion']} now",
                f"its heartbeat settled on {one['tls']['negotiated']}",
                replaced(name, one),
            )

    def _raise(self) -> None:
        stage, tell = self._stage, self._tell
        done = stage.dsm_c("TLSv1.2", expect=(Code.OK, Code.BLOCKERS))
        tell.talk(f"$ dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2 -> {done.out}")
        if done.code != Code.OK:
            raise DemoError("the raise was refused although the old computers are replaced", done.err.splitlines())
        manager = {name: self._lowest(*address) for name, address in self._manager_ports().items()}
        held = {relay.name: self._lowest(relay.address, relay.relay_port) for relay in stage.cast.relays}
        tell.claim(
            "the raise is in force on the manager at once",
            _floors(manager),
            done.out == ENFORCED.value and all(floor is ENFORCED for floor in manager.values()),
        )
        tell.claim(
            "the relays keep what they hold until their policy is sent",
            _floors(held),
            all(floor is EARLY for floor in held.values()),
        )
        stage.send_policies(GROUPS)
        held = {relay.name: self._lowest(relay.address, relay.relay_port) for relay in stage.cast.relays}
        tell.claim(
            "after Send Policy the relays enforce it too",
            _floors(held),
            all(floor is ENFORCED for floor in held.values()),
        )
        observed = stage.relays_observed(ENFORCED.value)
        tell.claim(
            "the manager has read the relays' floors from handshakes of its own",
            ", ".join(f"{name} {floor}" for name, floor in observed.items()),
            set(observed.values()) == {ENFORCED.value},
        )

    def _lower(self) -> None:
        stage, tell = self._stage, self._tell
        done = stage.dsm_c("TLSv1")
        tell.talk(f"$ dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1 -> {done.out}")
        stage.send_policies(GROUPS)
        self._probe_all(EARLY)
        old = stage.cast.programs[-1]
        asked = stage.ask_manager(old)
        tell.claim(
            f"{old.name} (API client) is served again",
            _said(asked) + (f", {asked.version}" if asked.version else ""),
            asked.version == old.newest and asked.status == 200,
        )

    # probes

    def _manager_ports(self) -> dict[str, tuple[str, int]]:
        cast = self._stage.cast
        return {"4120": (MANAGER_ADDRESS, cast.heartbeat_port), "4119": (MANAGER_ADDRESS, cast.gui_port)}

    def _listening(self, computers: Iterable[Computer]) -> list[Computer]:
        """Those whose agent is real, and so listens on 4118: after the replacement, all."""
        return [one for one in computers if self._newest[one.name] != "TLSv1"]

    def _lowest(self, host: str, port: int) -> Version | None:
        """The lowest version that the port accepts, by handshake; None where it accepts none."""
        results = probe(host, port, FLOORS, 10.0, local_address=PROBER_ADDRESS)
        return next((version for version in FLOORS if results[version].accepted), None)

    def _probe_all(self, floor: Version) -> None:
        """What `plimsoll floor verify` does: every port that the manager knows of, asked from outside."""
        stage = self._stage
        found = points(stage.client, MANAGER_ADDRESS)
        rows: list[tuple[object, ...]] = []
        for proof in prove(found, timeout=10.0, local_address=PROBER_ADDRESS):
            point = proof.point
            name = f"{point.name} {point.point.default_port}"
            seen = proof.report.versions if proof.report is not None else {}
            mark = self._tell.claim(
                f"{name} accepts {floor} and newer only",
                proof.evidence,
                proof.proved is point.asked is floor and _told_why(seen),
                in_table=True,
            )
            rows.append((name, point.place, *(_probed(seen.get(version)) for version in FLOORS), mark))
        listening = len(self._listening(stage.cast.computers))
        expected = len(self._manager_ports()) + len(stage.cast.relays) + listening
        self._tell.claim("no port was left out", f"{len(found)} of {expected} probed", len(found) == expected)
        columns = ("Port", "At", *(version.label for version in FLOORS), "Proved")
        self._tell.table(f"Every port probed at each version, floor {floor}", columns, rows)


@dataclass(frozen=True, slots=True)
class _Link:
    """One line of a picture; `newest` is the newest version that the caller speaks."""

    from_: str
    to: str
    port: int
    newest: str


def _who(one: Computer, view: dict[str, dict[str, Any]]) -> str:
    return f"{one.name} ({view[one.name]['kind']} {view[one.name]['agentVersion']})"


def _clock(seconds: float | None) -> str:
    return "never seen" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("at %H:%M:%SZ")


def _said(asked: Asked) -> str:
    if asked.refused:
        return "refused: alert 70, protocol version"
    if asked.reason:
        return f"{asked.reason}: {asked.detail}"
    return f"answered with {asked.status}"


def _floors(seen: dict[str, Version | None]) -> str:
    return ", ".join(f"{name} accepts {version or 'nothing'} and newer" for name, version in seen.items())


def _told_why(versions: Mapping[Version, VersionReport]) -> bool:
    """Each floor version below was refused with alert 70, so that a peer knows that its version is the reason."""
    alert = f"({Alert.PROTOCOL_VERSION.value})"
    return all(
        any(alert in sentence for sentence in seen.evidence)
        for version, seen in versions.items()
        if version in FLOORS and seen.outcome is Outcome.REFUSED
    )


def _probed(seen: VersionReport | None) -> str:
    if seen is None:
        return "not asked"
    if seen.outcome is Outcome.REFUSED:
        found = re.search(r"\((\d+)\)", " ".join(seen.evidence))
        return f"refused ({found[1]})" if found else "refused"
    return str(seen.outcome.value)
