"""Administration without a browser: what forms do, what is shown once, how fields are read."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from tests.support.homes import desk
from tests.support.releases import Publisher
from tests.support.seeded import Seeded
from tests.unit.manager.api.client import GateConnection
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import ROOT, Console
from tests.unit.manager.web.forms import IN_A_MONTH

from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, Permission, Principal, Role
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.upgrades import StartRequest
from plimsoll.manager.web import fields
from plimsoll.manager.web.routes import users
from plimsoll.messages import Kind
from plimsoll.tls.versions import Version


def _request(zone: str = "Europe%2FBerlin") -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"cookie", f"tz={zone}".encode())]}
    return Request(scope)


def test_times_are_read_in_the_readers_zone_and_written_back_the_same() -> None:
    request = _request()
    moment = fields.moment(request, "2026-12-24T18:00", "the end")
    assert moment == 1_798_131_600.0  # 17:00 UTC
    assert fields.local(request, moment) == "2026-12-24T18:00"
    assert fields.moment(request, " ", "the end") is None
    assert fields.local(request, None) == ""
    for wrong in ("tomorrow", "2026-13-01T00:00", "99999-01-01T00:00"):
        with pytest.raises(BadInput, match="the end is a date"):
            fields.moment(request, wrong, "the end")


def test_lengths_shares_and_numbers_are_read_as_people_write_them() -> None:
    assert [fields.length(text, "it") for text in ("90", "30 min", "2h", "1 day", "1.5 hours")] == [
        90, 1800, 7200, 86400, 5400,
    ]  # fmt: skip
    assert fields.length("2", "it", "h") == 7200
    assert [fields.share(text, "it") for text in ("2%", "2", "0", "100 %")] == [0.02, 0.02, 0, 1]
    assert (fields.number("", "it"), fields.number(" 12 ", "it")) == (None, 12)
    assert fields.lines("a, b\n\n c") == ("a", "b", "c")
    for call in (fields.length, fields.share, fields.number):
        with pytest.raises(BadInput, match="it is a"):
            call("-1 fortnights", "it")


def test_the_table_of_roles_leaves_no_permission_out() -> None:
    said = {one for _, read, change in users.SUBJECTS for one in (*read, *change)}
    assert said == set(Permission)


def test_a_key_is_shown_on_the_page_that_answers_and_on_no_other(made: Made) -> None:
    console = Console.of(made)
    answer = console.post("/administration/api-keys", 200, name="backup script", role="auditor", expires="")
    found = re.search(r'<pre id="api-key"[^>]*>([^<]+)</pre>', answer.text)
    assert found is not None
    key = found[1]
    number = key.partition(":")[0]
    assert made.remote(key).get("/api/tls/minimum")["minimum"] == "TLSv1.2"
    for path in ("", "/new", f"/{number}"):
        assert key not in console.get(f"/administration/api-keys{path}")
    assert "backup script" in console.get("/administration/api-keys")
    renewed = console.post(f"/administration/api-keys/{number}/renew", 200).text
    assert key not in renewed
    assert made.remote(key).request("GET", "/api/tls/minimum").status_code == 401


def test_an_expiry_that_was_not_touched_stays_to_the_second(made: Made) -> None:
    console, keys = Console.of(made), made.backend.services.api_keys
    key = keys.create(ROOT, "nightly", "auditor", expires_in=86400.5).view
    shown = re.search(r'name="expires"[^>]*value="([^"]+)"', console.get(f"/administration/api-keys/{key.id}"))
    assert shown is not None
    form: dict[str, Any] = {"name": "nightly", "role": "auditor", "active": "1"}
    console.post(f"/administration/api-keys/{key.id}", **form, expires=shown[1])
    assert keys.get(ROOT, key.id).expires == key.expires
    console.post(f"/administration/api-keys/{key.id}", 400, **form, expires="2020-01-01T00:00")
    console.post(f"/administration/api-keys/{key.id}", **form, expires="")
    assert keys.get(ROOT, key.id).expires is None


def test_passwords_that_differ_change_nothing(made: Made) -> None:
    console, access = Console.of(made), made.backend.services.access
    access.create_user(ROOT, "a/b", "a long enough password", "auditor")
    user = access.user(ROOT, "a/b")
    at = f"/administration/users/{user.id}"
    assert f'href="{at}"' in console.get("/administration/users")
    answer = console.post(f"{at}/password", 400, password="one long password", again="another long password")
    assert "nothing was changed" in answer.text
    assert console.says(console.post(f"{at}/password", password="b" * 16, again="b" * 16)).startswith("a/b has a new")
    assert access.sign_in("a/b", "b" * 16, "192.0.2.1").principal.role is Role.AUDITOR


TLS = "/administration/system-settings/tls"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Seeded]:
    """An empty manager of its own, for what moves floors."""
    with desk(tmp_path) as at:
        made = Seeded(at, create_app(Backend(at.services, at.home.installation)), {})
        yield made


@pytest.mark.rule("R12")
def test_a_floor_is_raised_only_with_a_reason_where_the_page_names_blockers(office: Seeded) -> None:
    console, floors = Console.of(office), office.at.services.floors
    console.client.connection = GateConnection(version=Version.TLS1_3)
    office.at.activate("old-1.example.test", "9.6.0", address="127.0.0.9")
    page = console.get(f"{TLS}/floor?point=heartbeat&to=TLSv1.3&wait=1")
    assert "old-1.example.test" in page
    assert "Force TLSv1.3, cutting 1 off" in page
    assert "follows, as its file has no" in page  # 4119
    form: dict[str, Any] = {"point": "heartbeat", "to": "TLSv1.3"}
    refused = console.post(f"{TLS}/floor", 409, **form)
    assert "old-1.example.test" in refused.text
    console.post(f"{TLS}/floor", 400, **form, force="1", reason=" ")
    kept = re.search(r'name="kept" value="([0-9a-f]+)"', page)
    assert kept is not None
    form |= {"force": "1", "reason": "it is retired tonight"}
    office.at.activate("old-2.example.test", "9.6.0", address="127.0.0.10")
    unseen = console.post(f"{TLS}/floor", 409, **form, kept=kept[1])
    assert "old-2.example.test would be cut off too, and stood in no list that you were shown" in unseen.text
    assert "Look again" in console.post(f"{TLS}/floor", 409, **form, kept="0" * 16).text
    page = console.get(f"{TLS}/floor?point=heartbeat&to=TLSv1.3&wait=1")
    kept = re.search(r'name="kept" value="([0-9a-f]+)"', page)
    assert kept is not None
    assert floors.minimum(ROOT).heartbeat.value == "TLSv1.2"
    said = console.says(console.post(f"{TLS}/floor", **form, kept=kept[1]))
    assert said.startswith("In force: Heartbeat TLSv1.2 → TLSv1.3")
    page = console.get(TLS)
    assert "it is retired tonight" in page
    assert "over old-1.example.test, old-2.example.test" in page


@pytest.mark.rule("R12")
def test_a_policys_floor_is_forced_no_further_than_the_page_said(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    services.floors.set(ROOT, "TLSv1")
    office.at.activate("relay-1.example.test", kind=Kind.RELAY)
    office.at.activate("old-1.example.test", "9.6.0", address="127.0.0.9")
    form: dict[str, Any] = {"relay_floor": "TLSv1.2", "force": "1", "reason": "it is retired tonight"}

    def kept() -> str:
        page = console.get("/policies/1/floors?relay_floor=TLSv1.2")
        assert "old-1.example.test" in page
        found = re.search(r'name="kept" value="([0-9a-f]+)"', page)
        assert found is not None
        return found[1]

    first = kept()
    office.at.activate("old-2.example.test", "9.6.0", address="127.0.0.10")
    refused = console.post("/policies/1/floors", 409, **form, kept=first).text
    assert "old-2.example.test would be cut off too" in refused
    assert "would be cut off too" in console.post("/policies/1/floors", 409, **form).text  # as if no page was read
    assert services.policies.get(ROOT, 1).effective.relay_floor is Version.TLS1_0
    assert console.says(console.post("/policies/1/floors", **form, kept=kept())).startswith("It says so now.")


@pytest.mark.rule("R13")
def test_a_session_below_the_target_is_told_so_and_refused(office: Seeded) -> None:
    console = Console.of(office)
    # What a connection of the tests has by itself.
    assert console.client.connection is not None
    assert console.client.connection.version is Version.TLS1_2
    page = console.get(f"{TLS}/floor?point=gui&to=TLSv1.3&wait=1")
    assert "Not from this session" in page
    assert "Raise to" not in page
    assert "Not from this session" in console.get(f"{TLS}/floor?point=heartbeat&to=TLSv1.3")
    refused = console.post(f"{TLS}/floor", 403, point="gui", to="TLSv1.3")
    assert "your own connection uses TLSv1.2" in refused.text


@pytest.mark.rule("R15")
def test_a_hand_edit_of_the_file_shows_as_drift_until_it_is_reloaded(office: Seeded) -> None:
    console, path = Console.of(office), office.at.home.config_path
    path.write_text(path.read_text() + "protocols=TLSv1.3\n")
    page = console.get(TLS)
    assert "Drift" in page
    assert "protocols=TLSv1.3" in page
    said = console.says(console.post(f"{TLS}/reload"))
    assert "GUI TLSv1.2 → TLSv1.3" in said
    page = console.get(TLS)
    assert "Drift" not in page
    assert "<code>protocols=TLSv1.3</code>" in page


@pytest.mark.rule("R12")
def test_a_stricter_profile_leads_over_the_names_too(office: Seeded) -> None:
    console = Console.of(office)
    console.client.connection = GateConnection(version=Version.TLS1_3)
    page = console.get(f"{TLS}/ciphers?point=gui&ciphers=strong&wait=1")
    assert "stricter" in page
    assert console.says(console.post(f"{TLS}/ciphers", point="gui", to="strong")) == (
        "In force: GUI intermediate → strong."
    )


def test_an_exception_is_for_a_computer_by_its_name_or_for_a_network_not_for_both(office: Seeded) -> None:
    console, exceptions = Console.of(office), office.at.services.exceptions
    office.at.activate("old-1.example.test", "9.6.0", address="127.0.0.9")
    at = "/administration/system-settings/exceptions"
    form: dict[str, Any] = {"point": "heartbeat", "floor": "TLSv1", "until": IN_A_MONTH, "reason": "a machine tool"}
    both = console.post(at, 400, **form, source="10.0.0.1", computer="old-1.example.test")
    assert "one of them" in both.text
    console.post(at, 404, **form, computer="nobody.example.test")
    console.post(at, **form, computer="old-1.example.test")
    assert [one.name for one in exceptions.list(ROOT)] == ["old-1.example.test"]
    assert "old-1.example.test" in console.get(at)
    console.post(f"{at}/{exceptions.list(ROOT)[0].id}/end")
    assert "There is no exception" in console.get(at)
    assert "old-1.example.test" in console.get(f"{at}?show=ended")


RELAYS = "/administration/updates/relays"


@pytest.mark.rule("R14")
def test_send_policy_to_all_relays_sends_to_no_agent(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    for name in ("relay-1.example.test", "relay-2.example.test"):
        office.at.activate(name, kind=Kind.RELAY, address="127.0.0.8")
    office.at.activate("web-1.example.test")
    services.policies.create_relay_group(ROOT, "East")
    services.computers.update(ROOT, "1", ComputerChange(relay_group="East"))
    assert services.floors.set(ROOT, "TLSv1", "relay").pending_policies == 2
    given = [one.policy_sent_at for one in services.computers.list(ROOT, kind=Kind.AGENT)]
    page = console.get(RELAYS)
    assert page.count("waits for Send Policy") == 2
    assert console.says(console.post(f"{RELAYS}/send-policy", group="East")).startswith("1 relay takes")
    assert [one.name for one in services.judgement.relays(ROOT) if not one.sent] == ["relay-2.example.test"]
    console.post(f"{RELAYS}/send-policy", 400, group="East", everyone="1")
    assert console.says(console.post(f"{RELAYS}/send-policy", everyone="1")).startswith("2 relays take")
    assert all(one.sent is Version.TLS1_0 for one in services.judgement.relays(ROOT))
    assert [one.policy_sent_at for one in services.computers.list(ROOT, kind=Kind.AGENT)] == given
    newest = services.access.audit(ROOT, limit=1)[0]
    assert (newest.action, newest.target) == ("policies.send", "all relays")


def test_a_relay_is_moved_between_groups_where_relays_are_managed(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    relay = office.at.activate("relay-1.example.test", kind=Kind.RELAY, address="127.0.0.8").computer
    services.policies.create_relay_group(ROOT, "East")
    assert "Move a relay" in console.get(RELAYS)
    said = console.says(console.post(f"{RELAYS}/move", relay=relay, to="East"))
    assert said.startswith("relay-1.example.test is in East now.")
    assert [one.relay_group for one in services.judgement.relays(ROOT)] == ["East"]
    console.post(f"{RELAYS}/move", 404, relay="nobody", to="East")
    console.post(f"{RELAYS}/move", 404, relay=relay, to="West")
    assert [one.relay_group for one in services.judgement.relays(ROOT)] == ["East"]
    console.post(f"{RELAYS}/move", relay=relay, to="")
    assert [one.relay_group for one in services.judgement.relays(ROOT)] == [None]


def test_relay_groups_stand_as_a_tree_with_all_their_computers_counted(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    for name, parent in (("East", ""), ("East 2", "East")):
        console.post(f"{RELAYS}/groups", name=name, parent=parent)
    office.at.activate("relay-1.example.test", kind=Kind.RELAY, address="127.0.0.8")
    office.at.activate("web-1.example.test")
    for number in ("1", "2"):
        services.computers.update(ROOT, number, ComputerChange(relay_group="East 2"))
    groups = {one.name: one for one in services.policies.relay_groups(ROOT)}
    assert (groups["East 2"].computers, len(groups["East 2"].relays), groups["East"].computers) == (2, 1, 0)
    page = console.get(RELAYS)
    assert page.index(">East<") < page.index(">East 2<")
    assert "depth-1" in page
    console.post(f"{RELAYS}/groups/{groups['East 2'].id}/delete", 409)
    console.post(f"{RELAYS}/groups/{groups['East'].id}/move", 409, parent="East 2")
    console.post(f"{RELAYS}/groups/{groups['East 2'].id}/move", parent="")
    assert next(one for one in services.policies.relay_groups(ROOT) if one.name == "East 2").parent is None


@pytest.mark.rule("R20")
def test_what_a_floor_would_refuse_is_said_before_a_script_is_made(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    at = "/administration/updates/deployment-scripts"
    Publisher().trusted_by(services).import_into(services, b"an old agent", version="9.6.0")
    page = console.get(at)
    assert "1 package cannot be deployed now" in page
    assert "it speaks TLSv1" in page
    assert "Heartbeat requires" in page
    refused = console.post(at, 409, system="linux", activate="1")
    assert "no script was made" in refused.text
    assert services.activation.tokens(ROOT) == services.activation.tokens(ROOT)[:1]  # that of the installation
    services.floors.set_minimum(ROOT, "TLSv1")
    made = console.post(at, 200, system="linux", activate="1", token_life="2 h", token_uses="3")
    assert 'id="script"' in made.text
    assert {one.uses for one in services.activation.tokens(ROOT)} >= {3}


def test_the_upgrade_of_all_that_match_is_planned_for_these_alone(
    office: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console.of(office)
    till = office.at.activate("till-1.example.test").computer
    office.at.activate("web-1.example.test")
    page = console.get("/computers/chosen?action=upgrade&all=1&q=till")
    planner = re.search(r'href="(/administration/updates/upgrades/new[^"]*)"', page)
    assert planner is not None
    address = html.unescape(planner[1])
    asked: list[StartRequest] = []

    def plan(_: Principal, wanted: StartRequest) -> None:
        asked.append(wanted)
        raise BadInput("no package is there")

    monkeypatch.setattr(office.at.services.upgrades, "plan", plan)
    query = address.partition("?")[2]
    console.get(f"/administration/updates/upgrades/plan?to=12.0.1&{query}", 400)
    assert [wanted.ids for wanted in asked] == [(till,)]
    office.at.services.computers.delete(ROOT, till)
    said = console.get(f"/administration/updates/upgrades/plan?to=12.0.1&{query}", 400)
    assert "nothing was planned" in said
    assert len(asked) == 1


def test_a_task_is_made_in_the_readers_zone(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    at = "/administration/scheduled-tasks"
    console.client.cookies["tz"] = "Europe%2FBerlin"
    form: dict[str, Any] = {"name": "nightly", "type": "send-policy", "recurrence": "daily"}
    console.post(at, **form, start="2030-01-15T03:30", whom="computers-using-policy", policy="1")
    (task,) = services.tasks.list(ROOT)
    assert task.schedule["timeZone"] == "Europe/Berlin"
    assert task.next_run == 1_894_674_600.0  # 02:30 UTC
    assert task.parameters == {"type": "computers-using-policy", "id": 1}
    assert "Computers of a policy" in console.get(at)
    console.post(at, 400, **form | {"recurrence": "yearly"})


def test_a_certificate_is_uploaded_or_pasted_and_a_wrong_one_keeps_the_one_in_use(office: Seeded) -> None:
    console, services = Console.of(office), office.at.services
    at = "/administration/certificates"
    before = services.certificates.show(ROOT)
    pem = before[0].path and Path(before[0].path).read_bytes()
    assert pem
    answer = console.client.request(
        "POST", at, data={"csrf": console.csrf}, files={"certificate_file": ("own.pem", pem, "text/plain")}
    )
    assert answer.status_code == 400, "its key is not that of a request"
    both = console.client.request(
        "POST", at, data={"csrf": console.csrf, "certificate": "x"}, files={"certificate_file": ("own.pem", pem)}
    )
    assert "one of the two" in both.text
    assert services.certificates.show(ROOT) == before
    request = console.post(f"{at}/request", 200, names="dsm.example.test").text
    assert "BEGIN CERTIFICATE REQUEST" in request
