"""Scans from the manager, over real TLS servers on loopback: what may be asked, what is kept, how they end."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.front import make_certificates
from tests.support.homes import ROOT, Desk, desk, principal
from tests.support.process import eventually
from tests.support.small_tls import SmallServer, small_server, smtp
from tests.support.store import dump_of

from plimsoll.manager import config
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Role
from plimsoll.manager.services import scans as service
from plimsoll.manager.services.proving import Place
from plimsoll.manager.services.scan_views import ScanView
from plimsoll.manager.store import scans as table
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.scan import resolve
from plimsoll.scan.reports.json_report import load
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

PCI = "pci-dss-4.0.1"
LOOPBACK = "127.0.0.0/8"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened
        opened.services.scans.close()


@pytest.fixture
def strong(certificates: Path) -> Iterator[SmallServer]:
    with small_server(certificates, Version.TLS1_2) as server:
        yield server


@pytest.fixture
def weak(certificates: Path) -> Iterator[SmallServer]:
    with small_server(certificates, Version.TLS1_0) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def allow(at: Desk, networks: str = LOOPBACK) -> None:
    path = at.home.path / config.FILE_NAME
    at.home.config = config.parse(path, f"{path.read_text()}\nscanNetworks={networks}\n")


def be_fleet(at: Desk, *servers: tuple[Point, SmallServer, str | None]) -> None:
    places = tuple(
        Place(point, f"{point.value} of {computer}", "127.0.0.1", server.port, Version.TLS1_2, computer)
        for point, server, computer in servers
    )
    at.services.proving.places = lambda: places  # type: ignore[method-assign]


def over(at: Desk, scan: int) -> ScanView:
    def look() -> ScanView | None:
        at.services.scans.tick()
        found = at.services.scans.get(ROOT, scan)
        return None if found.state in ("queued", "running") else found

    found: ScanView = eventually(look, f"scan {scan} ends", every=0.02)
    return found


def ran(at: Desk, **asked: Any) -> ScanView:
    return over(at, at.services.scans.start(ROOT, **asked).id)


def running(at: Desk, scan: int) -> None:
    def look() -> bool:
        at.services.scans.tick()
        return at.services.scans.get(ROOT, scan).state == "running"

    eventually(look, f"scan {scan} runs", every=0.02)


# -- what comes of a scan


def test_endpoints_are_graded_and_judged_and_the_report_is_that_of_the_scanner(
    at: Desk, strong: SmallServer, weak: SmallServer, tmp_path: Path
) -> None:
    allow(at)
    asked = at.services.scans.start(ROOT, endpoints=[strong.place, weak.place], profiles=["floor:TLSv1.2"])
    assert (asked.state, asked.total, asked.done, asked.who) == ("queued", 2, 0, ROOT.who)
    found = over(at, asked.id)
    assert (found.state, found.done, found.failing) == ("done", 2, 1)
    seen = {one.target.port: one for one in at.services.scans.endpoints(ROOT, found.id)}
    assert seen[strong.port].accepted == ("TLSv1.2", "TLSv1.3")
    assert seen[weak.port].accepted == ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    verdicts = {one.profile: one.verdict for one in seen[weak.port].verdicts}
    assert verdicts[PCI] == verdicts["floor:TLSv1.2"] == "does not hold"
    assert {one.profile: one.verdict for one in seen[strong.port].verdicts}["floor:TLSv1.2"] == "holds"
    assert seen[strong.port].letter
    view, whole = at.services.scans.endpoint(ROOT, found.id, seen[weak.port].position)
    assert view == seen[weak.port]
    assert whole is not None
    assert whole.certificates
    with pytest.raises(NotFound):
        at.services.scans.endpoint(ROOT, found.id, 2)
    path = tmp_path / "report.json"
    path.write_text("".join(at.services.scans.report(ROOT, found.id)))
    assert {one.target.port for one in load(path)} == {strong.port, weak.port}
    document = json.loads(path.read_text())
    assert (document["schema"], document["count"]) == ("plimsoll-scan/1", 2)
    (event,) = [one for one in at.services.events.list(ROOT) if one.number == 2040]
    assert event.level == "warning"
    assert event.extra["findings"] == found.findings > 0
    assert "scans.start" in [one.action for one in at.services.access.audit(ROOT, 5)]


def test_an_opening_is_spoken_before_tls(at: Desk, certificates: Path) -> None:
    allow(at)
    with small_server(certificates, Version.TLS1_2, before=smtp) as mail:
        by_scheme = ran(at, endpoints=[f"smtp://{mail.place}"], mode="sweep")
        by_option = ran(at, endpoints=[mail.place], opening="smtp", mode="sweep")
    for found in (by_scheme, by_option):
        (one,) = at.services.scans.endpoints(ROOT, found.id)
        assert (one.target.opening, one.accepted) == ("smtp", ("TLSv1.2", "TLSv1.3"))


def test_the_fleet_and_its_computers_need_no_permission_by_network(
    at: Desk, strong: SmallServer, weak: SmallServer
) -> None:
    computer = at.activate("web-1.example.test").computer
    be_fleet(at, (Point.HEARTBEAT, strong, None), (Point.AGENT, weak, computer))
    number = str(at.services.computers.get(ROOT, computer).number)
    fleet = ran(at, fleet=True, mode="sweep")
    one = ran(at, computers=[number], endpoints=[strong.place], mode="sweep")
    assert [(row.point, row.computer) for row in at.services.scans.endpoints(ROOT, fleet.id)] == [
        ("heartbeat", None),
        ("agent", computer),
    ]
    assert {row.target.port for row in at.services.scans.endpoints(ROOT, one.id)} == {strong.port, weak.port}
    other = at.activate("portless.example.test").computer
    left = at.services.scans.start(ROOT, fleet=True, computers=[other]).left_out
    assert [(row["computer"], row["reason"]) for row in left] == [(other, "no port of it is known to listen")]
    with pytest.raises(Conflict, match=r"portless\.example\.test: no port"):
        at.services.scans.start(ROOT, computers=[other])


@pytest.mark.rule("R10")
def test_pci_marks_what_is_in_scope_and_says_what_fails(at: Desk, strong: SmallServer, weak: SmallServer) -> None:
    computer = at.activate("web-1.example.test").computer
    portless = at.activate("till-1.example.test").computer
    be_fleet(at, (Point.HEARTBEAT, strong, None), (Point.AGENT, weak, computer))
    scan = ran(at, fleet=True).id
    assert at.services.scans.pci(ROOT, scan).verdict is None
    at.services.scope.mark(ROOT, computer=computer)
    at.services.scope.mark(ROOT, computer=portless)
    found = at.services.scans.pci(ROOT, scan)
    assert [(one.point, one.in_scope, one.passed) for one in found.endpoints][1] == ("agent", True, False)
    assert not found.endpoints[0].in_scope
    assert any("TLSv1.0" in reason for reason in found.endpoints[1].reasons)
    assert [(one.computer, one.verdict) for one in found.missing] == [(portless, "not proved")]
    assert (found.profile, found.verdict) == (PCI, "does not hold")


def test_two_scans_are_compared(at: Desk, strong: SmallServer, weak: SmallServer) -> None:
    allow(at)
    before = ran(at, endpoints=[strong.place, weak.place], mode="sweep").id
    weak.speak(Version.TLS1_2)
    after = ran(at, endpoints=[weak.place], mode="sweep").id
    found = at.services.scans.diff(ROOT, after, before)
    assert [str(one) for one in found.gone] == [strong.place]
    assert (found.same, found.new) == (0, ())
    texts = [text for one in found.changed for _, _, text in one.changes]
    assert "TLSv1.0 is refused, was accepted" in texts
    assert found.kinds["closed"] >= 2
    assert found.kinds["opened"] == 0
    again = at.services.scans.diff(ROOT, before, before)
    assert (again.same, again.changed, again.gone) == (2, (), ())


def test_what_it_leaves_is_nobody_s_program(at: Desk, strong: SmallServer) -> None:
    be_fleet(at, (Point.GUI, strong, None))
    ran(at, fleet=True, mode="sweep")
    now = at.services.scans._core.clock()
    left = Sighting(
        Point.GUI, "127.0.0.1", Version.TLS1_0, (), "t10", None, Outcome.REFUSED, None, None, 1, now, now
    )  # fmt: skip
    assert at.services.sightings.is_own_scan(left)


# -- what may not be asked


@pytest.mark.parametrize(
    ("endpoints", "said"),
    [
        (["192.0.2.7:443"], r"192\.0\.2\.7:443 is not of the fleet.*scanNetworks=.*names none.*nothing was scanned"),
        (["127.0.0.1:1"], "scanNetworks="),
        (["[::1]:443"], "scanNetworks="),
        (["example.test"], "scanNetworks="),
        (["10.0.0.0/30"], r"10\.0\.0\.1:443, 10\.0\.0\.2:443 are not"),
        (["10.0.0.0/8"], "at most 10000"),
        (["bad host"], "bad"),
        (["gopher://x"], "gopher"),
        ([], "say what to scan"),
    ],
)
def test_without_networks_nothing_but_the_fleet_is_asked(at: Desk, endpoints: list[str], said: str) -> None:
    before = dump_of(at.home.store)
    with pytest.raises(BadInput, match=said):
        at.services.scans.start(ROOT, endpoints=endpoints)
    assert dump_of(at.home.store) == before


def test_an_address_is_judged_after_resolution_and_is_what_is_scanned(
    at: Desk, strong: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(at, "127.0.0.1/32, 2001:db8::/32")
    with pytest.raises(BadInput, match=r"127\.0\.0\.2:443 is not.*which has 127\.0\.0\.1/32, 2001:db8::/32"):
        at.services.scans.start(ROOT, endpoints=["127.0.0.2"])
    clothed = at.services.scans.start(ROOT, endpoints=[f"[::ffff:127.0.0.1]:{strong.port}"])
    (one,) = at.services.scans.endpoints(ROOT, clothed.id)
    assert one.target.host == "127.0.0.1"
    allow(at, f"{LOOPBACK}, ::1/128")
    named = at.services.scans.start(ROOT, endpoints=[f"localhost:{strong.port}"])
    for one in at.services.scans.endpoints(ROOT, named.id):
        assert one.target.host in ("127.0.0.1", "::1")
        assert one.target.server_name == "localhost"
    monkeypatch.setattr(resolve, "look_up", lambda host, port: ([], f"the name {host} does not resolve"))
    with pytest.raises(BadInput, match=r"no-such-name\.invalid does not resolve; nothing was scanned"):
        at.services.scans.start(ROOT, endpoints=["no-such-name.invalid"])
    elsewhere = (socket.AF_INET, ("192.0.2.1", 443))
    inside = (socket.AF_INET, ("127.0.0.3", 443))
    monkeypatch.setattr(resolve, "look_up", lambda host, port: ([inside, elsewhere], ""))
    with pytest.raises(BadInput, match=r"two\.test:443 \(192\.0\.2\.1\) is not"):
        at.services.scans.start(ROOT, endpoints=["two.test"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mode": "quick"}, "full, sweep"),
        ({"profiles": ["nist"]}, "unknown profile"),
        ({"opening": "gopher"}, "known are none, smtp"),
        ({"label": "x" * 201}, "200 characters"),
    ],
)
def test_what_is_not_understood_is_refused(at: Desk, asked: dict[str, Any], said: str) -> None:
    allow(at)
    with pytest.raises(BadInput, match=said):
        at.services.scans.start(ROOT, endpoints=["127.0.0.1:1"], **asked)
    with pytest.raises(NotFound, match="no computer 'nobody'"):
        at.services.scans.start(ROOT, computers=["nobody"])


def test_networks_are_checked_where_they_stand(at: Desk) -> None:
    with pytest.raises(config.ConfigurationError, match=r"scanNetworks lists networks such as.*host bits"):
        allow(at, "10.0.0.1/8")


def test_an_auditor_looks_on(at: Desk, strong: SmallServer) -> None:
    auditor = principal(Role.AUDITOR)
    allow(at)
    with pytest.raises(Forbidden):
        at.services.scans.start(auditor, endpoints=[strong.place])
    scan = at.services.scans.start(principal(Role.OPERATOR), endpoints=[strong.place]).id
    assert [one.id for one in at.services.scans.list(auditor)] == [scan]
    assert at.services.scans.get(auditor, scan).state == "queued"
    with pytest.raises(Forbidden):
        at.services.scans.cancel(auditor, scan)


# -- how a scan ends


def test_one_runs_and_the_others_wait_and_each_can_be_cancelled(at: Desk, silent: int, strong: SmallServer) -> None:
    allow(at)
    first = at.services.scans.start(ROOT, endpoints=[f"127.0.0.1:{silent}"]).id
    second = at.services.scans.start(ROOT, endpoints=[strong.place], mode="sweep").id
    running(at, first)
    assert at.services.scans.get(ROOT, second).state == "queued"
    with pytest.raises(Conflict, match="not over: 0 of 1"):
        at.services.scans.report(ROOT, first)
    with pytest.raises(Conflict, match="runs; nothing was deleted"):
        at.services.scans.delete(ROOT, first)
    assert at.services.scans.cancel(ROOT, first).state == "cancelled"
    assert over(at, second).state == "done"
    assert at.services.scans.get(ROOT, first).state == "cancelled"
    with pytest.raises(Conflict, match="cancelled already"):
        at.services.scans.cancel(ROOT, first)
    assert json.loads("".join(at.services.scans.report(ROOT, first)))["count"] == 0
    at.services.scans.delete(ROOT, first)
    with pytest.raises(NotFound):
        at.services.scans.get(ROOT, first)
    assert [one.number for one in at.services.events.list(ROOT) if 2040 <= one.number < 2050] == [2042, 2040]


def test_a_scan_whose_manager_was_killed_is_interrupted_and_what_waited_goes_on(at: Desk, strong: SmallServer) -> None:
    allow(at)
    lost = at.services.scans.start(ROOT, endpoints=[strong.place]).id
    waits = at.services.scans.start(ROOT, endpoints=[strong.place], mode="sweep").id
    node = at.services.scans._node
    at.home.store.write(lambda c: table.move(c, lost, "queued", state="running", node=node, started=1.0))
    assert at.services.scans.get(ROOT, lost).state == "interrupted"
    assert over(at, waits).state == "done"
    found = at.services.scans.get(ROOT, lost)
    assert (found.state, found.ended is not None) == ("interrupted", True)
    assert [one.number for one in at.services.events.list(ROOT) if 2040 <= one.number < 2050] == [2041, 2040]


def test_another_manager_s_scan_runs_as_long_as_that_manager_does(
    at: Desk, strong: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(at)
    scan = at.services.scans.start(ROOT, endpoints=[strong.place]).id
    at.home.store.write(lambda c: table.move(c, scan, "queued", state="running", node="b"))
    lost: set[str] = set()
    monkeypatch.setattr(at.services.nodes, "lost", lambda connection, node: node in lost)
    assert not at.services.scans.tick()
    assert at.services.scans.get(ROOT, scan).state == "running"
    with pytest.raises(Conflict):
        at.services.scans.report(ROOT, scan)
    lost.add("b")
    at.services.scans.tick()
    assert at.services.scans.get(ROOT, scan).state == "interrupted"


def test_a_manager_that_stops_takes_its_scanner_along(at: Desk, silent: int) -> None:
    allow(at)
    scan = at.services.scans.start(ROOT, endpoints=[f"127.0.0.1:{silent}"]).id
    running(at, scan)
    run = at.services.scans._run
    assert run is not None
    process = eventually(lambda: run._process, "the scanner began")._process
    at.services.scans.close()
    assert process.poll() is not None
    assert at.services.scans.get(ROOT, scan).state == "interrupted"


def test_a_scanner_that_dies_fails_its_scan(at: Desk, silent: int) -> None:
    allow(at)
    scan = at.services.scans.start(ROOT, endpoints=[f"127.0.0.1:{silent}"]).id
    running(at, scan)
    run = at.services.scans._run
    assert run is not None
    os.kill(eventually(lambda: run._process, "the scanner began")._process.pid, 9)
    found = over(at, scan)
    assert (found.state, found.text) == ("failed", "the scanner ended with status -9; the manager's log says why")


def test_the_oldest_go_and_the_queue_is_bounded(at: Desk, strong: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(at)
    monkeypatch.setattr(service, "KEPT", 3)
    for _ in range(5):
        scan = ran(at, endpoints=["127.0.0.1:1"], mode="sweep").id
    assert [one.id for one in at.services.scans.list(ROOT)] == [scan, scan - 1, scan - 2]
    monkeypatch.setattr(service, "KEPT_ENDPOINTS", 1)
    scan = ran(at, endpoints=["127.0.0.1:1"], mode="sweep").id
    assert [one.id for one in at.services.scans.list(ROOT)] == [scan, scan - 1]
    monkeypatch.setattr(service, "MOST_QUEUED", 1)
    at.services.scans.start(ROOT, endpoints=[strong.place])
    with pytest.raises(Conflict, match="1 scans wait already"):
        at.services.scans.start(ROOT, endpoints=[strong.place])
