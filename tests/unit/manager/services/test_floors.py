from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, reopened

from plimsoll.manager import config
from plimsoll.manager.ports import BadInput, Blocked, Forbidden, Principal, Role
from plimsoll.manager.services.floors import FloorsView
from plimsoll.manager.store import computers
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version

EARLY_LINE = "protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def floors(at: Desk) -> dict[str, str]:
    view: FloorsView = at.services.floors.show(ROOT)
    assert {p.value: v.value for p, v in at.published[-1].floors.items()} == {
        one.point.value: one.floor.value for one in view.floors
    }
    return {one.point.value: one.floor.value for one in view.floors}


def edit(at: Desk, old: str, new: str) -> None:
    path = at.home.config_path
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.rule("R6")
def test_a_new_home_enforces_tls_1_2_everywhere(at: Desk) -> None:
    assert floors(at) == dict.fromkeys(("heartbeat", "gui", "relay", "agent"), "TLSv1.2")
    view = at.services.floors.show(ROOT)
    assert view.drift is None
    assert [one.port for one in view.floors] == [4120, 4119, 4122, 4118]
    assert {entry.cause for entry in at.services.floors.history(ROOT)} == {"init"}
    assert "protocols=" not in [line[:10] for line in at.home.config_path.read_text().splitlines()]


@pytest.mark.rule("R13")
@pytest.mark.rule("R16")
@pytest.mark.parametrize("floor", [v.value for v in FLOORS])
def test_set_minimum_moves_all_points_and_the_file(at: Desk, floor: str) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1.1")
    at.services.floors.set_minimum(ROOT, floor)
    assert set(floors(at).values()) == {floor}
    minimum = at.services.floors.minimum(ROOT)
    assert minimum.lowest.value == floor
    protocols = config.load(at.home.config_path).protocols
    early = floor in ("TLSv1", "TLSv1.1")
    assert protocols == (",".join(v.value for v in FLOORS if v.value >= floor) if early else None)
    base = at.services.policies.list(ROOT)[0].effective
    assert (base.relay_floor, base.agent_floor) == (Version(floor), Version(floor))


@pytest.mark.parametrize("name", ["TLSv1.0", "tlsv1.2", "SSLv3", "1.2", "", "TLSv1.4"])
def test_an_unknown_version_changes_nothing_and_lists_the_valid_ones(at: Desk, name: str) -> None:
    with pytest.raises(BadInput, match=r"TLSv1, TLSv1\.1, TLSv1\.2, TLSv1\.3"):
        at.services.floors.set(ROOT, name)
    with pytest.raises(BadInput, match="heartbeat, gui, relay, agent"):
        at.services.floors.set(ROOT, "TLSv1", "4120")
    assert set(floors(at).values()) == {"TLSv1.2"}
    assert len(at.published) == 1


@pytest.mark.rule("R15")
def test_only_the_gui_port_by_hand_and_back(at: Desk) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1")
    assert EARLY_LINE in at.home.config_path.read_text()
    before = at.home.config_path.read_text()
    edit(at, EARLY_LINE + "\n", "")
    drift = at.services.floors.show(ROOT).drift
    assert drift is not None
    assert drift.floor is Version.TLS1_2
    assert floors(at)["gui"] == "TLSv1"
    result = at.services.floors.reload(ROOT)
    assert [(one.point, one.after) for one in result.change.changed] == [(Point.GUI, Version.TLS1_2)]
    assert floors(at) == {"heartbeat": "TLSv1", "gui": "TLSv1.2", "relay": "TLSv1", "agent": "TLSv1"}
    assert at.services.floors.show(ROOT).drift is None
    assert at.services.floors.minimum(ROOT).lowest is Version.TLS1_0
    newest = at.services.floors.history(ROOT)[0]
    assert (newest.point, newest.cause, newest.after) == (Point.GUI, "edit", Version.TLS1_2)
    at.services.floors.set_minimum(ROOT, "TLSv1")
    assert set(floors(at).values()) == {"TLSv1"}
    assert at.home.config_path.read_text() == before


@pytest.mark.rule("R15")
def test_a_line_that_contradicts_the_heartbeat_port(at: Desk) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1.3")
    assert floors(at)["gui"] == "TLSv1.3"
    edit(at, "serviceName=Plimsoll\n", "serviceName=Plimsoll\nprotocols=TLSv1.2\n")
    at.services.floors.reload(ROOT)
    assert floors(at) == {"heartbeat": "TLSv1.3", "gui": "TLSv1.2", "relay": "TLSv1.3", "agent": "TLSv1.3"}
    change = at.services.floors.set_minimum(ROOT, "TLSv1.3")
    assert [one.point for one in change.changed] == [Point.GUI]
    assert "\nprotocols" not in at.home.config_path.read_text()


def test_one_point_alone(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1", "heartbeat")
    assert floors(at) == {"heartbeat": "TLSv1", "gui": "TLSv1.2", "relay": "TLSv1.2", "agent": "TLSv1.2"}
    at.services.floors.set(ROOT, "TLSv1.1", "gui")
    assert floors(at)["gui"] == "TLSv1.1"
    at.services.floors.set(ROOT, "TLSv1.2", "gui")
    assert "\nprotocols" not in at.home.config_path.read_text()
    at.services.floors.set(ROOT, "TLSv1.3", "gui")
    assert "\nprotocols=TLSv1.3\n" in at.home.config_path.read_text()
    at.services.floors.set(ROOT, "TLSv1.1", "relay")
    assert floors(at)["relay"] == "TLSv1.1"


def test_without_a_line_the_gui_port_follows_a_newer_heartbeat_port(at: Desk) -> None:
    change = at.services.floors.set(ROOT, "TLSv1.3", "heartbeat")
    assert {one.point for one in change.changed} == {Point.HEARTBEAT, Point.GUI}
    assert change.preflight is not None
    assert set(change.preflight.points) == {Point.HEARTBEAT, Point.GUI}


def test_a_set_that_changes_nothing_leaves_no_history(at: Desk) -> None:
    before = at.services.floors.history(ROOT)
    change = at.services.floors.set(ROOT, "TLSv1.2")
    assert change.changed == ()
    assert at.services.floors.history(ROOT) == before


def test_an_edit_that_was_not_in_force_is_replaced_and_said(at: Desk) -> None:
    edit(at, "serviceName=Plimsoll\n", "serviceName=Plimsoll\nprotocols=TLSv1\n")
    change = at.services.floors.set(ROOT, "TLSv1.2")
    assert "replaced" in change.warnings[0]
    assert "\nprotocols" not in at.home.config_path.read_text()
    assert at.services.floors.show(ROOT).drift is None


def test_a_changed_value_with_the_same_floor_is_no_change(at: Desk) -> None:
    edit(at, "serviceName=Plimsoll\n", "serviceName=Plimsoll\nprotocols=TLSv1.3,TLSv1.2\n")
    before = at.services.floors.history(ROOT)
    assert at.services.floors.reload(ROOT).change.changed == ()
    assert at.services.floors.history(ROOT) == before
    assert at.services.floors.show(ROOT).drift is None


def test_a_malformed_file_keeps_the_last_good_one(at: Desk) -> None:
    good = at.home.config_path.read_text()
    at.home.config_path.write_text("serviceName=x\nprotocols\n")
    with pytest.raises(BadInput, match=r"line 2, column 10.*stay in force"):
        at.services.floors.reload(ROOT)
    assert at.home.config.service_name == "Plimsoll"
    drift = at.services.floors.show(ROOT).drift
    assert drift is not None
    assert drift.floor is None
    assert "line 2, column 10" in drift.message
    at.home.config_path.write_text(good)
    assert at.services.floors.reload(ROOT).needs_restart == ()


def test_reload_names_what_needs_a_restart_and_what_is_not_ours(at: Desk) -> None:
    edit(at, "guiPort=4119", "guiPort=443\nmail.host=x")
    result = at.services.floors.reload(ROOT)
    assert result.needs_restart == ("gui_port",)
    assert result.unknown == ("mail.host",)


def test_every_setting_that_reload_takes_can_stand_in_the_audit_trail(at: Desk) -> None:
    edit(at, "guiPort=4119", "guiPort=4119\nscanNetworks=10.20.0.0/16, 2001:db8::/48\napiRequestsPerMinute=7")
    at.services.floors.reload(ROOT)
    (entry,) = at.services.access.audit(ROOT, limit=1)
    assert entry.after["scan_networks"] == ["10.20.0.0/16", "2001:db8::/48"]
    assert (entry.before["requests_each"], entry.after["requests_each"]) == (500, 7)


def test_a_hand_edit_is_taken_at_start(at: Desk, tmp_path: Path) -> None:
    edit(at, "serviceName=Plimsoll\n", "serviceName=Plimsoll\nprotocols=TLSv1.1,TLSv1.2\n")
    path = at.home.path
    at.home.close()
    with reopened(path, at.made) as again:
        assert floors(again)["gui"] == "TLSv1.1"
        newest = again.services.floors.history(ROOT)[0]
        assert (newest.cause, newest.who) == ("edit", "system:manager")
        assert [e.number for e in again.services.events.list(ROOT)][-1] == 1950


@pytest.mark.rule("R12")
def test_a_raise_that_cuts_parts_off_is_refused_with_their_names(at: Desk) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1")
    at.activate("old-payroll", "9.6.2")
    at.activate("guard-7", "9.5.1", Kind.APPLIANCE)
    at.activate("web-01", "12.0.0")
    with pytest.raises(Blocked, match="old-payroll") as caught:
        at.services.floors.set(ROOT, "TLSv1.2")
    assert {finding.who for finding in caught.value.preflight.blockers} == {"old-payroll", "guard-7"}
    assert set(floors(at).values()) == {"TLSv1"}
    assert at.services.access.audit(ROOT)[0].action == "floors.set.refused"
    with pytest.raises(BadInput, match="reason"):
        at.services.floors.set(ROOT, "TLSv1.2", force=True, reason="  ")
    change = at.services.floors.set(ROOT, "TLSv1.2", force=True, reason="audit on Monday")
    assert change.preflight is not None
    assert change.preflight.blocked
    newest = at.services.floors.history(ROOT)[0]
    assert newest.forced
    assert newest.reason == "audit on Monday"
    assert set(newest.named) == {"old-payroll", "guard-7"}
    event = at.services.events.list(ROOT)[-1]
    assert event.level == "warning"
    assert "old-payroll" in event.description
    assert "audit on Monday" in event.description


def test_lowering_is_never_refused(at: Desk) -> None:
    at.activate("old-payroll", "9.6.2")
    assert at.services.floors.set(ROOT, "TLSv1").preflight is None


def test_nobody_locks_himself_out(at: Desk) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1")
    below = Principal("apikey", "script", Role.ADMINISTRATOR, "rest", "127.0.0.1", Version.TLS1_0, id="1")
    for point in ("all", "gui"):
        with pytest.raises(Forbidden, match="your own connection uses TLSv1 "):
            at.services.floors.set(below, "TLSv1.2", point, force=True, reason="x")
    assert at.services.floors.set(below, "TLSv1.2", "relay").changed
    assert at.services.floors.set(ROOT, "TLSv1.2").changed


def test_generations_only_rise(at: Desk) -> None:
    seen = [at.published[-1].generation]
    for floor in ("TLSv1", "TLSv1.2", "TLSv1.3", "TLSv1.1"):
        at.services.floors.set(ROOT, floor)
        seen.append(at.published[-1].generation)
    assert seen == sorted(set(seen))


def test_a_file_that_cannot_be_written_does_not_undo_the_floor(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: str | None) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(config, "write_protocols", full)
        change = at.services.floors.set_minimum(ROOT, "TLSv1")
    assert "could not be written" in change.warnings[0]
    assert set(floors(at).values()) == {"TLSv1"}
    path = at.home.path
    at.home.close()
    with reopened(path, at.made) as again:
        assert set(floors(again).values()) == {"TLSv1"}
        assert EARLY_LINE in again.home.config_path.read_text()
        assert again.services.floors.history(ROOT)[0].cause == "set"


@pytest.mark.rule("R5")
def test_the_ports_that_relays_and_agents_really_use_are_shown(at: Desk) -> None:
    def ports() -> dict[Point, tuple[int, ...]]:
        return {one.point: one.ports for one in at.services.floors.show(ROOT).floors}

    assert ports() == {point: (point.default_port,) for point in Point}
    held = (("relay-1", 40122, None), ("relay-2", 40123, 4118), ("relay-3", 40123, None), ("gone", 40199, None))
    for name, relay_port, listen_port in held:
        computer = at.activate(name, kind=Kind.RELAY).computer
        state = "revoked" if name == "gone" else "active"
        change = partial(computers.change, relay_port=relay_port, listen_port=listen_port, state=state)
        at.home.store.write(partial(change, computer=computer))
    assert (ports()[Point.RELAY], ports()[Point.AGENT]) == ((40123, 40122), (4118,))
